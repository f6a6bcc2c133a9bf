//! OVA: a tar archive with a description of a machine and its disks, of which the VMDK is read where it lies.
//!
//! Reference: DMTF DSP0243, "Open Virtualization Format", 5.3 "Distribution as a single file"; POSIX.1-1988,
//! "ustar Interchange Format": headers of 512 bytes, contents padded to as much.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 100 | name |
//! | 124 | 12 | size, octal, or with the top bit set big-endian |
//! | 148 | 8 | checksum: the sum of all bytes, these being spaces |
//! | 156 | 1 | type; `0` or NUL is a file, `x` and `L` say more of the next one |
//! | 257 | 5 | `ustar` |
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    field::narrow,
    image::{
        Image,
        beneath::Place,
        layer::{Findings, Layer},
        mapped::{Layered, Window},
        structure::{Structure, read_vec},
        vmdk,
    },
};

const LAYER: &str = "ova";
const BLOCK: u64 = 512;
/// A machine with all its disks in pieces has some hundred.
const MAX_MEMBERS: usize = 4096;
/// Longest header about the next file; a path has at most 4 KiB.
const MAX_HEADER: u64 = 1 << 20;

/// A file in the archive.
struct Member {
    name: String,
    at: u64,
    len: u64,
}

/// Opens the first disk of the machine in `file`.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place) -> Result<Layer> {
    let members = members(&*file)?;
    let is_disk = |member: &&Member| member.name.to_ascii_lowercase().ends_with(".vmdk");
    let Some(disk) = members.iter().find(is_disk) else {
        return Err(Error::unsupported(LAYER, format!("{}: {}", place.shown(), why_no_disk(&members))));
    };
    let window = Window::new(LAYER, Arc::clone(&file), disk.at, disk.len)?;
    let mut findings = Findings::default();
    let below = vmdk::open(Arc::new(window), place).map_err(|error| match error {
        Error::Corrupt { layer, at, what } => {
            Error::Corrupt { layer, at: format!("'{}': {at}", disk.name.escape_debug()), what }
        }
        other => other,
    })?;
    let image = findings.stand_on(below);
    // Also those that are in pieces, or compressed once more.
    let is_other = |other: &&Member| other.at != disk.at && other.name.to_ascii_lowercase().contains(".vmdk");
    findings.gaps.extend(members.iter().filter(is_other).map(|other| {
        format!(
            "ova: {}: only the first disk is read, not '{}'; extract it: tar -xf, and join the disks with +",
            place.shown(),
            other.name.escape_debug()
        )
    }));
    Ok(findings.with(LAYER, image))
}

fn why_no_disk(members: &[Member]) -> &'static str {
    let ends = |end: &str| members.iter().any(|m| m.name.to_ascii_lowercase().ends_with(end));
    if ends(".vmdk.gz") {
        "its disks are compressed once more; extract them: tar -xf, then gzip -d"
    } else if members.iter().any(|m| m.name.contains(".vmdk.0")) {
        "its disk is in pieces; extract and join them: tar -xf, then cat"
    } else {
        "a tar archive without a VMDK in it; unpack it and name the disk inside"
    }
}

/// What headers of their own say of the file behind them, where its own has no room for that.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Said {
    /// Takes the `data` of a header of this `kind`: records of pax (POSIX.1-2001, "pax Header Block"), each its length,
    /// a blank, key, `=`, value and a newline; or the long name of GNU tar.
    fn take(&mut self, kind: u8, data: &[u8]) {
        if kind == b'L' {
            self.name = data.split(|b| *b == 0).next().map(<[u8]>::to_vec);
            return;
        }
        let mut rest = data;
        while let Some((record, more)) = pax_record(rest) {
            match record.iter().position(|b| *b == b'=').map(|at| record.split_at(at)) {
                Some((b"path", value)) => self.name = value.get(1..).map(<[u8]>::to_vec),
                Some((b"size", value)) => self.size = value.get(1..).and_then(|text| number(text, 10)),
                _ => {}
            }
            rest = more;
        }
    }
}

/// The first record, from its key to before its newline, and what is behind it.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = bytes.iter().position(|b| *b == b' ')?;
    let len = narrow(number(bytes.get(..blank)?, 10)?);
    let record = bytes.get(blank.checked_add(1)?..len.checked_sub(1)?)?;
    Some((record, bytes.get(len..)?))
}

/// The files of the archive, in its order.
fn members(file: &dyn Image) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut said = Said::default();
    let mut at = 0_u64;
    while at < file.len() {
        let bytes = read_vec(file, at, narrow(BLOCK))?;
        if bytes.iter().all(|b| *b == 0) {
            break;
        }
        let s = Structure::new(LAYER, "tar header", at, &bytes);
        let sum = bytes
            .iter()
            .enumerate()
            .map(|(n, b)| if (148..156).contains(&n) { 32 } else { u64::from(*b) })
            .sum::<u64>();
        let found = number(s.slice(148, 8)?, 8).ok_or_else(|| s.wrong("its checksum is no number"))?;
        if found != sum {
            return Err(s.wrong(format!("its checksum is {found}: expected {sum}")));
        }
        let data = at.saturating_add(BLOCK);
        let [kind] = s.array(156)?;
        let mut len = size(&s)?;
        match kind {
            b'x' | b'L' if len > MAX_HEADER => {
                return Err(s.wrong(format!("{len:#x} bytes about the next file: at most {MAX_HEADER:#x}")));
            }
            b'x' | b'L' => said.take(kind, &read_vec(file, data, narrow(len))?),
            // The long target of a link, and what holds for all files.
            b'K' | b'g' => {}
            _ => {
                let Said { name, size } = std::mem::take(&mut said);
                len = size.unwrap_or(len);
                if matches!(kind, 0 | b'0') {
                    if members.len() >= MAX_MEMBERS {
                        return Err(Error::budget(LAYER, format!("more than {MAX_MEMBERS} files in the archive")));
                    }
                    let own = s.slice(0, 100)?.split(|b| *b == 0).next().unwrap_or_default();
                    let name = String::from_utf8_lossy(name.as_deref().unwrap_or(own)).into_owned();
                    members.push(Member { name, at: data, len });
                }
            }
        }
        at = len
            .checked_next_multiple_of(BLOCK)
            .and_then(|padded| data.checked_add(padded))
            .ok_or_else(|| s.wrong(format!("a file of {len:#x} bytes")))?;
    }
    Ok(members)
}

fn size(s: &Structure<'_>) -> Result<u64> {
    let field = s.array::<12>(124)?;
    if field.first().is_some_and(|b| b & 0x80 != 0) {
        return s.be64(128);
    }
    number(&field, 8).ok_or_else(|| s.wrong("its size is no number"))
}

fn number(field: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, radix).ok()
}
