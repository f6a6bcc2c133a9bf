//! Which filesystem is on a volume, and its reader.
//!
//! To add a filesystem: a row in [`READERS`].

use std::sync::Arc;

use super::{FileSystem, exfat::ExFat, ext::Ext, fat::Fat, ntfs::Ntfs, xfs::Xfs};
use crate::{error::Result, image::Image};

/// Opens a volume that looks right.
type Open = fn(Arc<dyn Image>) -> Result<Arc<dyn FileSystem>>;

/// A filesystem that can be read.
struct Reader {
    /// How messages call it.
    name: &'static str,
    /// Whether the volume looks like this filesystem; opening it may still fail.
    claims: fn(&dyn Image) -> bool,
    open: Open,
}

/// Every filesystem that can be read, one a row.
const READERS: &[Reader] = &[
    Reader {
        name: "ext4",
        claims: |image| Ext::probe(image).unwrap_or(true),
        open: |image| Ok(Arc::new(Ext::open(image)?)),
    },
    Reader {
        name: "ntfs",
        claims: |image| Ntfs::probe(image).unwrap_or(true),
        open: |image| Ok(Arc::new(Ntfs::open(image)?)),
    },
    Reader {
        name: "xfs",
        claims: |image| Xfs::probe(image).unwrap_or(true),
        open: |image| Ok(Arc::new(Xfs::open(image)?)),
    },
    Reader { name: "exfat", claims: ExFat::claims, open: |image| Ok(Arc::new(ExFat::open(image)?)) },
    Reader { name: "vfat", claims: Fat::claims, open: |image| Ok(Arc::new(Fat::open(image)?)) },
];

/// What was found on a volume.
#[derive(Default)]
pub struct Probed {
    /// The filesystem, where one was recognised and could be opened.
    pub filesystem: Option<Arc<dyn FileSystem>>,
    /// Filesystems that the volume looks like and that could not be opened, and such as were not opened because
    /// another one was: what is behind them is not covered.
    pub gaps: Vec<String>,
}

/// Opens the filesystem on a volume: the first that looks right and opens. Others that look right too are gaps.
#[must_use]
pub fn probe(image: &Arc<dyn Image>) -> Probed {
    let mut probed = Probed::default();
    let mut opened = "";
    for reader in READERS.iter().filter(|reader| (reader.claims)(image.as_ref())) {
        if probed.filesystem.is_some() {
            probed.gaps.push(format!("it looks like {} too; it was read as {opened}", reader.name));
            continue;
        }
        match (reader.open)(Arc::clone(image)) {
            Ok(filesystem) => {
                probed.filesystem = Some(filesystem);
                opened = reader.name;
            }
            Err(error) => probed.gaps.push(error.to_string()),
        }
    }
    probed
}
