//! GUIDs and UUIDs as text: lower case, in the form of RFC 9562.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

/// A UUID whose bytes stand in the order in which they are printed.
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| hex.get(group).unwrap_or_default()).join("-")
}

/// A GUID in the mixed byte order of UEFI 2.10, appendix A: the first three groups are little-endian.
pub(crate) fn guid(bytes: [u8; 16]) -> String {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = bytes;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = rest;
    uuid([a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, d2, d3, d4, d5, d6, d7])
}

/// The bytes of an id where there is one: all zeros is none.
pub(crate) fn given(bytes: [u8; 16]) -> Option<[u8; 16]> {
    (bytes != [0; 16]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UEFI 2.10, appendix A: the type of EFI system partitions and its bytes.
    #[test]
    fn the_first_groups_of_a_guid_are_little_endian() {
        let bytes = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
        assert_eq!(guid(bytes), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(uuid(bytes), "28732ac1-1ff8-d211-ba4b-00a0c93ec93b");
        assert_eq!((given(bytes), given([0; 16])), (Some(bytes), None));
    }
}
