//! Volume groups: of all copies of the metadata on all physical volumes, the newest that is sound.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    LAYER, label,
    mda::{self, Mda},
    metadata::{self, VolumeGroup},
};
use crate::{
    image::Image,
    volume::{content::State, reasons},
};

/// A volume that claims to be a physical volume.
pub(super) struct Physical {
    /// Its place among the volumes.
    pub(super) index: usize,
    pub(super) image: Arc<dyn Image>,
    /// Its id without hyphens, where its label is sound.
    id: Option<String>,
    /// The copies of its metadata areas.
    copies: Vec<VolumeGroup>,
    /// What could not be read.
    wrong: Vec<String>,
    /// A metadata area says that the volume belongs to no group.
    orphan: bool,
}

impl Physical {
    pub(super) fn read(index: usize, image: &Arc<dyn Image>) -> Self {
        let mut found =
            Self { index, image: Arc::clone(image), id: None, copies: Vec::new(), wrong: Vec::new(), orphan: false };
        let header = match label::read(image.as_ref()) {
            Ok(header) => header,
            Err(error) => {
                found.wrong.push(error.to_string());
                return found;
            }
        };
        for place in header.metadata {
            match mda::read(image.as_ref(), place) {
                Ok(Mda::Text(text)) => match metadata::parse(&text) {
                    Ok(copy) => found.copies.push(copy),
                    Err(why) => {
                        let why = format!("{LAYER}: metadata area at {:#x}: {why}", place.offset);
                        found.wrong.push(reasons::kept(why));
                    }
                },
                Ok(Mda::Empty) => found.orphan = true,
                Ok(Mda::Ignored) => {}
                Err(error) => found.wrong.push(error.to_string()),
            }
        }
        found.id = Some(header.id);
        found
    }

    fn names(&self, group: &str) -> bool {
        self.copies.iter().any(|copy| copy.id == group)
    }

    /// Why it is part of nothing.
    pub(super) fn why_alone(&self) -> State {
        if !self.wrong.is_empty() {
            return State::Gap(self.wrong.join("; "));
        }
        if self.orphan && self.copies.is_empty() {
            return State::Note("LVM2 physical volume without volume group".to_owned());
        }
        if let Some(copy) = self.copies.first() {
            return State::Gap(format!(
                "{LAYER}: another physical volume with the id of this one was taken for volume group {}",
                copy.name
            ));
        }
        State::Gap(format!("{LAYER}: no metadata on it, and none elsewhere that names it"))
    }
}

/// A volume group, with those of its physical volumes that were found.
pub(super) struct Group<'a> {
    pub(super) metadata: VolumeGroup,
    /// By their names in the metadata.
    pub(super) present: BTreeMap<String, &'a Physical>,
    /// Their ids as they are printed, by their names in the metadata.
    pub(super) missing: BTreeMap<String, String>,
    /// Those that have a copy of its metadata, and that the newest copy does not list.
    pub(super) former: Vec<&'a Physical>,
    /// What is wrong with copies that were not needed, and which are older.
    copies: Vec<String>,
}

/// All groups of these physical volumes, by id.
pub(super) fn find(physical: &[Physical]) -> Vec<Group<'_>> {
    let ids: BTreeSet<&str> =
        physical.iter().flat_map(|physical| &physical.copies).map(|copy| copy.id.as_str()).collect();
    ids.into_iter().filter_map(|id| group(id, physical)).collect()
}

fn group<'a>(id: &str, physical: &'a [Physical]) -> Option<Group<'a>> {
    let copies = || physical.iter().flat_map(|physical| &physical.copies).filter(|copy| copy.id == id);
    let newest = copies().map(|copy| copy.seqno).max()?;
    let chosen = copies().find(|copy| copy.seqno == newest)?;
    let mut group = Group {
        metadata: chosen.clone(),
        present: BTreeMap::new(),
        missing: BTreeMap::new(),
        former: Vec::new(),
        copies: Vec::new(),
    };
    let older = copies().filter(|copy| copy.seqno < newest).count();
    if older > 0 {
        group.copies.push(format!("{older} copies of its metadata are older than the one that was read"));
    }
    if copies().any(|copy| copy.seqno == newest && copy != chosen) {
        group.copies.push(format!("copies of its metadata with number {newest} differ; the first was read"));
    }
    for (name, listed) in &group.metadata.physical {
        match physical.iter().find(|found| found.id.as_ref() == Some(&listed.id)) {
            Some(found) => {
                group.copies.extend(found.wrong.iter().cloned());
                group.present.insert(name.clone(), found);
            }
            None => {
                group.missing.insert(name.clone(), listed.printed.clone());
            }
        }
    }
    let listed: BTreeSet<&str> = group.metadata.physical.values().map(|listed| listed.id.as_str()).collect();
    let former = |found: &&Physical| found.names(id) && !found.id.as_deref().is_some_and(|id| listed.contains(id));
    group.former = physical.iter().filter(former).collect();
    Some(group)
}

impl Group<'_> {
    /// What is worth knowing about it.
    pub(super) fn notes(&self) -> Vec<String> {
        let about = |what: String| format!("{LAYER}: volume group {}: {what}", self.metadata.name);
        let mut notes: Vec<String> = self.copies.iter().cloned().map(about).collect();
        notes.extend(self.missing.values().map(|id| about(format!("physical volume {id} is missing"))));
        let returned = self.metadata.physical.values().filter(|physical| physical.missing);
        notes.extend(
            returned.map(|physical| about(format!("physical volume {} is marked as missing", physical.printed))),
        );
        let flags = self.metadata.status.iter().filter(|flag| matches!(flag.as_str(), "EXPORTED" | "PARTIAL"));
        notes.extend(flags.map(|flag| about(format!("it is marked as {}", flag.to_lowercase()))));
        notes
    }
}
