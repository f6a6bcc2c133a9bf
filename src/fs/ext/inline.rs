//! Content and link targets that lie in the inode: the first 60 bytes where the block map would be, the rest as the
//! value of the attribute `system.data`. See "Inline Data" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{capped, wide},
    content::encrypted,
    inode::{BLOCK_LEN, FLAG_ENCRYPT, FLAG_INLINE_DATA, Inode},
    reader::Reader,
    xattr,
};
use crate::{
    error::{Error, Result},
    fs::Sink,
};

/// Longer targets than the largest block do not exist; Linux stops at 4095 bytes.
const MAX_TARGET: u64 = 1 << 16;

impl Reader<'_> {
    /// All bytes that an inode with inline data can hold, both parts.
    pub(super) fn inline_data(&self, inode: &Inode) -> Result<Vec<u8>> {
        let mut bytes = inode.block.to_vec();
        match xattr::inline_value(inode, &self.raw)? {
            Some(value) => bytes.extend_from_slice(value),
            None if inode.size > wide(BLOCK_LEN) => {
                let what = format!("inline data of {} bytes without the attribute system.data", inode.size);
                return Err(Error::corrupt(LAYER, inode.at(), what));
            }
            None => {}
        }
        Ok(bytes)
    }

    /// Where a symbolic link leads.
    pub(super) fn target(&mut self, inode: &Inode) -> Result<Vec<u8>> {
        if inode.has(FLAG_ENCRYPT) {
            return Err(encrypted(inode, "its target"));
        }
        if inode.size > MAX_TARGET {
            let what = format!("link target of {} bytes, more than {MAX_TARGET}", inode.size);
            return Err(Error::corrupt(LAYER, inode.at(), what));
        }
        let target = if inode.has(FLAG_INLINE_DATA) {
            cut(&self.inline_data(inode)?, inode)?
        } else if inode.short_target {
            cut(&inode.block, inode)?
        } else {
            let mut bytes = Collect(Vec::new());
            self.read_mapped(inode, &mut bytes)?;
            bytes.0
        };
        if target.is_empty() || target.contains(&0) {
            let what = format!("link target of {} bytes is empty or holds a zero byte", inode.size);
            return Err(Error::corrupt(LAYER, inode.at(), what));
        }
        Ok(target)
    }
}

fn cut(bytes: &[u8], inode: &Inode) -> Result<Vec<u8>> {
    let room = bytes.len();
    bytes.get(..capped(inode.size, usize::MAX)).map(<[u8]>::to_vec).ok_or_else(|| {
        Error::corrupt(LAYER, inode.at(), format!("link target of {} bytes where {room} fit", inode.size))
    })
}

/// Collects a stream whose length was checked before.
pub(super) struct Collect(pub(super) Vec<u8>);

impl Sink for Collect {
    fn data(&mut self, bytes: &[u8]) -> std::ops::ControlFlow<()> {
        self.0.extend_from_slice(bytes);
        std::ops::ControlFlow::Continue(())
    }

    fn hole(&mut self, len: u64) -> std::ops::ControlFlow<()> {
        let end = self.0.len().saturating_add(capped(len, usize::MAX));
        self.0.resize(end, 0);
        std::ops::ControlFlow::Continue(())
    }
}
