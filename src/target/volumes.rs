//! From the volumes that a disk's tables describe to those of a machine: each probed for a filesystem.

use std::{collections::HashMap, sync::Arc};

use crate::{
    fs::{self, FileSystem},
    machine::{State, Volume},
    volume::{self, content},
};

/// The disk that a volume lies on.
#[derive(Clone)]
pub(super) struct Owner {
    /// Which of the machine's disks, counted from 0.
    number: usize,
    /// Its identity in its partition table.
    id: Option<String>,
}

impl Owner {
    /// The `number`th disk of its machine.
    pub(super) fn of(disk: &volume::Disk, number: usize) -> Self {
        let id = disk.guid.clone().or_else(|| disk.signature.map(|signature| format!("{signature:08x}")));
        Self { number, id }
    }
}

/// A volume of one disk, or one that was assembled from others.
pub(super) fn of_volume(found: &volume::Volume, owner: Option<Owner>) -> Volume {
    let probed = if found.closed { fs::Probed::default() } else { fs::probe(&found.image) };
    let content = &found.content;
    let mut gaps = probed.gaps;
    gaps.extend(content.ambiguous.clone());
    let (state, fs) = match (probed.filesystem, &content.state) {
        // A filesystem whose root cannot be opened is lost as a whole, and the others are still read.
        (Some(fs), _) => match fs.session().err() {
            None => (State::Read, Some(fs)),
            Some(error) => (State::Gap(error.to_string()), None),
        },
        (None, content::State::Note(why)) if gaps.is_empty() => (State::Note(why.clone()), None),
        (None, content::State::Gap(why) | content::State::Note(why)) => {
            gaps.insert(0, why.clone());
            (State::Gap(std::mem::take(&mut gaps).join("; ")), None)
        }
        (None, content::State::Filesystem) if gaps.is_empty() => {
            (State::Gap(format!("{}: no reader for this filesystem", content.kind)), None)
        }
        (None, content::State::Filesystem) => (State::Gap(std::mem::take(&mut gaps).join("; ")), None),
    };
    let info = fs.as_deref().map(FileSystem::info);
    let partition = found.partition.as_ref();
    Volume {
        id: found.id.clone(),
        content: info.map_or(content.kind, |info| info.fs).to_owned(),
        uuid: info.and_then(|info| info.id.clone()).or_else(|| content.id.clone()),
        label: info.and_then(|info| info.label.clone()).or_else(|| content.label.clone()),
        part_uuid: partition.and_then(|partition| partition.uuid.clone()),
        part_label: partition.and_then(|partition| partition.name.clone()),
        part_kind: partition.map(|partition| partition.kind.clone()),
        device_names: found.names.clone(),
        place: owner.as_ref().zip(partition).map(|(owner, partition)| (owner.number, partition.number)),
        offset: found.start.unwrap_or(0),
        start: owner.as_ref().zip(found.start).map(|(owner, start)| (owner.number, start)),
        image: Some(Arc::clone(&found.image)),
        size: found.image.len(),
        disk_id: owner.and_then(|owner| owner.id),
        behind: found.behind,
        is_pooled: found.is_pooled,
        state,
        gaps,
        fs,
    }
}

/// A directory of this host, as the one volume of its machine.
pub(super) fn of_directory(fs: Arc<dyn FileSystem>) -> Volume {
    Volume::alone("@directory", fs)
}

/// Two disks may hold copies of one another; then the second of two equal ids gets its disk's number behind it.
pub(super) fn make_ids_unique(volumes: &mut [Volume]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for volume in volumes {
        let count = seen.entry(volume.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            volume.id = format!("{}#{count}", volume.id);
        }
    }
}
