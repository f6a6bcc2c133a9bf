//! `hiberfil.sys`: whether the machine sleeps in it (hibernation, or the fast start of Windows 8 and later).
//!
//! Reference: ntfs-3g `volume.c` (`ntfs_volume_check_hiberfile`).

use crate::{error::Result, field::array};

use super::{UpCase, attribute, directory, reader::Reader, record::Reference, value::Value};

const NAME: &[u8] = b"hiberfil.sys";
const SIGNATURES: [&[u8; 4]; 2] = [b"hibr", b"HIBR"];

/// The line for the coverage list, if Windows is hibernated on this volume.
pub(super) fn note(reader: &mut Reader<'_>, upcase: &UpCase) -> Option<String> {
    let hibernated =
        signature(reader, upcase).ok().flatten().is_some_and(|found| SIGNATURES.iter().any(|s| **s == found));
    hibernated
        .then(|| "Windows is hibernated or was fast-started: what it holds in memory is not on the volume".to_owned())
}

fn signature(reader: &mut Reader<'_>, upcase: &UpCase) -> Result<Option<[u8; 4]>> {
    let root = reader.file(Reference(directory::ROOT))?;
    let Some((crate::fs::NodeId::Number(node), _)) = directory::lookup(reader, &root, upcase, NAME)? else {
        return Ok(None);
    };
    let file = reader.file(Reference(node))?;
    let mut bytes = [0; 4];
    match file.value(reader.volume, attribute::DATA, &[])? {
        Some(Value::Clusters(clusters)) if clusters.size >= 4 && !clusters.is_compressed() => {
            clusters.read_at(reader.volume, 0, &mut bytes)?
        }
        Some(Value::Resident(value)) => bytes = array(value, 0).unwrap_or_default(),
        _ => return Ok(None),
    }
    Ok(Some(bytes))
}
