//! Which volumes were lost and which came back, by what the two headers say.

use std::collections::{BTreeMap, HashMap};

use super::change::ScanChange;
use crate::manifest::{
    Header, Value, VolumeEntry, VolumeState,
    header::is_root,
    json::{Field, encode_value},
};

/// How a volume stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As before, or nothing is said of it.
    Same,
    /// It was read once, and now it is not there or cannot be read.
    Lost,
    /// It can be read again.
    Restored,
}

#[derive(Debug, Default)]
struct Volume<'a> {
    old: Option<&'a VolumeEntry>,
    new: Option<&'a VolumeEntry>,
    /// Entities of the old side; of a restored volume, the carried ones among them.
    entities: u64,
}

/// The volumes of both headers.
#[derive(Debug)]
pub(super) struct Volumes<'a> {
    old: &'a Header,
    new: &'a Header,
    /// By the id as it stands in records, as JSON.
    by_id: HashMap<Vec<u8>, Volume<'a>>,
    /// How many entities are carried of each lost volume, by the same.
    hidden: BTreeMap<Vec<u8>, u64>,
}

impl<'a> Volumes<'a> {
    pub(super) fn new(old: &'a Header, new: &'a Header) -> Self {
        let mut by_id: HashMap<Vec<u8>, Volume<'a>> = HashMap::new();
        for entry in &old.volumes {
            let side = &mut by_id.entry(json(&entry.volume)).or_default().old;
            *side = Some(better(*side, entry));
        }
        for entry in &new.volumes {
            let side = &mut by_id.entry(json(&entry.volume)).or_default().new;
            *side = Some(better(*side, entry));
        }
        Self { old, new, by_id, hidden: BTreeMap::new() }
    }

    /// How the volume of a record of the old side, which stood at `path`, stands.
    pub(super) fn standing(&self, volume: Option<Field<'_>>, path: &[u8], carried: bool) -> Standing {
        let Some(volume) = volume else { return Standing::Same };
        if is_registry(path) && is_without_system(self.new) && (carried || is_windows(self.old)) {
            return Standing::Lost;
        }
        if is_registry(path) && carried && self.found_registry() {
            return Standing::Restored;
        }
        match self.by_id.get(volume.json) {
            // Without the system's own volume nobody knows where the others were mounted.
            Some(volume) if carried && is_placed(path) && is_unplaced(volume.new) && !has_root(self.new) => {
                Standing::Lost
            }
            Some(volume) => self.stands(volume, carried),
            // Lost so long ago that neither header knows it.
            None if carried => Standing::Lost,
            None => Standing::Same,
        }
    }

    /// Whether records of a volume stand elsewhere on one side for no other reason than that the system's own
    /// volume, which says where it is mounted, could not be read there: they are compared when it is back.
    pub(super) fn is_astray(&self, volume: Option<Field<'_>>, path: &[u8]) -> bool {
        let volume = volume.and_then(|volume| self.by_id.get(volume.json));
        !is_placed(path) && volume.is_some_and(|volume| self.lost_place(volume) || self.found_place(volume))
    }

    fn lost_place(&self, volume: &Volume<'_>) -> bool {
        has_root(self.old) && !has_root(self.new) && is_mounted(volume.old) && is_unplaced(volume.new)
    }

    fn found_place(&self, volume: &Volume<'_>) -> bool {
        has_root(self.new) && !has_root(self.old) && is_mounted(volume.new) && is_unplaced(volume.old)
    }

    /// Whether hives were looked for on the old side, and on the new one there is no system to which they may belong:
    /// also those of volumes that are read without it, as the boot manager's, may be there.
    fn lost_registry(&self) -> bool {
        is_windows(self.old) && is_without_system(self.new)
    }

    fn found_registry(&self) -> bool {
        is_windows(self.new) && is_without_system(self.old)
    }

    fn stands(&self, volume: &Volume<'_>, carried: bool) -> Standing {
        if self.lost_place(volume) {
            return Standing::Lost;
        }
        if carried && self.found_place(volume) {
            return Standing::Restored;
        }
        if is_read(volume.new) {
            let gap = volume.old.is_some_and(|old| old.state == VolumeState::Gap);
            return if gap || (carried && !is_read(volume.old)) { Standing::Restored } else { Standing::Same };
        }
        let mount = volume.old.or(volume.new).and_then(|entry| entry.mount.as_deref());
        let known = carried || is_read(volume.old);
        if known && !self.is_replaced(mount) { Standing::Lost } else { Standing::Same }
    }

    /// Whether another volume is mounted there now: then paths are compared across volumes, lest a new id on an
    /// old disk hide what changed.
    fn is_replaced(&self, mount: Option<&str>) -> bool {
        mount.is_some() && self.new.volumes.iter().any(|entry| is_read(Some(entry)) && entry.mount.as_deref() == mount)
    }

    /// Whether a record of the new side at the path of a lost volume's entity shows what that volume was mounted
    /// over: it comes from another volume that was there before.
    pub(super) fn is_underneath(&self, lost: Option<Field<'_>>, volume: Option<Field<'_>>) -> bool {
        let known = volume.and_then(|volume| self.by_id.get(volume.json));
        lost != volume && known.is_some_and(|known| is_read(known.old))
    }

    /// Counts an entity of the old side on a volume that was lost or restored.
    pub(super) fn count(&mut self, volume: Option<Field<'_>>) {
        if let Some(volume) = volume.and_then(|volume| self.by_id.get_mut(volume.json)) {
            volume.entities += 1;
        }
    }

    /// Counts an entity of the old side on a volume that is lost.
    pub(super) fn hide(&mut self, volume: Option<Field<'_>>) {
        self.count(volume);
        if let Some(volume) = volume {
            *self.hidden.entry(volume.json.to_vec()).or_default() += 1;
        }
    }

    /// The lost volumes, and how many entities are carried of each.
    pub(super) fn hidden(&self) -> Vec<(String, u64)> {
        let id =
            |json: &[u8]| serde_json::from_slice(json).unwrap_or_else(|_| String::from_utf8_lossy(json).into_owned());
        self.hidden.iter().map(|(json, entities)| (id(json), *entities)).collect()
    }

    /// What was lost and what came back, in the order of the headers.
    pub(super) fn changes(&self) -> Vec<ScanChange> {
        let mut changes = Vec::new();
        for entry in &self.old.volumes {
            let Some(volume) = self.by_id.get(&json(&entry.volume)) else { continue };
            // Where nothing was known nothing is lost: no rule reached it. That it is a gap is said all the same.
            let is_lost = self.stands(volume, false) == Standing::Lost;
            if is_read(Some(entry)) && volume.entities > 0 && (is_lost || self.lost_registry()) {
                let why = match volume.new {
                    _ if !is_lost => "no Windows is found, to whose registry the hives on it belong".to_owned(),
                    Some(_) if self.lost_place(volume) => {
                        "where it is mounted is not known while the system's own volume cannot be read in full"
                            .to_owned()
                    }
                    Some(new) => new.why.clone().unwrap_or_else(|| format!("it is {} now", new.fs)),
                    None => "it is not there any more".to_owned(),
                };
                let (id, mount) = (entry.volume.clone(), entry.mount.clone());
                changes.push(ScanChange::CoverageLost { volume: id, mount, why, entities: volume.entities });
            }
        }
        for entry in &self.new.volumes {
            let Some(volume) = self.by_id.get(&json(&entry.volume)) else { continue };
            let is_known = volume.entities > 0;
            let came_back = self.stands(volume, is_known) == Standing::Restored || is_known && self.found_registry();
            if is_read(Some(entry)) && came_back {
                let (volume, mount, entities) = (entry.volume.clone(), entry.mount.clone(), volume.entities);
                changes.push(ScanChange::CoverageRestored { volume, mount, entities });
            }
        }
        changes
    }
}

/// What tells that this may be another machine than the last time.
pub(super) fn machine_changed(old: &Header, new: &Header) -> Option<ScanChange> {
    let root = |header: &Header| root(header)?.id.clone();
    let pairs = [("host", old.os.host.clone(), new.os.host.clone()), ("volume", root(old), root(new))];
    let what: Vec<_> = pairs
        .into_iter()
        .filter_map(|(name, old, new)| Some((name.to_owned(), old?, new?)))
        .filter(|(_, old, new)| old != new)
        .collect();
    (!what.is_empty()).then_some(ScanChange::MachineChanged { what })
}

/// The volume of the system itself.
fn root(header: &Header) -> Option<&VolumeEntry> {
    header.volumes.iter().find(|entry| entry.mount.as_deref().is_some_and(is_root))
}

/// Whether it was read, and could say where the others are mounted: otherwise its entry says why not. Its table may be
/// one of an earlier time while a journal is not replayed.
fn has_root(header: &Header) -> bool {
    let root = root(header);
    is_read(root) && root.is_some_and(|entry| entry.why.is_none() && entry.unreplayed.is_none())
}

/// Whether a path stands in the tree of a system, not beneath the id of a volume that nothing places.
fn is_placed(path: &[u8]) -> bool {
    !path.starts_with(b"@")
}

fn is_registry(path: &[u8]) -> bool {
    path.starts_with(b"HK")
}

fn is_windows(header: &Header) -> bool {
    header.os.family == "windows"
}

/// A data disk, or one whose system cannot be found. A hive that is a target of its own has the registry's.
fn is_without_system(header: &Header) -> bool {
    header.os.family == "none"
}

fn is_mounted(entry: Option<&VolumeEntry>) -> bool {
    is_read(entry) && entry.is_some_and(|entry| entry.mount.is_some())
}

fn is_unplaced(entry: Option<&VolumeEntry>) -> bool {
    is_read(entry) && entry.is_some_and(|entry| entry.mount.is_none())
}

fn is_read(entry: Option<&VolumeEntry>) -> bool {
    entry.is_some_and(|entry| entry.state == VolumeState::Read)
}

/// Of two entries with the same id, the one that was read.
fn better<'a>(one: Option<&'a VolumeEntry>, other: &'a VolumeEntry) -> &'a VolumeEntry {
    one.filter(|one| is_read(Some(one)) || !is_read(Some(other))).unwrap_or(other)
}

/// A volume's id as it stands in records.
pub(super) fn json(volume: &str) -> Vec<u8> {
    let mut json = Vec::new();
    encode_value("", &Value::Text(volume.to_owned()), &mut json);
    json
}
