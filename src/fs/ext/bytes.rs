//! Fixed-width fields of on-disk structures. A field past the end of the bytes reads as zero: every structure's
//! length is checked once, where it is cut out, and not again at each of its fields.

use crate::field;
pub(in crate::fs) use crate::field::wide;

/// Fixed-size bytes, such as a UUID.
#[inline]
pub(in crate::fs) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    field::array(bytes, at).unwrap_or([0; N])
}

macro_rules! integer {
    ($($name:ident: $int:ty, $from:ident;)*) => {$(
        #[inline]
        pub(in crate::fs) fn $name(bytes: &[u8], at: usize) -> $int {
            <$int>::$from(array(bytes, at))
        }
    )*};
}

integer! {
    u8_at: u8, from_le_bytes;
    le16: u16, from_le_bytes;
    le32: u32, from_le_bytes;
    le64: u64, from_le_bytes;
    be16: u16, from_be_bytes;
    be32: u32, from_be_bytes;
    be64: u64, from_be_bytes;
}

/// Puts fixed-size bytes in their place; past the end nothing is put.
pub(in crate::fs) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(target) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *target = value;
    }
}

/// Two halves of a 64-bit number.
pub(in crate::fs) fn join(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// The low half of a 32-bit checksum, for the fields that keep only that.
pub(in crate::fs) fn low16(value: u32) -> u16 {
    u16::from_le_bytes(array(&value.to_le_bytes(), 0))
}

/// A number of bytes on disk as a length in memory, at most `cap`.
pub(in crate::fs) fn capped(len: u64, cap: usize) -> usize {
    field::narrow(len).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_past_the_end_is_zero() {
        assert_eq!(le32(&[1, 2, 3], 0), 0);
        assert_eq!(le16(&[1, 2, 3], 1), 0x0302);
        assert_eq!(be16(&[1, 2, 3], 1), 0x0203);
        assert_eq!(u8_at(&[1], usize::MAX), 0);
    }

    #[test]
    fn lengths_are_capped() {
        assert_eq!(capped(u64::MAX, 7), 7);
        assert_eq!(capped(5, 7), 5);
        assert_eq!(join(1, 2), 0x1_0000_0002);
    }
}
