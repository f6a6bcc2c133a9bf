//! GUIDs and UUIDs as text: lower case, in the form of RFC 9562.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

/// A UUID whose bytes stand in the order in which they are printed (Linux filesystems). All zeros is none.
pub(super) fn uuid(bytes: [u8; 16]) -> Option<String> {
    if bytes == [0; 16] {
        return None;
    }
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| hex.get(group).unwrap_or_default());
    Some(groups.join("-"))
}

/// A GUID in the mixed byte order of UEFI 2.10, appendix A: the first three groups are little-endian.
pub(crate) fn guid(bytes: [u8; 16]) -> Option<String> {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = bytes;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = rest;
    uuid([a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, d2, d3, d4, d5, d6, d7])
}
