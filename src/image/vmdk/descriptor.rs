//! "The Descriptor File": lines of `key=value`, and one line for each extent:
//! `RW 4192256 SPARSE "disk-s001.vmdk"`, `RW 8192 FLAT "disk-flat.vmdk" 0`, `RW 8192 ZERO`.

use super::LAYER;
use crate::{
    error::{Error, Result},
    field::narrow,
    image::{Image, structure::read_vec},
};

/// A descriptor of 2 TiB in pieces of 2 GiB has 60 KiB.
const MAX_TEXT: u64 = 1 << 20;
const MAX_EXTENTS: usize = 4096;
/// `parentCID` of a disk without parent.
const NO_PARENT: u32 = 0xffff_ffff;
const MAGIC: &[u8] = b"# Disk DescriptorFile";

/// How an extent's file holds its sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtentKind {
    /// One after the other, from an offset.
    Flat,
    /// In grains: any of the sparse formats, which the file itself says.
    Sparse,
    /// Not at all.
    Zero,
}

/// One line of the extent description.
pub(super) struct ExtentLine {
    pub(super) sectors: u64,
    pub(super) kind: ExtentKind,
    pub(super) name: Vec<u8>,
    /// Of a flat extent, the sector of the file where it begins.
    pub(super) offset: u64,
}

impl ExtentLine {
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).escape_debug().to_string()
    }
}

/// What a descriptor says.
pub(super) struct Descriptor {
    pub(super) cid: Option<u32>,
    /// The content id that the parent must have.
    pub(super) parent_cid: Option<u32>,
    pub(super) parent_hint: Option<Vec<u8>>,
    pub(super) extents: Vec<ExtentLine>,
}

/// The text of a descriptor that is a file of its own.
pub(super) fn text_file(file: &dyn Image) -> Result<Vec<u8>> {
    let len = file.len();
    if len > MAX_TEXT {
        return Err(Error::budget(LAYER, format!("a descriptor of {len:#x} bytes: at most {MAX_TEXT:#x}")));
    }
    let text = read_vec(file, 0, narrow(len))?;
    if !text.starts_with(MAGIC) {
        return Err(Error::corrupt(LAYER, "descriptor", "it does not begin with '# Disk DescriptorFile'"));
    }
    Ok(text)
}

/// The text of a descriptor inside a sparse file; it is padded with NULs.
pub(super) fn embedded(file: &dyn Image, at: u64, len: u64) -> Result<Vec<u8>> {
    if len > MAX_TEXT {
        return Err(Error::budget(LAYER, format!("a descriptor of {len:#x} bytes: at most {MAX_TEXT:#x}")));
    }
    let mut text = read_vec(file, at, narrow(len))?;
    text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
    Ok(text)
}

impl Descriptor {
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let mut found = Self { cid: None, parent_cid: None, parent_hint: None, extents: Vec::new() };
        for line in text.split(|b| *b == b'\n') {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if let Some(extent) = extent_line(line)? {
                if found.extents.len() >= MAX_EXTENTS {
                    return Err(Error::budget(LAYER, format!("a descriptor with more than {MAX_EXTENTS} extents")));
                }
                found.extents.push(extent);
                continue;
            }
            let Some(at) = line.iter().position(|b| *b == b'=') else { continue };
            let (key, value) = line.split_at(at);
            let quoted = value.get(1..).unwrap_or_default().trim_ascii();
            let bytes = quoted.strip_prefix(b"\"").unwrap_or(quoted);
            let bytes = bytes.strip_suffix(b"\"").unwrap_or(bytes);
            let value = &*String::from_utf8_lossy(bytes);
            match key.trim_ascii().to_ascii_lowercase().as_slice() {
                b"cid" => found.cid = Some(content_id(value)?),
                b"parentcid" => found.parent_cid = Some(content_id(value)?).filter(|cid| *cid != NO_PARENT),
                b"parentfilenamehint" => found.parent_hint = Some(bytes.to_vec()),
                b"encoding" | b"createtype" | b"version" => {}
                b"encryption.keysafe" | b"encryption.data" => {
                    return Err(Error::unsupported(LAYER, "the disk is encrypted by VMware; decrypt it there"));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn content_id(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 16).map_err(|_| {
        Error::corrupt(LAYER, "descriptor", format!("the content id '{}' is no number", text.escape_debug()))
    })
}

/// Access, sectors, type, and then the name in quotes and an offset; `None` when the line is no extent.
fn extent_line(line: &[u8]) -> Result<Option<ExtentLine>> {
    let wrong = |what: &str| {
        Error::corrupt(
            LAYER,
            "descriptor",
            format!("{what} in the extent '{}'", String::from_utf8_lossy(line).escape_debug()),
        )
    };
    let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    match words.next() {
        Some(b"RW" | b"RDONLY") => {}
        Some(b"NOACCESS") => return Err(Error::unsupported(LAYER, "an extent without access")),
        _ => return Ok(None),
    }
    let sectors = words.next().and_then(number).ok_or_else(|| wrong("no number of sectors"))?;
    let kind = match words.next() {
        Some(b"FLAT" | b"VMFS") => ExtentKind::Flat,
        Some(b"SPARSE" | b"VMFSSPARSE" | b"SESPARSE") => ExtentKind::Sparse,
        Some(b"ZERO") => ExtentKind::Zero,
        other => {
            let name = String::from_utf8_lossy(other.unwrap_or_default()).escape_debug().to_string();
            return Err(Error::unsupported(
                LAYER,
                format!("an extent of the type '{name}'; a raw device is no part of the image"),
            ));
        }
    };
    let mut quoted = line.split(|b| *b == b'"').skip(1);
    let name = quoted.next().unwrap_or_default().to_vec();
    if name.is_empty() && kind != ExtentKind::Zero {
        return Err(wrong("no name"));
    }
    let offset = match quoted.next().map(<[u8]>::trim_ascii).unwrap_or_default() {
        [] => 0,
        text => text.split(u8::is_ascii_whitespace).next().and_then(number).ok_or_else(|| wrong("no offset"))?,
    };
    Ok(Some(ExtentLine { sectors, kind, name, offset }))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
