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
//! | 156 | 1 | type; `0` or NUL is a file |
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
    let mut disks = members.iter().filter(is_disk);
    let Some(disk) = disks.next() else {
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
    findings.gaps.extend(disks.map(|other| {
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

/// The files of the archive, in its order.
fn members(file: &dyn Image) -> Result<Vec<Member>> {
    let mut members = Vec::new();
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
        let found = octal(s.slice(148, 8)?).ok_or_else(|| s.wrong("its checksum is no number"))?;
        if found != sum {
            return Err(s.wrong(format!("its checksum is {found}: expected {sum}")));
        }
        let len = size(&s)?;
        let data = at.saturating_add(BLOCK);
        if matches!(s.array(156)?, [0 | b'0']) {
            if members.len() >= MAX_MEMBERS {
                return Err(Error::budget(LAYER, format!("more than {MAX_MEMBERS} files in the archive")));
            }
            let name = s.slice(0, 100)?.split(|b| *b == 0).next().unwrap_or_default();
            members.push(Member { name: String::from_utf8_lossy(name).into_owned(), at: data, len });
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
    octal(&field).ok_or_else(|| s.wrong("its size is no number"))
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}
