//! Fixed-width fields out of a slice: the one way in which this program's decoders look at bytes from disk.
//! Every function answers `None` where the field would leave the slice.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

/// `N` bytes at `at`.
#[inline]
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The byte at `at`.
#[inline]
pub(crate) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

macro_rules! integer {
    ($($name:ident: $int:ty, $from:ident, $order:literal;)*) => {$(
        #[doc = concat!("The ", $order, " integer at `at`.")]
        #[inline]
        pub(crate) fn $name(bytes: &[u8], at: usize) -> Option<$int> {
            array(bytes, at).map(<$int>::$from)
        }
    )*};
}

integer! {
    le16: u16, from_le_bytes, "little-endian 16-bit";
    le32: u32, from_le_bytes, "little-endian 32-bit";
    le64: u64, from_le_bytes, "little-endian 64-bit";
    be16: u16, from_be_bytes, "big-endian 16-bit";
    be32: u32, from_be_bytes, "big-endian 32-bit";
    be64: u64, from_be_bytes, "big-endian 64-bit";
}

/// The little-endian 16 bits at `at` as an offset or a length.
#[inline]
pub(crate) fn len16(bytes: &[u8], at: usize) -> Option<usize> {
    le16(bytes, at).map(usize::from)
}

/// The little-endian 32 bits at `at` as an offset or a length.
#[inline]
pub(crate) fn len32(bytes: &[u8], at: usize) -> Option<usize> {
    le32(bytes, at).map(narrow)
}

/// `len` bytes from `at`.
#[inline]
pub(crate) fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// Whether `magic` stands at `at`.
#[inline]
pub(crate) fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// Little-endian UTF-16 as units; an odd last byte is left out.
#[inline]
pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit))
}

/// A length in memory as an offset on disk.
#[inline]
pub(crate) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A length on disk as one in memory; one that does not fit becomes the largest there is, which no slice has.
#[inline]
pub(crate) fn narrow(len: impl TryInto<usize>) -> usize {
    len.try_into().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_past_the_end_is_none() {
        let bytes = [1, 2, 3];
        assert_eq!((le16(&bytes, 1), be16(&bytes, 1)), (Some(0x0302), Some(0x0203)));
        assert_eq!((le16(&bytes, 2), be32(&bytes, 0)), (None, None));
        assert_eq!((byte(&bytes, usize::MAX), slice(&bytes, 1, usize::MAX)), (None, None));
        assert_eq!(units(&bytes).collect::<Vec<_>>(), [0x0201]);
    }
}
