//! What the text says: a volume group, its physical and its logical volumes.
//!
//! `lib/format_text/import_vsn1.c`. Sizes are in sectors of 512 bytes, or in extents of the group.

use std::collections::BTreeMap;

use super::{
    segment::{Kind, Segment},
    text::{self, Section, Value},
};

const SECTOR: u64 = 512;
/// Bytes of a name (`NAME_LEN`, with the zero at its end): names are told with whatever lies on what they name.
const MAX_NAME: usize = 127;

/// A volume group, as one text describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VolumeGroup {
    pub(super) name: String,
    /// Without hyphens.
    pub(super) id: String,
    /// Grows with every change.
    pub(super) seqno: u64,
    /// The size of an extent in bytes.
    pub(super) extent: u64,
    /// Its status flags, as `EXPORTED` and `PARTIAL`.
    pub(super) status: Vec<String>,
    pub(super) physical: BTreeMap<String, PhysicalVolume>,
    pub(super) logical: BTreeMap<String, LogicalVolume>,
}

/// A physical volume, as the group knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhysicalVolume {
    /// Without hyphens.
    pub(super) id: String,
    /// With hyphens, as it is printed.
    pub(super) printed: String,
    /// Where its first extent begins, in bytes.
    pub(super) start: u64,
    /// Its extents.
    pub(super) extents: u64,
    /// The group has been used without it: what is on it may be old.
    pub(super) missing: bool,
}

/// A logical volume, also such as others are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogicalVolume {
    /// With hyphens, as it is printed.
    pub(super) id: String,
    /// Whether it is a volume of its own, and no part of others.
    pub(super) visible: bool,
    /// Its segments, by their first extents; or what is wrong with them.
    pub(super) segments: Result<Vec<Segment>, String>,
}

impl LogicalVolume {
    /// Whether its bytes lie in a pool, wherever that had room.
    pub(super) fn is_thin(&self) -> bool {
        self.segments.iter().flatten().any(|segment| matches!(segment.kind, Kind::Thin { .. }))
    }
}

/// Whether this is an id without its hyphens.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#'))
}

/// Reads a text.
pub(super) fn parse(text: &[u8]) -> Result<VolumeGroup, String> {
    let file = text::parse(text)?;
    if string(&file, "contents")? != "Text Format Volume Group" || number(&file, "version")? != 1 {
        return Err("not a volume group of version 1".to_owned());
    }
    let mut groups = subsections(&file);
    let (Some((name, group)), None) = (groups.next(), groups.next()) else {
        return Err("expected one volume group".to_owned());
    };
    let extent = number(group, "extent_size")?.checked_mul(SECTOR).filter(|&extent| extent > 0);
    let physical = optional_section(group, "physical_volumes").map(subsections).into_iter().flatten();
    let logical = optional_section(group, "logical_volumes").map(subsections).into_iter().flatten();
    Ok(VolumeGroup {
        name: checked_name(name)?,
        id: id(group)?.1,
        seqno: number(group, "seqno")?,
        extent: extent.ok_or("its extents have no size")?,
        status: strings(group, "status"),
        physical: physical
            .map(|(name, section)| {
                Ok((checked_name(name)?, physical_volume(section).map_err(|why| format!("{name}: {why}"))?))
            })
            .collect::<Result<_, String>>()?,
        logical: logical
            .map(|(name, section)| {
                Ok((checked_name(name)?, logical_volume(section).map_err(|why| format!("{name}: {why}"))?))
            })
            .collect::<Result<_, String>>()?,
    })
}

fn checked_name(name: &str) -> Result<String, String> {
    if name.len() > MAX_NAME {
        return Err(format!("a name of {} bytes, at most {MAX_NAME}", name.len()));
    }
    Ok(name.to_owned())
}

fn physical_volume(section: &Section) -> Result<PhysicalVolume, String> {
    let start = number(section, "pe_start")?.checked_mul(SECTOR);
    let flags = [strings(section, "status"), strings(section, "flags")].concat();
    let (printed, id) = id(section)?;
    Ok(PhysicalVolume {
        id,
        printed,
        start: start.ok_or("pe_start lies past 16 EiB")?,
        extents: number(section, "pe_count")?,
        missing: flags.iter().any(|flag| flag == "MISSING"),
    })
}

fn logical_volume(section: &Section) -> Result<LogicalVolume, String> {
    let (printed, _) = id(section)?;
    let visible = strings(section, "status").iter().any(|flag| flag == "VISIBLE");
    Ok(LogicalVolume { id: printed, visible, segments: segments(section) })
}

/// The segments of a logical volume: those that `segment_count` counts, without gaps and overlaps.
fn segments(section: &Section) -> Result<Vec<Segment>, String> {
    let mut segments: Vec<Segment> = subsections(section)
        .filter(|(name, _)| name.starts_with("segment"))
        .map(|(name, section)| Segment::parse(section).map_err(|why| format!("{name}: {why}")))
        .collect::<Result<_, _>>()?;
    let count = number(section, "segment_count")?;
    if segments.is_empty() || usize::try_from(count) != Ok(segments.len()) {
        return Err(format!("it has {} segments, expected {count}", segments.len()));
    }
    segments.sort_by_key(|segment| segment.start);
    let mut end = 0_u64;
    for segment in &segments {
        if segment.start != end {
            return Err(format!("a segment at extent {}, expected at {end}", segment.start));
        }
        end = end.checked_add(segment.count).ok_or("its segments have more than 2⁶⁴ extents")?;
    }
    Ok(segments)
}

/// The id of a section: as it stands there, and without hyphens.
fn id(section: &Section) -> Result<(String, String), String> {
    let printed = string(section, "id")?;
    let bare = printed.replace('-', "");
    if is_id(&bare) { Ok((printed.to_owned(), bare)) } else { Err(format!("{printed} is no id")) }
}

fn subsections(section: &Section) -> impl Iterator<Item = (&String, &Section)> {
    section.iter().filter_map(|(name, value)| match value {
        Value::Section(section) => Some((name, section)),
        _ => None,
    })
}

fn optional_section<'a>(section: &'a Section, name: &str) -> Option<&'a Section> {
    match section.get(name) {
        Some(Value::Section(section)) => Some(section),
        _ => None,
    }
}

/// A string that must be there.
pub(super) fn string<'a>(section: &'a Section, name: &str) -> Result<&'a str, String> {
    match section.get(name) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(format!("no string {name}")),
    }
}

/// A string that may be there.
pub(super) fn optional_string(section: &Section, name: &str) -> Option<String> {
    string(section, name).ok().map(str::to_owned)
}

/// A number that must be there and is not negative.
pub(super) fn number(section: &Section, name: &str) -> Result<u64, String> {
    match section.get(name) {
        Some(Value::Number(number)) => u64::try_from(*number).map_err(|_| format!("{name} is negative")),
        _ => Err(format!("no number {name}")),
    }
}

/// A size in sectors, as bytes.
pub(super) fn sectors(section: &Section, name: &str) -> Result<u64, String> {
    number(section, name)?.checked_mul(SECTOR).ok_or_else(|| format!("{name} is more than 16 EiB"))
}

/// A list that must be there.
pub(super) fn list<'a>(section: &'a Section, name: &str) -> Result<&'a [Value], String> {
    match section.get(name) {
        Some(Value::List(list)) => Ok(list),
        _ => Err(format!("no list {name}")),
    }
}

/// The strings of a list that may be there.
fn strings(section: &Section, name: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    list(section, name).unwrap_or_default().iter().filter_map(text).collect()
}
