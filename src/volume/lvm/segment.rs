//! A segment of a logical volume: a range of extents, and what they map to.
//!
//! `lib/striped/striped.c`, `lib/mirror/mirrored.c`, `lib/raid/raid.c`, `lib/thin/thin.c`,
//! `lib/snapshot/snapshot.c`: each segment type exports its own fields.

use super::{
    metadata::{list, number, optional_string, sectors, string},
    text::{Section, Value},
};

/// More legs are not read; dm-raid has at most 253.
const MAX_AREAS: usize = 256;

/// A range of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its first extent in the logical volume.
    pub(super) start: u64,
    /// How many extents it has; at least one.
    pub(super) count: u64,
    pub(super) kind: Kind,
}

/// What a segment maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// One area, or several in turn; the size of a stripe in bytes, if there is one.
    Striped { areas: Vec<Area>, stripe: u64 },
    /// Areas that hold the same.
    Mirror(Vec<Area>),
    /// Logical volumes that hold the same, each with one for what dm-raid knows about it.
    Raid1(Vec<Leg>),
    /// The room of thin volumes.
    ThinPool { metadata: String, data: String, chunk: u64 },
    /// A thin volume: device `device` of a pool; where it has nothing, its origin shows through.
    Thin { pool: String, device: u64, external: Option<String> },
    /// An old-style snapshot, which joins an origin and a store of what was there before.
    Snapshot { origin: String, store: String, merging: bool },
    /// Nothing but zeros.
    Zero,
    /// Another type, by its name; nothing can be read.
    Other(String),
}

/// A range of extents of a physical or a logical volume; as many as the segment needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) name: String,
    pub(super) first: u64,
}

/// A leg of a RAID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) metadata: Option<String>,
    pub(super) data: String,
}

impl Segment {
    pub(super) fn parse(section: &Section) -> Result<Self, String> {
        let count = number(section, "extent_count")?;
        if count == 0 {
            return Err("it has no extents".to_owned());
        }
        Ok(Self { start: number(section, "start_extent")?, count, kind: kind(section)? })
    }
}

fn kind(section: &Section) -> Result<Kind, String> {
    let name = |key| string(section, key).map(str::to_owned);
    // A type may have flags behind it, as `cache+METADATA_FORMAT`; one that is not known can change the layout.
    Ok(match string(section, "type")? {
        "striped" | "linear" => {
            let areas = areas(list(section, "stripes")?)?;
            let stripe = if areas.len() > 1 { sectors(section, "stripe_size")? } else { 0 };
            counted(section, "stripe_count", areas.len())?;
            Kind::Striped { areas, stripe }
        }
        "mirror" => {
            let areas = areas(list(section, "mirrors")?)?;
            counted(section, "mirror_count", areas.len())?;
            Kind::Mirror(areas)
        }
        "raid1" => Kind::Raid1(legs(list(section, "raids")?)?),
        "raid0" | "raid0_meta" => raid0(section)?,
        "thin-pool" => {
            Kind::ThinPool { metadata: name("metadata")?, data: name("pool")?, chunk: sectors(section, "chunk_size")? }
        }
        "thin" => Kind::Thin {
            pool: name("thin_pool")?,
            device: number(section, "device_id")?,
            external: optional_string(section, "external_origin"),
        },
        "snapshot" => {
            let merging = section.contains_key("merging_store");
            let store = if merging { "merging_store" } else { "cow_store" };
            Kind::Snapshot { origin: name("origin")?, store: name(store)?, merging }
        }
        "zero" => Kind::Zero,
        other => Kind::Other(other.to_owned()),
    })
}

fn counted(section: &Section, key: &str, found: usize) -> Result<(), String> {
    let expected = number(section, key)?;
    if usize::try_from(expected) == Ok(found) {
        Ok(())
    } else {
        Err(format!("{found} areas, expected {key} {expected}"))
    }
}

/// Pairs of a name and a first extent.
fn areas(list: &[Value]) -> Result<Vec<Area>, String> {
    let (pairs, rest) = list.as_chunks();
    if pairs.is_empty() || !rest.is_empty() || pairs.len() > MAX_AREAS {
        return Err(format!("{} words for its areas, expected pairs, at most {MAX_AREAS}", list.len()));
    }
    let area = |[name, first]: &[Value; 2]| match (name, first) {
        (Value::Text(name), Value::Number(first)) => {
            let first = u64::try_from(*first).map_err(|_| format!("area {name} begins at {first}"))?;
            Ok(Area { name: name.clone(), first })
        }
        _ => Err("an area is not a name and a number".to_owned()),
    };
    pairs.iter().map(area).collect()
}

/// Pairs of logical volumes: metadata and data.
fn legs(list: &[Value]) -> Result<Vec<Leg>, String> {
    let (pairs, rest) = list.as_chunks();
    if pairs.is_empty() || !rest.is_empty() || pairs.len() > MAX_AREAS {
        return Err(format!("{} words for its legs, expected pairs, at most {MAX_AREAS}", list.len()));
    }
    let leg = |[metadata, data]: &[Value; 2]| match (metadata, data) {
        (Value::Text(metadata), Value::Text(data)) => Ok(Leg { metadata: Some(metadata.clone()), data: data.clone() }),
        _ => Err("a leg is not two names".to_owned()),
    };
    pairs.iter().map(leg).collect()
}

/// RAID 0 stripes over whole logical volumes.
fn raid0(section: &Section) -> Result<Kind, String> {
    let names: Vec<String> = if let Ok(list) = list(section, "raid0_lvs") {
        let text = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err("a leg is not a name".to_owned()),
        };
        list.iter().take(MAX_AREAS.saturating_add(1)).map(text).collect::<Result<_, _>>()?
    } else {
        legs(list(section, "raids")?)?.into_iter().map(|leg| leg.data).collect()
    };
    if names.is_empty() || names.len() > MAX_AREAS {
        return Err(format!("{} legs, expected 1 to {MAX_AREAS}", names.len()));
    }
    let areas = names.into_iter().map(|name| Area { name, first: 0 }).collect();
    Ok(Kind::Striped { areas, stripe: sectors(section, "stripe_size")? })
}
