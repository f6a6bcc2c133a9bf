//! One on-disk structure of a container: its fields, with the structure's name and place in every error.

use crate::{
    error::{Error, Result},
    field::{self, wide},
    image::Image,
};

/// Who reads past the end of a file, as long as it is not known which container the file is.
pub(super) const LAYER: &str = "container";

/// The bytes of one on-disk structure, and what to call it when a field does not fit.
#[derive(Clone, Copy)]
pub(crate) struct Structure<'a> {
    layer: &'static str,
    what: &'static str,
    at: u64,
    bytes: &'a [u8],
}

macro_rules! integer {
    ($($name:ident: $int:ty, $from:ident, $order:literal;)*) => {$(
        #[doc = concat!("The ", $order, " integer at this byte of the structure.")]
        pub(crate) fn $name(&self, offset: usize) -> Result<$int> {
            Ok(<$int>::$from(self.array(offset)?))
        }
    )*};
}

impl<'a> Structure<'a> {
    /// The structure called `what`, which was read from byte `at` of the container.
    pub(crate) fn new(layer: &'static str, what: &'static str, at: u64, bytes: &'a [u8]) -> Self {
        Self { layer, what, at, bytes }
    }

    /// `N` bytes from `offset`.
    pub(crate) fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N]> {
        field::array(self.bytes, offset)
            .ok_or_else(|| self.wrong(format!("{N} bytes wanted at +{offset:#x}: it has {:#x}", self.bytes.len())))
    }

    /// `len` bytes from `offset`.
    pub(crate) fn slice(&self, offset: usize, len: usize) -> Result<&'a [u8]> {
        field::slice(self.bytes, offset, len)
            .ok_or_else(|| self.wrong(format!("{len} bytes wanted at +{offset:#x}: it has {:#x}", self.bytes.len())))
    }

    /// The error that this structure contradicts its format.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Error {
        Error::corrupt(self.layer, format!("{} at {:#x}", self.what, self.at), what)
    }

    integer! {
        be16: u16, from_be_bytes, "big-endian 16-bit";
        be32: u32, from_be_bytes, "big-endian 32-bit";
        be64: u64, from_be_bytes, "big-endian 64-bit";
        le16: u16, from_le_bytes, "little-endian 16-bit";
        le32: u32, from_le_bytes, "little-endian 32-bit";
        le64: u64, from_le_bytes, "little-endian 64-bit";
    }
}

/// Reads `len` bytes at `at` into memory; the caller has compared `len` with a named cap.
pub(crate) fn read_vec(file: &dyn Image, at: u64, len: usize) -> Result<Vec<u8>> {
    let fits = at.checked_add(wide(len)).is_some_and(|end| end <= file.len());
    if !fits {
        return Err(super::past_end(LAYER, at, wide(len), file.len()));
    }
    let mut bytes = vec![0; len];
    file.read_at(at, &mut bytes)?;
    Ok(bytes)
}
