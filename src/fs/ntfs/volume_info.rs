//! What a volume says about itself: label, version, and in which state Windows left it.
//!
//! Reference: ntfs-3g `layout.h` (`VOLUME_INFORMATION`, `FILE_Volume`).

use crate::{
    error::Result,
    field::{byte, le16, units},
    fs::VolumeInfo,
};

use super::{UpCase, attribute, hibernation, log_file, reader::Reader, record::Reference};

/// Record of `$Volume`.
const RECORD: u64 = 3;
const DIRTY: u16 = 1;

/// Fills in what the system files say; what cannot be read of them is a gap.
pub(super) fn gather(reader: &mut Reader<'_>, upcase: &UpCase, info: &mut VolumeInfo) {
    if let Err(error) = volume(reader, info) {
        info.gaps.push(format!("$Volume cannot be read: {error}"));
    }
    match log_file::state(reader) {
        Ok(state) => info.notes.extend(state.note().map(str::to_owned)),
        Err(error) => info.notes.push(format!("$LogFile cannot be read, what it holds was not replayed: {error}")),
    }
    info.notes.extend(hibernation::note(reader, upcase));
}

/// `$VOLUME_INFORMATION`: 0x08 major and 0x09 minor version, 0x0a flags.
fn volume(reader: &mut Reader<'_>, info: &mut VolumeInfo) -> Result<()> {
    let file = reader.file(Reference(RECORD))?;
    let label = file.resident_values(attribute::VOLUME_NAME).next().unwrap_or_default();
    info.label = Some(String::from_utf16_lossy(&units(label).collect::<Vec<_>>())).filter(|label| !label.is_empty());
    let value = file.resident_values(attribute::VOLUME_INFORMATION).next().unwrap_or_default();
    if let (Some(major), Some(minor), Some(flags)) = (byte(value, 8), byte(value, 9), le16(value, 10)) {
        info.notes.push(format!("NTFS version {major}.{minor}"));
        if flags & DIRTY != 0 {
            info.notes.push("the volume is marked dirty: Windows would check it".to_owned());
        }
    }
    Ok(())
}
