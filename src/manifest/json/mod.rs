//! A record as one JSON line, and back. In come [`Record`](super::Record)s, out go lines without their newline.
//!
//! The fields stand in a fixed order, `path`, `stream` or `value`, `kind`, then the attributes in the order of the
//! table, without white space, so that equal records are equal lines and a line can be compared without being
//! understood. Bytes that are not Unicode are shown readably, each bad byte as `\xNN`, and stand exactly, in
//! hexadecimal, in a field `…_hex` behind it.

mod decode;
mod encode;
mod raw;

pub use decode::decode;
pub(in crate::manifest) use decode::decode_hex;
pub use encode::encode;
pub(crate) use encode::encode_value;
pub(crate) use raw::{Field, Head, Raw, differ_only_in};

/// How a manifest shows a registry value without a name.
const UNNAMED: &str = "(Default)";

/// What stands before an extended attribute's name that is not Unicode.
const HEX_NAME: &str = "hex:";

/// Why a line is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(super) fn new<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self(what.into()))
    }
}
