//! "Parent Locator Entry": where the parent of a differencing disk may be, in the ways of several systems; the
//! parent itself is known by its unique id.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | platform code |
//! | 8 | 4 | length of the data |
//! | 16 | 8 | offset of the data |

use super::{LAYER, dynamic_header::DynamicHeader, footer::Footer};
use crate::{
    error::{Error, Result},
    field::{narrow, units},
    guid::uuid,
    image::{
        Image,
        beneath::{Place, from_windows, utf16},
        layer::{self, Format, Layer},
        structure::{Structure, read_vec},
    },
};

const ENTRY: usize = 24;
/// A path of 32,767 characters is the longest that Windows has.
const MAX_DATA: u32 = 64 << 10;

/// Opens the parent, and makes sure that it is the one that the child was made of.
pub(super) fn open(file: &dyn Image, place: &Place, child: &Footer, header: &DynamicHeader) -> Result<Layer> {
    let names = names(file, header)?;
    let name = names.iter().find(|name| place.has(name)).or(names.first()).ok_or_else(|| {
        Error::corrupt(LAYER, format!("dynamic header at {:#x}", header.at), "a differencing disk that names no parent")
    })?;
    let (parent, _) = place.open(LAYER, "parent", name)?;
    let footer = Footer::read(&parent)?;
    let found = footer.id;
    let (below, at) = layer::open_named(place, LAYER, "parent", name, Some(Format::Vhd))?;
    if found != header.parent_id {
        return Err(Error::corrupt(
            LAYER,
            format!("parent '{}' of '{}'", at.shown(), place.shown()),
            format!("its unique id is {}: the child was made of {}", uuid(found), uuid(header.parent_id)),
        ));
    }
    if footer.size != child.size {
        return Err(Error::corrupt(
            LAYER,
            format!("parent '{}' of '{}'", at.shown(), place.shown()),
            format!("its size is {:#x}: the child's is {:#x}", footer.size, child.size),
        ));
    }
    Ok(below)
}

/// The names of the parent: relative ones first, then the last part of absolute ones.
fn names(file: &dyn Image, header: &DynamicHeader) -> Result<Vec<Vec<u8>>> {
    let mut relative = Vec::new();
    let mut absolute = Vec::new();
    for entry in header.locators.chunks(ENTRY) {
        let s = Structure::new(LAYER, "parent locator", header.at, entry);
        let code = s.array::<4>(0)?;
        let (length, at) = (s.be32(8)?, s.be64(16)?);
        let into = match &code {
            b"W2ru" => &mut relative,
            b"W2ku" => &mut absolute,
            _ => continue,
        };
        if length > MAX_DATA {
            return Err(s.wrong(format!("a name of {length} bytes: at most {MAX_DATA}")));
        }
        let data = read_vec(file, at, narrow(length))?;
        into.push(utf16(units(&data)));
    }
    let plain = utf16(units(&header.parent_name).map(u16::swap_bytes));
    let all = relative.into_iter().chain(absolute).chain([plain]);
    Ok(all.map(|name| from_windows(name.as_bytes())).filter(|name| !name.is_empty()).collect())
}
