//! Volumes behind a key.

use super::signature::{Class, Found, View};
use crate::field::be16;

/// LUKS (On-Disk Format Specification 1.2.3, figure 1, and LUKS2 1.1.4, 2.1): version at 6, label of LUKS2 at 24, UUID
/// as text at 168.
pub(super) fn luks(view: &View) -> Option<Found> {
    if !view.has(0, b"LUKS\xba\xbe") {
        return None;
    }
    let version = be16(&view.head, 6)?;
    luks_at(view, 0, version)
}

/// The second header of a LUKS2 volume whose first one is lost (LUKS2 1.1.4, 2.2). Only where nothing else is found:
/// a filesystem that was made over a former LUKS2 volume may leave it behind.
pub(super) fn luks_second(view: &View) -> Option<Found> {
    const PLACES: [usize; 4] = [0x4000, 0x8000, 0x10000, 0x20000];
    let at = PLACES.into_iter().find(|at| view.has(*at, b"SKUL\xba\xbe\x00\x02"))?;
    luks_at(view, at, 2)
}

fn luks_at(view: &View, at: usize, version: u16) -> Option<Found> {
    let text = |offset: usize, len| view.bytes(at.checked_add(offset)?, len);
    let found = Found::new("crypto_LUKS", Class::Encrypted, format!("encrypted: LUKS{version}")).label(text(168, 40));
    let uuid = found.label.clone();
    let label = if version == 2 { text(24, 48) } else { None };
    Some(found.label(label).id(uuid))
}

/// BitLocker (libbde, "BitLocker Drive Encryption format", 2 "Volume header"): the system id at 3, or on removable
/// disks a GUID at 424.
pub(super) fn bitlocker(view: &View) -> Option<Found> {
    const TO_GO: &[u8] = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";
    (view.has(3, b"-FVE-FS-") || view.has(424, TO_GO))
        .then(|| Found::new("BitLocker", Class::Encrypted, "encrypted: BitLocker"))
}
