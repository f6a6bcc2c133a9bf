//! Mutated volumes: each ends in entries, faults or errors; never in a panic or without end.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use snapfim::{
    fs::{FileSystem, Kind, Listed, Stream, ntfs::Ntfs},
    image::Image,
};

use crate::{sparse::Sparse, walk::Hash};

/// Bytes of one stream that are hashed: a length out of thin air may say exabytes of holes, which the scan bounds.
const MOST: u64 = 1 << 20;
/// Entries of one mutant that are visited: a mutant may lead a directory back to its parent.
const MOST_ENTRIES: usize = 400;
const SLOW: Duration = Duration::from_secs(20);

/// xorshift64*: the same mutants in every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Reads all that the volume gives, and says how many entries and faults.
fn visit(image: Sparse) -> (usize, usize) {
    let Ok(ntfs) = Ntfs::open(Arc::new(image)) else { return (0, 1) };
    let Ok(mut session) = ntfs.session() else { return (0, 1) };
    let (mut entries, mut faults) = (0, 0);
    let mut todo = vec![session.root()];
    while let Some(node) = todo.pop() {
        entries += 1;
        if entries > MOST_ENTRIES {
            break;
        }
        let Ok(meta) = session.metadata(&node) else {
            faults += 1;
            continue;
        };
        faults += meta.faults.len();
        let named = meta
            .windows
            .iter()
            .flat_map(|windows| windows.streams.iter().map(|stream| Stream::Named(stream.name.clone())));
        for stream in std::iter::once(Stream::Content).chain(named.take(4)) {
            let mut hash = Hash::up_to(MOST);
            faults += usize::from(session.read(&node, &stream, &mut hash).is_err());
            faults += usize::from(session.extents(&node, &stream).is_err());
        }
        if meta.kind == Some(Kind::Dir) {
            let listed = session.list(&node, &mut |listed| {
                match listed {
                    Listed::Entry(entry) => todo.push(entry.node),
                    Listed::Fault(_) => faults += 1,
                }
                if todo.len() > MOST_ENTRIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            faults += usize::from(listed.is_err());
        }
    }
    (entries, faults)
}

/// Where a volume's metadata lies: the mutants are made there.
fn metadata(image: &Sparse) -> Vec<u64> {
    let mut places = image.find(b"FILE0");
    places.extend(image.find(b"INDX("));
    places.sort_unstable();
    places
}

fn mutate(name: &str, seed: u64, mutants: usize) {
    let whole = Sparse::fixture(name);
    let places = metadata(&whole);
    let blocks = whole.used();
    let mut rng = Rng(seed);
    let mut kinds = [0; 3];
    for number in 0..mutants {
        let mut image = whole.clone();
        for _ in 0..=rng.below(6) {
            let at = match rng.below(8) {
                0 => rng.below(512),
                1 => rng.pick(&blocks) * 4096 + rng.below(4096),
                // Headers and the attributes that stand first are what most depends on.
                2 | 3 => rng.pick(&places) + rng.below(0x60),
                // The system's records, and the first of the others.
                4 | 5 => rng.pick(&places[..40]) + rng.below(1024),
                _ => rng.pick(&places) + rng.below(1024),
            };
            match rng.below(5) {
                0 => image.patch(at, &[rng.next() as u8]),
                1 => image.patch(
                    at & !7,
                    &rng.pick(&[0, 1, 0x7FFF_FFFF_FFFF_FFFF, u64::MAX, 0xFFFF_FFFF, 1 << 40]).to_le_bytes(),
                ),
                2 => image.patch(
                    at & !3,
                    &rng.pick(&[0, 1, u32::MAX, 0x8000_0000, 0x20, 0x80, 0x90, 0xA0, 0xC0]).to_le_bytes(),
                ),
                3 => image.patch(at & !1, &rng.pick(&[0, 1, u16::MAX, 0x8000, 0x4001]).to_le_bytes()),
                _ => image.patch(at, &[1 << rng.below(8)]),
            }
        }
        if rng.below(20) == 0 {
            image.truncate(rng.below(whole.len()));
        }
        let started = Instant::now();
        let (entries, faults) = visit(image);
        assert!(started.elapsed() < SLOW, "{name}: mutant {number} took {:?}", started.elapsed());
        kinds[if entries == 0 { 0 } else { 1 + usize::from(faults == 0) }] += 1;
    }
    assert!(kinds[0] < mutants / 2 && kinds[1] > mutants / 20, "{name}: {kinds:?} refused, with faults, without");
}

#[test]
fn mutants_of_everything() {
    mutate("basic", 0x5EED_0001, 600);
}

#[test]
fn mutants_with_many_runs() {
    mutate("small-clusters", 0x5EED_0002, 200);
}

#[test]
fn mutants_of_a_scattered_mft() {
    mutate("mft-list", 0x5EED_0003, 300);
}

#[test]
fn mutants_of_large_sectors_and_clusters() {
    mutate("sectors-4096", 0x5EED_0004, 250);
    mutate("huge-clusters", 0x5EED_0005, 150);
}

#[test]
fn mutants_of_wof() {
    mutate("wof", 0x5EED_0006, 300);
}
