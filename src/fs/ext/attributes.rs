//! Collecting a node's extended attributes from the inode, its attribute block and inodes that hold long values.

use super::{
    LAYER, acl,
    bytes::le32,
    checksum::crc32c,
    content::encrypted,
    features::INCOMPAT_EA_INODE,
    inline::Collect,
    inode::{FLAG_EA_INODE, FLAG_ENCRYPT, Inode},
    reader::Reader,
    volume::Volume,
    xattr::{self, Entries, Entry},
};
use crate::{
    error::{Error, Fault, Result},
    fs::{Metadata, Xattr},
};

/// Length of the header of an attribute block.
const HEADER: usize = 32;
const CHECKSUM_AT: usize = 16;
/// The longest value that `getxattr` can give.
const MAX_VALUE: u64 = 1 << 16;
/// All values of one node together.
const MAX_VALUES: u64 = 16 << 20;
/// So many bad entries of one list are named.
const MAX_FAULTS: usize = 32;

/// What is collected for one node.
struct Collected<'m> {
    metadata: &'m mut Metadata,
    room: u64,
}

impl Reader<'_> {
    /// Adds the attributes of `inode`, whose bytes were the last to be loaded.
    pub(super) fn attributes(&mut self, inode: &Inode, metadata: &mut Metadata) {
        let mut collected = Collected { metadata, room: MAX_VALUES };
        if let Some(list) = xattr::list_in_inode(inode, &self.raw) {
            // Values in other inodes overwrite what was loaded last.
            let list = list.to_vec();
            let at = format!("{}, attributes in the inode", inode.at());
            self.collect(&list, &list, &at, &mut collected);
        } else {
            collected.metadata.faults.extend(xattr::strayed(inode, &self.raw));
        }
        if inode.attribute_block != 0 {
            let at = format!("{}, attribute block {:#x}", inode.at(), inode.attribute_block);
            match self.attribute_block(inode.attribute_block) {
                Ok(block) => {
                    if let Some(what) = damage(self.volume(), inode.attribute_block, &block) {
                        collected.metadata.faults.push(Fault::new(LAYER, &at, what));
                    }
                    if le32(&block, 0) == xattr::MAGIC {
                        self.collect(block.get(HEADER..).unwrap_or_default(), &block, &at, &mut collected);
                    }
                }
                Err(error) => collected.metadata.faults.push(error.into()),
            }
        }
    }

    fn collect(&mut self, list: &[u8], base: &[u8], at: &str, collected: &mut Collected<'_>) {
        let before = collected.metadata.faults.len();
        for entry in Entries::new(list) {
            if collected.metadata.faults.len().saturating_sub(before) >= MAX_FAULTS {
                collected.metadata.faults.push(Fault::new(LAYER, at, "the attributes after these were not read"));
                return;
            }
            let found = entry.and_then(|entry| {
                let name = match entry.full_name() {
                    // The context of an encrypted inode is its own affair.
                    _ if entry.is_inline_data() || entry.index == xattr::INDEX_ENCRYPTION => return Ok(None),
                    Some(name) => name,
                    None => return Err(format!("an attribute with the unknown name index {}", entry.index)),
                };
                let named = |what: String| format!("{}: {what}", name.escape_ascii());
                let value = self.value(&entry, base, collected).map_err(named)?;
                let value = if entry.is_acl() { acl::to_xattr(&value).map_err(named)? } else { Some(value) };
                Ok(value.map(|value| Xattr { name, value }))
            });
            match found {
                Ok(xattr) => collected.metadata.xattrs.extend(xattr),
                Err(what) => collected.metadata.faults.push(Fault::new(LAYER, at, what)),
            }
        }
    }

    fn value(&mut self, entry: &Entry<'_>, base: &[u8], collected: &mut Collected<'_>) -> Result<Vec<u8>, String> {
        let len = u64::from(entry.value_len);
        if len > MAX_VALUE {
            return Err(format!("value of {len} bytes, more than {MAX_VALUE}"));
        }
        collected.room = collected.room.checked_sub(len).ok_or(format!("all values exceed {MAX_VALUES} bytes"))?;
        if entry.value_len == 0 {
            return Ok(Vec::new());
        }
        if entry.value_inode == 0 {
            return entry.value(base).map(<[u8]>::to_vec);
        }
        // As the kernel takes it; and what such an inode holds would be no part of this one's evidence.
        if !self.volume().superblock.features.incompat(INCOMPAT_EA_INODE) {
            return Err(format!("its value is in inode {}, and the filesystem has no such values", entry.value_inode));
        }
        self.volume().attributes.take(len)?;
        self.value_in_inode(entry.value_inode, len, collected).map_err(|error| error.to_string())
    }

    fn value_in_inode(&mut self, number: u32, len: u64, collected: &mut Collected<'_>) -> Result<Vec<u8>> {
        let inode = self.load(number)?;
        if !inode.has(FLAG_EA_INODE) || inode.size != len {
            let what = format!("does not hold an attribute's value of {len} bytes");
            return Err(Error::corrupt(LAYER, inode.at(), what));
        }
        if inode.has(FLAG_ENCRYPT) {
            return Err(encrypted(&inode, "its value"));
        }
        collected.metadata.faults.extend(inode.mismatch.clone());
        let mut value = Collect(Vec::new());
        self.read_mapped(&inode, &mut value)?;
        let (found, expected) = (crc32c(self.volume().superblock.checksum_seed, &value.0), inode.access_word);
        if found != expected {
            let what = format!("value with checksum {found:#010x} instead of {expected:#010x}");
            collected.metadata.faults.push(Fault::new(LAYER, inode.at(), what));
        }
        Ok(value.0)
    }
}

/// What is wrong with an attribute block, if anything.
fn damage(volume: &Volume, number: u64, block: &[u8]) -> Option<String> {
    let (magic, blocks) = (le32(block, 0), le32(block, 8));
    if magic != xattr::MAGIC || blocks != 1 {
        return Some(format!("magic {magic:#010x}, {blocks} blocks instead of {:#010x}, 1", xattr::MAGIC));
    }
    if !volume.superblock.features.metadata_csum() {
        return None;
    }
    let (head, tail) = block.split_at_checked(CHECKSUM_AT)?;
    let crc = crc32c(crc32c(volume.superblock.checksum_seed, &number.to_le_bytes()), head);
    let expected = crc32c(crc32c(crc, &[0; 4]), tail.get(4..)?);
    let found = le32(block, CHECKSUM_AT);
    (found != expected).then(|| format!("checksum {found:#010x} instead of {expected:#010x}"))
}
