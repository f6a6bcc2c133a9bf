//! LVM2 and MD: volumes out of volumes, over several disks.
//!
//! What is expected was written by lvm, thin_restore and thin_dump, and by the script that puts content where lvm
//! says that the extents are, see `fixtures/volume/make.sh`. The public test set is found by `SNAPFIM_DATA`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a test stumbles over ends it, and it says what it skips"
)]

#[path = "volume_managers/hostile.rs"]
mod hostile;
#[path = "volume_managers/lvm.rs"]
mod lvm;
#[path = "volume_managers/lvm_text.rs"]
mod lvm_text;
#[path = "volume_managers/md.rs"]
mod md;
#[path = "volume_managers/md_partitions.rs"]
mod md_partitions;
#[path = "disk/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single disks")]
mod support;
#[path = "volume_managers/thin.rs"]
mod thin;

use std::{collections::BTreeMap, path::Path};

use sha2::{Digest, Sha256};
use snapfim::{
    image::{Image, RunKind},
    volume::{Keys, Volume, assemble, content::State, discover},
};
use support::{Patched, hex};

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/volume").join(name)
}

fn image(name: &str) -> Patched {
    Patched::new(zstd::decode_all(std::fs::File::open(file(&format!("{name}.zst"))).unwrap()).unwrap())
}

/// Name, size and SHA-256 of each volume, as the recipe wrote them.
fn table(name: &str) -> BTreeMap<String, (u64, String)> {
    let text = std::fs::read_to_string(file(&format!("{name}.sha256"))).unwrap();
    let row = |line: &str| {
        let [name, size, hash] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (name.to_owned(), (size.parse().unwrap(), hash.to_owned()))
    };
    text.lines().map(row).collect()
}

/// All volumes of these disks, the notes about them, and what their tables do not give.
struct Found {
    volumes: Vec<Volume>,
    notes: Vec<String>,
    gaps: Vec<String>,
}

impl Found {
    fn on(images: impl IntoIterator<Item = Patched>) -> Self {
        let (mut volumes, mut gaps) = (Vec::new(), Vec::new());
        for image in images {
            let disk = discover(&image.shared()).unwrap();
            volumes.extend(disk.volumes);
            gaps.extend(disk.gaps.into_iter().map(|gap| gap.why));
        }
        let notes = assemble(&mut volumes, &Keys::default());
        Self { volumes, notes, gaps }
    }

    fn of(names: &[&str]) -> Self {
        Self::on(names.iter().map(|name| image(name)))
    }

    fn assembled(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.iter().filter(|volume| volume.start.is_none())
    }

    fn get(&self, name: &str) -> &Volume {
        let named = |volume: &&Volume| volume.names.iter().any(|have| have.rsplit('/').next() == Some(name));
        self.assembled().find(named).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Why a volume is a gap.
    fn gap(&self, name: &str) -> &str {
        gap(self.get(name))
    }

    /// Every volume of the table has the content that it should have, except those that are named.
    fn compare(&self, table: &BTreeMap<String, (u64, String)>, except: &[&str]) {
        for (name, expected) in table.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
            assert_eq!(&digest(self.get(name).image.as_ref()).unwrap(), expected, "{name}");
        }
    }

    fn has_note(&self, part: &str) -> bool {
        self.notes.iter().any(|note| note.contains(part))
    }
}

fn gap(volume: &Volume) -> &str {
    match &volume.content.state {
        State::Gap(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Size and SHA-256, read in pieces that fit nothing on the disk; holes are read too, and are zeros.
fn digest(image: &dyn Image) -> Result<(u64, String), String> {
    const PIECE: u64 = 300_000;
    let mut hash = Sha256::new();
    for at in (0..image.len()).step_by(PIECE as usize) {
        let mut piece = vec![0xaa; PIECE.min(image.len() - at) as usize];
        image.read_at(at, &mut piece).map_err(|error| error.to_string())?;
        hash.update(&piece);
        let run = image.run_at(at).map_err(|error| error.to_string())?;
        let hole = piece.get(..(run.len as usize).min(piece.len())).unwrap();
        assert!(run.len > 0 && (run.kind == RunKind::Data || hole.iter().all(|&byte| byte == 0)), "{at}");
    }
    Ok((image.len(), hex(&hash.finalize())))
}

/// The same disks in another order.
fn reversed(names: &[&str]) -> Found {
    Found::on(names.iter().rev().map(|name| image(name)))
}
