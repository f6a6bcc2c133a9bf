//! NTFS, versions 1.2 to 3.1. In comes the [`Image`] of one volume, out come [`Ntfs`] and its sessions.
//!
//! All is read from the disk's own structures, one a file, named as the format's documentation names them:
//! `boot_sector` gives geometry, `mft` maps the table of records, `reader` fetches `record`s in windows, `file` puts a
//! file together from its records, `value` maps an attribute's bytes, `index` walks B-trees, and on these stand
//! `directory`, `metadata`, `secure` and `content` (with `lznt1`, `wof`, `xpress` and `lzx`).
//!
//! What is not done: `$LogFile` is not replayed ([`VolumeInfo::notes`] says when it should be), EFS is not decrypted
//! (the bytes on disk are handed out, [`Metadata::faults`](crate::fs::Metadata::faults) says so), deduplicated files
//! and cloud placeholders are errors. The system files of records 0 to 11 are not listed, nor their streams.
//!
//! To add a reparse tag: `reparse_point`, and `content` where it changes how bytes are read.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod attribute;
mod attribute_list;
mod boot_sector;
mod content;
mod directory;
mod extended_attributes;
mod file;
mod file_name;
mod filetime;
mod fixup;
mod hibernation;
mod huffman;
mod index;
mod interix;
mod log_file;
mod lznt1;
mod lzx;
mod metadata;
mod mft;
mod reader;
mod record;
mod reparse_point;
mod run_list;
mod secure;
mod session;
mod standard_information;
mod upcase;
mod value;
mod volume;
mod volume_info;
mod wof;
mod xpress;

use std::sync::{Arc, OnceLock};

use crate::{
    error::{Error, Result},
    fs::{FileSystem, Session, VolumeInfo, upcase::UpCase, wtf8},
    image::Image,
};

use self::{reader::Reader, secure::Secure, session::NtfsSession, volume::Volume};

/// The name of this room in errors and faults.
const LAYER: &str = "ntfs";

/// An NTFS volume.
pub struct Ntfs {
    volume: Volume,
    upcase: UpCase,
    secure: OnceLock<Secure>,
    info: VolumeInfo,
}

impl Ntfs {
    /// Whether the image is an NTFS volume: its boot sector says so and is sane, or the backup at the volume's end
    /// is and leads to a `$MFT`. Probe for other filesystems first: a backup can outlive the volume.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn probe(image: &dyn Image) -> Result<bool> {
        match volume::boot_sector(image) {
            Ok(_) => Ok(true),
            Err(Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the volume: boot sector, map of the MFT, upper-case table, and what the volume says about itself.
    ///
    /// # Errors
    /// When the boot sector and its backup, or `$MFT` and its mirror, do not parse.
    pub fn open(image: Arc<dyn Image>) -> Result<Self> {
        let mut info = VolumeInfo { fs: "ntfs", ..VolumeInfo::default() };
        let volume = Volume::open(image, &mut info.notes, &mut info.gaps)?;
        info.id = Some(format!("{:016X}", volume.boot.serial));
        info.size = volume.boot.volume_size();
        let mut reader = Reader::new(&volume);
        let upcase = upcase::load(&mut reader, &mut info.gaps);
        volume_info::gather(&mut reader, &upcase, &mut info);
        Ok(Self { volume, upcase, secure: OnceLock::new(), info })
    }

    /// The security descriptors; read when the first is asked for.
    fn secure(&self, reader: &mut Reader<'_>) -> &Secure {
        self.secure.get_or_init(|| Secure::load(reader))
    }
}

impl FileSystem for Ntfs {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(NtfsSession::new(self)?))
    }

    fn folds_case(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::claims::{Claims, tests::is_bounded};

    #[test]
    fn directories_that_claim_the_same_blocks_are_not_listed_for_ever() {
        let packed = include_bytes!("../../../fixtures/ntfs/short-names.raw.zst");
        is_bounded(packed, Claims::of_directories, |image, claims| {
            let mut fs = Ntfs::open(image).unwrap();
            fs.volume.directories = claims;
            fs
        });
    }
}
