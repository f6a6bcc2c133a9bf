//! Values in blocks of the attribute fork, on version 5 with a header in each block.
//! See "Remote Attribute Values" in *XFS Algorithms & Data Structures*.

use super::{
    attributes::Blocks,
    bytes::{be32, capped, wide},
    verify::{self, Layout},
};

const MAGIC: u32 = 0x5841_524D;
const HEADER: usize = 56;
const LAYOUT: Layout = Layout { crc: 12, place: 40, uuid: 16, owner: 32 };

/// The value of `len` bytes from `block` of the fork on, and what is wrong with its blocks, if anything.
pub(super) fn read(blocks: &Blocks<'_>, block: u32, len: usize) -> Result<(Vec<u8>, Option<String>), String> {
    blocks.volume.attributes.take(wide(len))?;
    let (mut value, mut mismatch) = (Vec::new(), None);
    let mut number = u64::from(block);
    while value.len() < len {
        let (bytes, offset) = blocks.read(number).map_err(|error| error.to_string())?;
        let left = len.saturating_sub(value.len());
        let body = if blocks.volume.superblock.features.v5 {
            let (magic, at) = (be32(&bytes, 0), u64::from(be32(&bytes, 4)));
            if magic != MAGIC || at != wide(value.len()) {
                return Err(format!("the value's block at {offset:#x} has magic {magic:#010x}, offset {at}"));
            }
            if let Some(what) = verify::block(blocks.volume, &bytes, &LAYOUT, offset, blocks.inode.number) {
                mismatch.get_or_insert(format!("the value's block at {offset:#x}: {what}"));
            }
            let body = bytes.get(HEADER..).unwrap_or_default();
            body.get(..capped(u64::from(be32(&bytes, 8)), body.len())).unwrap_or_default()
        } else {
            &bytes
        };
        let part = body.get(..left.min(body.len())).filter(|part| !part.is_empty());
        value.extend_from_slice(part.ok_or_else(|| format!("the value's block at {offset:#x} is empty"))?);
        number = number.saturating_add(1);
    }
    Ok((value, mismatch))
}
