//! Access masks: [MS-DTYP] 2.4.3 and 2.5.1.1.

use std::fmt::Write as _;

/// Masks that have a name of their own, for files and for registry keys; `KX` is the same as `KR`.
const WHOLE: [(u32, &str); 7] = [
    (0x001F_01FF, "FA"),
    (0x0012_0089, "FR"),
    (0x0012_0116, "FW"),
    (0x0012_00A0, "FX"),
    (0x000F_003F, "KA"),
    (0x0002_0019, "KR"),
    (0x0002_0006, "KW"),
];

/// Single rights in the order of their bits.
const SINGLE: [(u32, &str); 17] = [
    (0x0000_0001, "CC"),
    (0x0000_0002, "DC"),
    (0x0000_0004, "LC"),
    (0x0000_0008, "SW"),
    (0x0000_0010, "RP"),
    (0x0000_0020, "WP"),
    (0x0000_0040, "DT"),
    (0x0000_0080, "LO"),
    (0x0000_0100, "CR"),
    (0x0001_0000, "SD"),
    (0x0002_0000, "RC"),
    (0x0004_0000, "WD"),
    (0x0008_0000, "WO"),
    (0x1000_0000, "GA"),
    (0x2000_0000, "GX"),
    (0x4000_0000, "GW"),
    (0x8000_0000, "GR"),
];

/// What a mandatory label forbids those below it.
const LABEL: [(u32, &str); 3] = [(1, "NW"), (2, "NR"), (4, "NX")];

/// Appends an access mask.
pub(super) fn print(mask: u32, text: &mut String) {
    match WHOLE.iter().find(|(whole, _)| *whole == mask) {
        Some((_, name)) => text.push_str(name),
        None => print_singly(mask, &SINGLE, text),
    }
}

/// Appends the mask of a mandatory label.
pub(super) fn print_label(mask: u32, text: &mut String) {
    print_singly(mask, &LABEL, text);
}

fn print_singly(mask: u32, names: &[(u32, &str)], text: &mut String) {
    if names.iter().fold(mask, |rest, (bit, _)| rest & !bit) != 0 {
        let _ = write!(text, "{mask:#x}");
        return;
    }
    for (_, name) in names.iter().filter(|(bit, _)| mask & bit != 0) {
        text.push_str(name);
    }
}
