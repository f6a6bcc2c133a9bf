//! "Header extensions": type (4 bytes), length (4 bytes), data padded to 8 bytes; type 0 ends them.

use super::{LAYER, header::Header};
use crate::{
    error::Result,
    field::{narrow, wide},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const BACKING_FORMAT: u32 = 0xe279_2aca;
const FEATURE_NAMES: u32 = 0x6803_f857;
const DATA_FILE: u32 = 0x4441_5441;

/// They lie in the first cluster; more than this is not looked at.
const MAX_AREA: u64 = 64 << 10;
/// One entry of the feature name table: type, bit, name of 46 bytes.
const FEATURE_ENTRY: usize = 48;

/// What the extensions say.
#[derive(Default)]
pub(super) struct Extensions {
    /// The format of the backing file, as QEMU's driver names.
    pub(super) backing_format: Option<Vec<u8>>,
    /// The external data file.
    pub(super) data_file: Option<Vec<u8>>,
    features: Vec<u8>,
}

impl Extensions {
    pub(super) fn read(file: &dyn Image, header: &Header) -> Result<Self> {
        let cluster = 1_u64.checked_shl(header.cluster_bits).unwrap_or(MAX_AREA);
        let end = file.len().min(cluster).min(MAX_AREA);
        let area = read_vec(file, 0, narrow(end))?;
        let s = Structure::new(LAYER, "header extensions", 0, &area);
        let mut found = Self::default();
        let mut at = narrow(header.length);
        // A version 2 file may have none, and then the first cluster just ends or the name follows.
        while let (Ok(kind), Ok(length)) = (s.be32(at), s.be32(at.saturating_add(4))) {
            if kind == 0 {
                break;
            }
            let length = narrow(length);
            let data = s.slice(at.saturating_add(8), length)?;
            match kind {
                BACKING_FORMAT => found.backing_format = Some(data.to_vec()),
                DATA_FILE => found.data_file = Some(data.to_vec()),
                FEATURE_NAMES => found.features = data.to_vec(),
                // Bitmaps and the pointer to the LUKS header say nothing about where data lies.
                _ => {}
            }
            let step = wide(length).div_ceil(8).saturating_mul(8).saturating_add(8);
            at = at.saturating_add(narrow(step));
        }
        Ok(found)
    }

    /// The image's own name of an incompatible feature.
    pub(super) fn feature(&self, bit: u8) -> Option<String> {
        let entry = self.features.chunks(FEATURE_ENTRY).find(|entry| entry.starts_with(&[0, bit]))?;
        let name = entry.get(2..)?.split(|b| *b == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}
