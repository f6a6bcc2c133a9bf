//! Logical volumes as images: each segment by its type, from the physical volumes or other logical volumes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    dm_raid,
    metadata::{LogicalVolume, VolumeGroup},
    segment::{Area, Kind, Leg, Segment},
    thin::{Pool, Thin},
};
use crate::{
    field::wide,
    image::{Image, Slice},
    volume::{
        reasons,
        segmented::{Segmented, Striped, Zeros},
    },
};

/// Logical volumes in one another; six are what lvm itself makes.
const MAX_DEPTH: usize = 16;

/// An image, or why there is none.
type Made = Result<Arc<dyn Image>, String>;

/// The logical volumes of one group, each made when it is first needed.
pub(super) struct Logical<'a> {
    group: &'a VolumeGroup,
    present: BTreeMap<&'a str, &'a Arc<dyn Image>>,
    missing: &'a BTreeMap<String, String>,
    /// What cannot be read although its segments can be parsed, and why.
    refused: BTreeMap<&'a str, String>,
    made: BTreeMap<String, Made>,
    pools: BTreeMap<String, Result<Arc<Pool>, String>>,
    /// Those that are being made, the outermost first.
    open: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Logical<'a> {
    pub(super) fn new(
        group: &'a VolumeGroup,
        present: BTreeMap<&'a str, &'a Arc<dyn Image>>,
        missing: &'a BTreeMap<String, String>,
    ) -> Self {
        let mut refused = snapshots(group);
        refused.extend(overlaps(group));
        Self {
            group,
            present,
            missing,
            refused,
            made: BTreeMap::new(),
            pools: BTreeMap::new(),
            open: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What was noticed on the way.
    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// The names of the logical volumes that a machine would show. The store of a snapshot is called what the
    /// snapshot is called; what joins it to its origin has no name of its own.
    pub(super) fn shown(&self) -> Vec<&'a str> {
        let stores: BTreeSet<&str> = self.snapshot_stores().collect();
        let joint = |lv: &LogicalVolume| {
            lv.segments.iter().flatten().any(|segment| matches!(segment.kind, Kind::Snapshot { .. }))
        };
        let shown = |(name, lv): &(&'a String, &'a LogicalVolume)| {
            (lv.visible && !joint(lv) && !is_pool(lv)) || stores.contains(name.as_str())
        };
        self.group.logical.iter().filter(shown).map(|(name, _)| name.as_str()).collect()
    }

    fn snapshot_stores(&self) -> impl Iterator<Item = &'a str> {
        let segments = self.group.logical.values().flat_map(|lv| lv.segments.iter().flatten());
        segments.filter_map(|segment| match &segment.kind {
            Kind::Snapshot { store, .. } => Some(store.as_str()),
            _ => None,
        })
    }

    /// The bytes of a logical volume.
    pub(super) fn image(&mut self, name: &str) -> Made {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        if self.open.iter().any(|open| open == name) {
            return Err(format!("{name} is made of itself, by way of {}", self.open.join(", ")));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} logical volumes in one another"));
        }
        self.open.push(name.to_owned());
        let made = self.make(name).map_err(reasons::kept);
        self.open.pop();
        self.made.insert(name.to_owned(), made.clone());
        made
    }

    fn make(&mut self, name: &str) -> Made {
        let group = self.group;
        let lv = group.logical.get(name).ok_or_else(|| format!("there is no logical volume {name}"))?;
        if let Some(why) = self.refused.get(name) {
            return Err(why.clone());
        }
        let segments = lv.segments.as_ref().map_err(Clone::clone)?;
        let images = segments.iter().map(|segment| self.segment(name, segment)).collect::<Result<Vec<_>, _>>()?;
        Segmented::join(images).map_err(|error| error.to_string())
    }

    fn bytes(&self, extents: u64) -> Result<u64, String> {
        extents.checked_mul(self.group.extent).ok_or_else(|| format!("{extents} extents are more than 16 EiB"))
    }

    fn segment(&mut self, name: &str, segment: &Segment) -> Made {
        let len = self.bytes(segment.count)?;
        match &segment.kind {
            Kind::Striped { areas, stripe } => self.striped(areas, *stripe, segment.count),
            Kind::Mirror(areas) => {
                self.first_sound(name, segment.count, areas.iter().map(|area| (area, true)).collect())
            }
            Kind::Raid1(legs) => self.raid1(name, segment.count, legs),
            Kind::Thin { pool, device, external } => self.thin(pool, *device, external.as_deref(), len),
            Kind::Zero => Ok(Arc::new(Zeros(len))),
            Kind::ThinPool { .. } => Err("a thin pool has no content of its own".to_owned()),
            Kind::Snapshot { .. } => Err("segment type snapshot is not read".to_owned()),
            Kind::Other(kind) => Err(format!("segment type {kind} is not read")),
        }
    }

    fn striped(&mut self, areas: &[Area], stripe: u64, count: u64) -> Made {
        if let [only] = areas {
            return self.area(only, count);
        }
        let legs = wide(areas.len());
        if count.checked_rem(legs) != Some(0) {
            return Err(format!("{count} extents cannot be dealt to {legs} stripes"));
        }
        let each = count.checked_div(legs).unwrap_or_default();
        let legs = areas.iter().map(|area| self.area(area, each)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Striped::new(legs, stripe).map_err(|error| error.to_string())?))
    }

    /// A range of a physical or of another logical volume.
    fn area(&mut self, area: &Area, count: u64) -> Made {
        let group = self.group;
        let end = area.first.checked_add(count).ok_or_else(|| format!("area {} ends past 2⁶⁴", area.name))?;
        let (start, len) = (self.bytes(area.first)?, self.bytes(count)?);
        let Some(physical) = group.physical.get(&area.name) else {
            let whole = self.image(&area.name)?;
            let slice = Slice::new(whole, start, len)
                .map_err(|_| format!("extents {} to {end} of {} lie past its end", area.first, area.name))?;
            return Ok(Arc::new(slice));
        };
        if let Some(id) = self.missing.get(&area.name) {
            return Err(format!("physical volume {id} is missing"));
        }
        let image = self.present.get(area.name.as_str());
        let image = image.ok_or_else(|| format!("physical volume {} is missing", physical.printed))?;
        if end > physical.extents {
            return Err(format!(
                "extents {} to {end} of physical volume {}, which has {}",
                area.first, area.name, physical.extents
            ));
        }
        let start = start.saturating_add(physical.start);
        let slice = Slice::new(Arc::clone(image), start, len)
            .map_err(|error| format!("extents {} to {end} of physical volume {}: {error}", area.first, area.name))?;
        Ok(Arc::new(slice))
    }

    /// Whether anything of it lies on a physical volume that the group has been used without.
    fn may_be_old(&self, name: &str, depth: usize) -> bool {
        let Some(below) = depth.checked_sub(1) else { return true };
        if let Some(physical) = self.group.physical.get(name) {
            return physical.missing;
        }
        let segments = self.group.logical.get(name).and_then(|lv| lv.segments.as_ref().ok());
        segments.is_none_or(|segments| {
            segments.iter().any(|segment| match &segment.kind {
                Kind::Striped { areas, .. } => areas.iter().any(|area| self.may_be_old(&area.name, below)),
                _ => false,
            })
        })
    }

    /// The first of several areas that hold the same, of which those that are `true` are known to be sound.
    fn first_sound(&mut self, name: &str, count: u64, areas: Vec<(&Area, bool)>) -> Made {
        /// Legs are plain volumes; deeper ones are not looked into.
        const LEG_DEPTH: usize = 3;
        let total = areas.len();
        let (mut first, mut sound, mut wrong) = (None, 0_usize, Vec::new());
        for (area, healthy) in areas {
            if !healthy || self.may_be_old(&area.name, LEG_DEPTH) {
                wrong.push(format!("{} is not up to date", area.name));
                continue;
            }
            match self.area(area, count) {
                Ok(image) => {
                    sound = sound.saturating_add(1);
                    first = first.or(Some(image));
                }
                Err(why) => wrong.push(why),
            }
        }
        let image = first.ok_or_else(|| format!("none of {total} legs can be read: {}", reasons::told(&wrong)))?;
        if sound < total {
            let group = &self.group.name;
            self.notes.push(format!(
                "{}: logical volume {group}/{name}: {sound} of {total} legs are sound: {}",
                super::LAYER,
                reasons::told(&wrong)
            ));
        }
        Ok(image)
    }

    fn raid1(&mut self, name: &str, count: u64, legs: &[Leg]) -> Made {
        let metadata: Vec<Option<Arc<dyn Image>>> =
            legs.iter().map(|leg| leg.metadata.as_ref().and_then(|name| self.image(name).ok())).collect();
        let healthy = dm_raid::healthy(&metadata.iter().map(Option::as_deref).collect::<Vec<_>>());
        let areas: Vec<Area> = legs.iter().map(|leg| Area { name: leg.data.clone(), first: 0 }).collect();
        self.first_sound(name, count, areas.iter().zip(healthy).collect())
    }

    fn thin(&mut self, pool: &str, device: u64, external: Option<&str>, len: u64) -> Made {
        let external = external.map(|name| self.image(name)).transpose()?;
        let pool = self.pool(pool)?;
        Ok(Arc::new(Thin::open(pool, device, len, external).map_err(|error| error.to_string())?))
    }

    fn pool(&mut self, name: &str) -> Result<Arc<Pool>, String> {
        if let Some(pool) = self.pools.get(name) {
            return pool.clone();
        }
        let pool = self.open_pool(name).map_err(|why| format!("thin pool {name}: {why}"));
        self.pools.insert(name.to_owned(), pool.clone());
        pool
    }

    fn open_pool(&mut self, name: &str) -> Result<Arc<Pool>, String> {
        let group = self.group;
        let lv = group.logical.get(name).ok_or("there is no such logical volume")?;
        let segments = lv.segments.as_ref().map_err(Clone::clone)?;
        let [Segment { kind: Kind::ThinPool { metadata, data, chunk }, .. }] = segments.as_slice() else {
            return Err("it is none".to_owned());
        };
        let (metadata, data) = (self.image(metadata)?, self.image(data)?);
        let pool = Pool::open(metadata, data, *chunk).map_err(|error| error.to_string())?;
        if pool.needs_check() {
            self.notes.push(format!("dm-thin: thin pool {}/{name} is marked as in need of a check", group.name));
        }
        Ok(Arc::new(pool))
    }
}

/// Whether it is only room for others: its content shows in the volumes that lie in it.
fn is_pool(lv: &LogicalVolume) -> bool {
    let pool = |segment: &Segment| match &segment.kind {
        Kind::ThinPool { .. } => true,
        Kind::Other(kind) => matches!(kind.split('+').next(), Some("cache-pool" | "vdo-pool")),
        _ => false,
    };
    lv.segments.as_ref().is_ok_and(|segments| segments.iter().all(pool))
}

/// Old-style snapshots: their stores hold no filesystem, and an origin that one is merged into is not what it holds.
fn snapshots(group: &VolumeGroup) -> BTreeMap<&str, String> {
    let mut refused = BTreeMap::new();
    for segment in group.logical.values().flat_map(|lv| lv.segments.iter().flatten()) {
        if let Kind::Snapshot { origin, store, merging } = &segment.kind {
            refused.insert(store.as_str(), format!("segment type snapshot is not read: it is a snapshot of {origin}"));
            if *merging {
                refused
                    .insert(origin.as_str(), format!("segment type snapshot is not read: {store} is merged into it"));
            }
        }
    }
    refused
}

/// Logical volumes that lay claim to the same extents.
fn overlaps(group: &VolumeGroup) -> BTreeMap<&str, String> {
    let mut ranges = Vec::new();
    for (name, lv) in &group.logical {
        for segment in lv.segments.iter().flatten() {
            let (areas, count) = match &segment.kind {
                Kind::Striped { areas, .. } => (areas, segment.count.checked_div(wide(areas.len()))),
                Kind::Mirror(areas) => (areas, Some(segment.count)),
                _ => continue,
            };
            let count = count.unwrap_or_default();
            let range = |area: &'_ Area| (area.first, area.first.saturating_add(count));
            ranges.extend(areas.iter().map(|area| (area.name.as_str(), range(area), name.as_str())));
        }
    }
    ranges.sort_unstable();
    let mut found = BTreeMap::new();
    let mut furthest: Option<(&str, u64, &str)> = None;
    for (area, (start, end), name) in ranges {
        match furthest {
            Some((same, reached, other)) if same == area => {
                if start < reached {
                    let why = |other: &str| format!("extent {start} of {area} belongs to {other} as well");
                    found.insert(name, why(other));
                    found.insert(other, why(name));
                }
                if end > reached {
                    furthest = Some((area, end, name));
                }
            }
            _ => furthest = Some((area, end, name)),
        }
    }
    found
}
