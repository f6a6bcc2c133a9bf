//! 2.6.2.6 "Parent Locator": keys and values, both UTF-16: where the parent may be, and which one it is.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | locator type |
//! | 18 | 2 | key-value count |
//! | 20 | n × 12 | entries: key offset (4), value offset (4), key length (2), value length (2) |

use super::{Guid, LAYER, data_write_guid};
use crate::{
    error::{Error, Result},
    field::{narrow, units},
    guid::guid,
    image::{
        beneath::{Place, from_windows, utf16},
        layer::{self, Format, Layer},
        structure::Structure,
    },
};

/// B04AEFB7-D19E-4A81-B789-25B8E9445913: the locator of a VHDX parent.
const VHDX_PARENT: Guid =
    [0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13];
/// Five keys are defined.
const MAX_KEYS: u16 = 64;

/// Which file the parent is.
pub(super) struct Locator {
    /// `parent_linkage` and `parent_linkage2`, as GUIDs are written, without braces.
    linkages: Vec<String>,
    /// Names, in the order in which 2.6.2.6.3 has them tried.
    names: Vec<Vec<u8>>,
}

impl Locator {
    pub(super) fn parse(at: u64, bytes: &[u8]) -> Result<Self> {
        let s = Structure::new(LAYER, "parent locator", at, bytes);
        let kind: Guid = s.array(0)?;
        if kind != VHDX_PARENT {
            return Err(Error::unsupported(LAYER, format!("a parent locator of the type {}", guid(kind))));
        }
        let count = s.le16(18)?;
        if count > MAX_KEYS {
            return Err(s.wrong(format!("{count} keys: at most {MAX_KEYS}")));
        }
        let mut pairs = Vec::new();
        for n in 0..usize::from(count) {
            let entry = n.saturating_mul(12).saturating_add(20);
            let field = |n: usize| entry.saturating_add(n);
            let text = |at: u32, length: u16| s.slice(narrow(at), length.into()).map(units).map(utf16);
            let key = text(s.le32(field(0))?, s.le16(field(8))?)?;
            pairs.push((key, text(s.le32(field(4))?, s.le16(field(10))?)?));
        }
        let values = |wanted: &'static str| pairs.iter().filter(move |(key, _)| key == wanted).map(|(_, value)| value);
        let bare = |linkage: &String| linkage.trim_matches(['{', '}']).to_ascii_lowercase();
        let names = values("relative_path").chain(values("volume_path")).chain(values("absolute_win32_path"));
        Ok(Self {
            linkages: values("parent_linkage").chain(values("parent_linkage2")).map(bare).collect(),
            names: names.map(|name| from_windows(name.as_bytes())).filter(|name| !name.is_empty()).collect(),
        })
    }
}

/// Opens the parent, and makes sure that it is the one that the child was made of, unwritten since.
pub(super) fn open(place: &Place, locator: &Locator) -> Result<Layer> {
    let name = locator
        .names
        .iter()
        .find(|name| place.has(name))
        .or(locator.names.first())
        .ok_or_else(|| Error::corrupt(LAYER, "parent locator", "a differencing disk that names no parent"))?;
    let (parent, _) = place.open(LAYER, "parent", name)?;
    let found = guid(data_write_guid(&parent)?);
    let (below, at) = layer::open_named(place, LAYER, "parent", name, Some(Format::Vhdx))?;
    if !locator.linkages.contains(&found) {
        return Err(Error::corrupt(
            LAYER,
            format!("parent '{}' of '{}'", at.shown(), place.shown()),
            format!(
                "its data write id is {found}: the child was made of {}",
                locator.linkages.join(" or ").escape_debug()
            ),
        ));
    }
    Ok(below)
}
