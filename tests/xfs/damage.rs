//! What a damaged image must give: never a panic or a hang, and no silence about what was lost.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use snapfim::{
    error::Result,
    fs::{FileSystem as _, Listed, NodeId, Session, Sink, Stream, xfs::Xfs},
    image::{Image, Memory},
};

use crate::fixtures;

/// A fixed sequence of numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }
}

/// An image with some bytes changed, cut off somewhere.
pub(crate) struct Mutant {
    pub(crate) image: Arc<Memory>,
    pub(crate) changes: BTreeMap<usize, u8>,
    pub(crate) len: u64,
}

impl Image for Mutant {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(snapfim::image::past_end("mutant", offset, buf.len() as u64, self.len));
        }
        self.image.read_at(offset, buf)?;
        let start = offset as usize;
        for (at, byte) in self.changes.range(start..start + buf.len()) {
            buf[at - start] = *byte;
        }
        Ok(())
    }
}

/// Takes at most so many bytes of a file: a mutant may claim to be of any size.
struct Some4MiB(u64);

impl Sink for Some4MiB {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.hole(bytes.len() as u64)
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        self.0 = self.0.saturating_add(len);
        if self.0 > 4 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Walks and reads everything; directories only once, since a mutant may have loops.
pub(crate) fn exercise(image: Mutant) -> usize {
    let Ok(xfs) = Xfs::open(Arc::new(image)) else { return 1 };
    let mut session = xfs.session().unwrap();
    let mut faults = xfs.info().gaps.len();
    let mut todo = vec![session.root()];
    let mut seen = std::collections::HashSet::new();
    while let Some(node) = todo.pop() {
        if seen.len() < 400 && seen.insert(node.clone()) {
            faults += visit(session.as_mut(), &node, &mut todo);
        }
    }
    faults
}

fn visit(session: &mut dyn Session, node: &NodeId, todo: &mut Vec<NodeId>) -> usize {
    let mut faults = session.metadata(node).map_or(1, |metadata| metadata.faults.len());
    faults += usize::from(session.read(node, &Stream::Content, &mut Some4MiB(0)).is_err());
    faults += usize::from(session.extents(node, &Stream::Content).is_err());
    let _ = session.parent(node);
    let listed = session.list(node, &mut |listed| {
        match listed {
            Listed::Entry(entry) => todo.push(entry.node),
            Listed::Fault(_) => faults += 1,
        }
        ControlFlow::Continue(())
    });
    faults + usize::from(listed.is_err())
}

/// Offsets of bytes in metadata, by its magic numbers; sectors of the log repeat some.
fn metadata(image: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for (number, sector) in image.chunks(512).enumerate() {
        let is_metadata = matches!(&sector[..2], b"IN" | b"XD" | b"BM" | b"XA" | b"XS" | b"XF")
            || matches!(sector[8..10], [0x3B, 0xEE] | [0x3E, 0xBE] | [0xFB, 0xEE] | [0xFE, 0xBE]);
        if is_metadata {
            places.extend((0..512).filter(|at| !matches!(sector[*at], 0 | 0xAA)).map(|at| number * 512 + at));
        }
    }
    places
}

/// A number in the environment asks for so many times more.
pub(crate) fn factor() -> usize {
    std::env::var("SNAPFIM_MUTANTS").map_or(1, |factor| factor.parse().unwrap())
}

fn mutants(name: &str, count: usize) {
    let image = fixtures::image(name);
    let places = metadata(&image);
    let len = image.len();
    let image = Arc::new(Memory(image));
    let mut random = Random(0x5EED_0000 + name.len() as u64);
    for number in 0..count * factor() {
        let mut changes = BTreeMap::new();
        for _ in 0..=random.below(40) {
            let at = places[random.below(places.len())];
            let byte = match random.below(4) {
                0 => 0xFF,
                1 => 0,
                2 => image.0[at] ^ (1 << random.below(8)),
                _ => random.below(256) as u8,
            };
            changes.insert(at, byte);
        }
        if number % 8 == 7 {
            changes.insert(random.below(264), random.below(256) as u8);
        }
        let len = if number % 16 == 15 { random.below(len) } else { len };
        exercise(Mutant { image: Arc::clone(&image), changes, len: len as u64 });
    }
}

#[test]
fn mutants_of_version_5() {
    mutants("v5", 250);
    mutants("blocks-64k", 50);
}

#[test]
fn mutants_of_small_blocks() {
    mutants("v5-1k", 250);
}

#[test]
fn mutants_of_version_4() {
    mutants("v4", 250);
    mutants("v4-512", 250);
}

/// The first place where `needle` stands at the start of a sector.
fn sector_of(image: &[u8], needle: &[u8]) -> usize {
    image.chunks(512).position(|sector| sector.starts_with(needle)).unwrap() * 512
}

#[test]
fn a_copy_of_the_superblock_is_used_and_noted() {
    for name in ["v5", "v5-1k", "v4"] {
        let mut image = fixtures::image(name);
        // The number of blocks in a group stays; where that is lost too, the usual places are searched.
        image[100] ^= 0xFF;
        let (differences, info) = fixtures::compare(name, image);
        assert!(info.notes[0].contains("the copy at "), "{info:?}");
        assert_eq!(differences, [""; 0]);
    }
    let mut image = fixtures::image("v4");
    image[..512].fill(0);
    assert!(Xfs::probe(&Memory(image.clone())).unwrap());
    assert_eq!(fixtures::compare("v4", image).0, [""; 0]);
}

#[test]
fn a_bad_inode_is_a_fault_beside_its_data() {
    let mut image = fixtures::image("v5");
    let table = fixtures::compare("v5", image.clone()).0;
    assert_eq!(table, [""; 0]);
    let target = image.windows(62).position(|window| window[..61] == [b't'; 61] && window[61] != b't').unwrap();
    image[target] = b'T';
    let (differences, _) = fixtures::compare("v5", image);
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert!(differences.iter().any(|line| line.contains("checksum ")), "{differences:?}");
}

#[test]
fn a_bad_directory_block_is_a_fault_and_the_others_stay() {
    let mut image = fixtures::image("v5");
    let block = sector_of(&image, b"XDD3");
    image[block + 64 + 8] = 0xFF;
    let (differences, _) = fixtures::compare("v5", image);
    assert!(differences.iter().any(|line| line.contains("directory block 0") && line.contains("checksum ")));
    assert!(differences.iter().filter(|line| line.contains("only in the table")).count() < 3, "{differences:?}");
}

#[test]
fn features_that_are_not_read_are_named() {
    let mut image = fixtures::image("v4");
    // Version 5 with the feature bits of a metadata directory and a zoned device.
    image[101] = image[101] & 0xF0 | 5;
    image[216..220].copy_from_slice(&0x301_u32.to_be_bytes());
    // Without the copies, which are of version 4.
    let copies = image.chunks(512).enumerate().skip(1).filter(|(_, sector)| sector.starts_with(b"XFSB"));
    for copy in copies.map(|(number, _)| number * 512).collect::<Vec<_>>() {
        image[copy] = 0;
    }
    let error = Xfs::open(Arc::new(Memory(image))).map(drop).unwrap_err().to_string();
    assert_eq!(error, "xfs: a feature that is not supported: metadir, zoned");
}

#[test]
fn a_file_on_a_realtime_device_is_refused_by_name() {
    let mut image = fixtures::image("v4");
    let (node, at) = inode_of(&image, "large");
    image[at + 91] |= 1;
    let xfs = Xfs::open(Arc::new(Memory(image))).unwrap();
    let mut session = xfs.session().unwrap();
    assert!(session.metadata(&node).is_ok());
    let error = session.read(&node, &Stream::Content, &mut Some4MiB(0)).unwrap_err().to_string();
    assert_eq!(error, format!("xfs: inode {} lies on a realtime device, which is not read", at / 256));
    let error = session.extents(&node, &Stream::Content).unwrap_err().to_string();
    assert!(error.contains("realtime"));
}

#[test]
fn parents_are_those_of_the_tree() {
    for name in ["v5", "v5-1k", "v4-512"] {
        let xfs = Xfs::open(Arc::new(Memory(fixtures::image(name)))).unwrap();
        let mut session = xfs.session().unwrap();
        let mut todo = vec![(session.root(), session.root())];
        while let Some((node, parent)) = todo.pop() {
            if session.metadata(&node).unwrap().kind != Some(snapfim::fs::Kind::Dir) {
                continue;
            }
            assert_eq!(session.parent(&node).unwrap(), Some(parent));
            let each = &mut |listed: Listed<'_>| {
                if let Listed::Entry(entry) = listed {
                    todo.push((entry.node, node.clone()));
                }
                ControlFlow::Continue(())
            };
            session.list(&node, each).unwrap();
        }
    }
}

/// A file at the root of the volume `v4`, and the place of its inode: inodes have 256 bytes, and the first group begins
/// the disk.
fn inode_of(image: &[u8], name: &str) -> (NodeId, usize) {
    let xfs = Xfs::open(Arc::new(Memory(image.to_vec()))).unwrap();
    let mut session = xfs.session().unwrap();
    let root = session.root();
    let node = session.lookup(&root, name.as_bytes()).unwrap().unwrap();
    let NodeId::Number(number) = node else { panic!() };
    (node, number as usize * 256)
}

/// An extent: where it begins in the file, 54 bits, and on the volume, 52, and its length, 21; in blocks.
fn extent(logical: u128, block: u128, len: u128) -> [u8; 16] {
    (logical << 73 | block << 21 | len).to_be_bytes()
}

#[test]
fn a_map_that_repeats_blocks_ends_at_what_the_image_holds() {
    const LEN: u32 = 4000;
    let mut image = fixtures::image("v4");
    let (node, at) = inode_of(&image, "large");
    // 1024 groups of 4096 blocks, of which the image has two.
    image[88..92].copy_from_slice(&1024_u32.to_be_bytes());
    image[8..16].copy_from_slice(&(1024_u64 * 4096).to_be_bytes());
    image[at + 5] = 2;
    image[at + 82] = 0;
    let outcome = |image: &[u8], extents: u32, unwritten: u8| {
        let mut image = image.to_vec();
        image[at + 56..at + 64].copy_from_slice(&(u64::from(LEN * extents) * 4096).to_be_bytes());
        image[at + 76..at + 80].copy_from_slice(&extents.to_be_bytes());
        for number in 0..extents {
            let place = at + 100 + number as usize * 16;
            image[place..place + 16].copy_from_slice(&extent(u128::from(number * LEN), 50, u128::from(LEN)));
            image[place] |= unwritten;
        }
        let xfs = Xfs::open(Arc::new(Memory(image))).unwrap();
        let mut session = xfs.session().unwrap();
        session.extents(&node, &Stream::Content).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(outcome(&image, 2, 0), Ok(()));
    // What was allocated and never written costs no reading.
    assert_eq!(outcome(&image, 3, 0x80), Ok(()));
    let error = outcome(&image, 3, 0).unwrap_err();
    assert!(error.contains("maps more than"), "{error}");
}
