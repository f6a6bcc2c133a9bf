//! The target of a symbolic link: in the inode, or in blocks of its own, with a header in each run on version 5.
//! See "Symbolic Links" in *XFS Algorithms & Data Structures*.

use super::{
    LAYER,
    bytes::{be32, capped, wide},
    inode::{Format, Inode, Which},
    map,
    reader::Reader,
    verify::{self, Layout},
};
use crate::error::{Error, Fault, Result};

/// `XFS_SYMLINK_MAXLEN`.
const MAX_TARGET: usize = 1024;
const MAGIC: u32 = 0x5853_4C4D;
const HEADER: usize = 56;
const LAYOUT: Layout = Layout { crc: 12, place: 40, uuid: 16, owner: 32 };

impl Reader<'_> {
    /// The target, and what is wrong with its blocks, if anything.
    pub(super) fn target(&mut self, inode: &Inode) -> Result<(Vec<u8>, Option<Fault>)> {
        let bad = |what: String| Err(Error::corrupt(LAYER, inode.at(), what));
        let size = capped(inode.size, usize::MAX);
        if size == 0 || size > MAX_TARGET {
            return bad(format!("a link target of {size} bytes"));
        }
        let fork = inode.data();
        if fork.format == Format::Local {
            return match fork.bytes.get(..size) {
                Some(target) => Ok((target.to_vec(), None)),
                None => bad(format!("a link target of {size} bytes in {}", fork.bytes.len())),
            };
        }
        let volume = self.volume;
        let block_bytes = volume.superblock.block_bytes();
        let (runs, errors) = map::collect(volume, inode, Which::Data, u64::MAX);
        let mut mismatch: Option<Fault> = errors.into_iter().next().map(Fault::from);
        let (mut target, mut next) = (Vec::new(), 0);
        for run in &runs {
            let left = size.saturating_sub(target.len());
            if left == 0 || run.logical != next || run.unwritten {
                break;
            }
            next = run.end();
            let header = if volume.superblock.features.v5 { HEADER } else { 0 };
            // A target and its headers fit into few blocks, whatever the run says.
            let len = capped(run.len.saturating_mul(block_bytes), MAX_TARGET.saturating_mul(64));
            let mut bytes = vec![0; len];
            volume.read_at(run.offset, &mut bytes)?;
            let mut here = len.saturating_sub(header);
            if header > 0 {
                let (magic, at) = (be32(&bytes, 0), be32(&bytes, 4));
                here = capped(u64::from(be32(&bytes, 8)), here);
                if magic != MAGIC || u64::from(at) != wide(target.len()) {
                    return bad(format!("the link's block at {:#x} has magic {magic:#010x}, offset {at}", run.offset));
                }
                if let Some(what) = verify::block(volume, &bytes, &LAYOUT, run.offset, inode.number) {
                    let at = format!("{}, the link's block at {:#x}", inode.at(), run.offset);
                    mismatch.get_or_insert(Fault::new(LAYER, at, what));
                }
            }
            let end = header.saturating_add(here.min(left));
            target.extend_from_slice(bytes.get(header..end).unwrap_or_default());
        }
        if target.len() != size {
            return bad(format!("a link target of {size} bytes, {} in its blocks", target.len()));
        }
        Ok((target, mismatch))
    }
}
