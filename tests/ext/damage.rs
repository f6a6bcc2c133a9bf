//! What a damaged image must give: never a panic or a hang, and no silence about what was lost.

use std::{ops::ControlFlow, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, Listed, NodeId, Session, Sink, Stream, ext::Ext},
    image::Memory,
};

use crate::{fixtures, truth};

/// A fixed sequence of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
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

/// Walks and reads everything; directories only once, since a mutant may have loops. Returns what was met.
fn exercise(image: Vec<u8>) -> (usize, usize) {
    let Ok(ext) = Ext::open(Arc::new(Memory(image))) else { return (0, 1) };
    let mut session = ext.session().unwrap();
    let (mut entries, mut faults) = (0, ext.info().gaps.len());
    let mut todo = vec![session.root()];
    let mut seen = std::collections::HashSet::new();
    while let Some(node) = todo.pop() {
        if !seen.insert(node.clone()) || seen.len() > 2000 {
            continue;
        }
        entries += 1;
        faults += visit(session.as_mut(), &node, &mut todo);
    }
    (entries, faults)
}

fn visit(session: &mut dyn Session, node: &NodeId, todo: &mut Vec<NodeId>) -> usize {
    let mut faults = match session.metadata(node) {
        Ok(metadata) => {
            assert!(metadata.faults.len() < 200, "{node:?}: {:?}", metadata.faults[0]);
            metadata.faults.len()
        }
        Err(_) => 1,
    };
    faults += usize::from(session.read(node, &Stream::Content, &mut Some4MiB(0)).is_err());
    faults += usize::from(session.extents(node, &Stream::Content).is_err());
    let listed = session.list(node, &mut |listed| {
        match listed {
            Listed::Entry(entry) => todo.push(entry.node),
            Listed::Fault(_) => faults += 1,
        }
        ControlFlow::Continue(())
    });
    faults + usize::from(listed.is_err())
}

/// Offsets of bytes that are neither filling nor zero: mostly metadata, in images as empty as these.
fn interesting(image: &[u8]) -> Vec<usize> {
    image.iter().enumerate().filter(|(_, byte)| !matches!(byte, 0 | 0xAA)).map(|(at, _)| at).collect()
}

fn mutants(name: &str, count: usize) {
    let image = fixtures::image(name);
    let places = interesting(&image);
    let mut random = Random(0x5EED_0000 + name.len() as u64);
    // A number in the environment asks for so many times more.
    let factor = std::env::var("SNAPFIM_MUTANTS").map_or(1, |factor| factor.parse().unwrap());
    for number in 0..count * factor {
        let mut mutant = image.clone();
        for _ in 0..=random.below(4) {
            // Half of the flips hit the first blocks: superblock, descriptors, inode tables.
            let end = if number % 2 == 0 { places.len() } else { places.len().min(3000) };
            let at = places[random.below(end)];
            mutant[at] = match random.below(4) {
                0 => 0xFF,
                1 => 0,
                2 => mutant[at] ^ (1 << random.below(8)),
                _ => random.below(256) as u8,
            };
        }
        if number % 16 == 15 {
            mutant.truncate(random.below(image.len()));
        }
        exercise(mutant);
    }
}

#[test]
fn mutants_of_hash_trees_and_attributes() {
    mutants("metadata", 250);
    mutants("inline-512", 250);
}

#[test]
fn mutants_of_indirect_blocks() {
    mutants("ext2-revision-0", 250);
}

#[test]
fn mutants_of_journals() {
    mutants("dirty-csum-none", 250);
    mutants("revoked-v2", 150);
    mutants("dirty-csum-v1", 100);
}

#[test]
fn mutants_of_descriptors() {
    mutants("meta-bg-32", 100);
}

#[test]
fn mutants_of_long_attributes() {
    mutants("ea-inode", 150);
}

/// The byte offsets at which `needle` stands; the journal of a clean filesystem may hold copies, which do not count.
fn find(image: &[u8], needle: &[u8]) -> Vec<usize> {
    image.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle).map(|(at, _)| at).collect()
}

fn reopened(image: Vec<u8>) -> (Ext, truth::Walked) {
    let ext = Ext::open(Arc::new(Memory(image))).unwrap();
    let walked = truth::walk(&ext);
    (ext, walked)
}

fn paths(name: &str) -> Vec<String> {
    reopened(fixtures::image(name)).1.rows.into_keys().collect()
}

#[test]
fn a_copy_of_the_superblock_is_used_and_noted() {
    for name in ["meta-bg", "sparse-super2", "ext2"] {
        let mut image = fixtures::image(name);
        image[1024 + 0x38] = 0;
        assert!(!Ext::probe(&Memory(image.clone())).unwrap());
        let (ext, walked) = reopened(image);
        assert!(ext.info().notes[0].contains("the copy at"), "{:?}", ext.info());
        assert_eq!(walked.rows.into_keys().collect::<Vec<_>>(), paths(name), "{name}");
    }
}

#[test]
fn copies_of_descriptors_are_used_and_noted() {
    // The first descriptor block: behind the superblock in block 1, or first in the first meta block group.
    for (name, block) in [("sparse-super2", 2), ("meta-bg", 2), ("meta-bg-32", 2), ("ext2", 2)] {
        let mut image = fixtures::image(name);
        image[block * 1024..(block + 1) * 1024].fill(0);
        let (ext, walked) = reopened(image);
        assert!(ext.info().notes[0].ends_with("were read from their copies"), "{name}: {:?}", ext.info());
        assert_eq!(walked.faults, [""; 0], "{name}");
        assert_eq!(walked.rows.into_keys().collect::<Vec<_>>(), paths(name), "{name}");
    }
}

#[test]
fn groups_without_descriptors_are_gaps_and_their_inodes_faults() {
    let mut image = fixtures::image("meta-bg-32");
    // Group 1 begins at block 1025; the first meta block group has copies of its descriptors there and in its last.
    for block in [2, 1026, 1 + 31 * 1024] {
        image[block * 1024..(block + 1) * 1024].fill(0);
    }
    let ext = Ext::open(Arc::new(Memory(image))).unwrap();
    assert!(ext.info().gaps.len() > 2, "{:?}", ext.info());
    let mut session = ext.session().unwrap();
    let root = session.root();
    let error = session.metadata(&root).unwrap_err().to_string();
    assert_eq!(error, "ext4: inode 2: the descriptor of group 0 is damaged");
}

/// The image of three groups of 8192 blocks without checksums; `dumpe2fs` says of group 1 that its descriptor, the
/// second in block 2, has a copy in block 8194, and that its inode table begins at block 8292 (0x2064).
fn with_table_of_group_1(primary: u32, copy: u32) -> Vec<u8> {
    let mut image = fixtures::image("ext2");
    for (block, table) in [(2, primary), (8194, copy)] {
        let at = block * 1024 + 32 + 8;
        assert_eq!(image[at..at + 4], 8292_u32.to_le_bytes());
        image[at..at + 4].copy_from_slice(&table.to_le_bytes());
    }
    image
}

#[test]
fn a_wrong_inode_table_in_a_descriptor_without_checksum_was_believed() {
    for (primary, copy) in [(8293, 8292), (8292, 8300)] {
        let (ext, walked) = reopened(with_table_of_group_1(primary, copy));
        let what = format!("ext4: group descriptor 1: inode table at block {primary:#x}, and at {copy:#x} in its copy");
        assert_eq!(ext.info().gaps, [what]);
        // What lay in that group is lost, with what is beneath it, and all else is there.
        assert!(walked.faults.iter().any(|fault| fault.contains("the descriptor of group 1 is damaged")));
        let mut missing = paths("ext2");
        missing.retain(|path| !walked.rows.contains_key(path));
        let lost: Vec<_> = walked.rows.iter().filter(|(_, row)| row["type"] == "error").map(|(path, _)| path).collect();
        assert!(lost.len() < 10);
        missing.retain(|path| !lost.iter().any(|lost| path.starts_with(&format!("{lost}/"))));
        assert_eq!(missing, [""; 0]);
    }
}

// `ext4_check_descriptors` of the kernel: but for flex_bg, an inode table lies in its own group.
#[test]
fn an_inode_table_outside_its_group_is_replaced_by_what_the_copy_says() {
    for table in [8192, 16_384 - 4, 16_385, 100] {
        let (ext, walked) = reopened(with_table_of_group_1(table, 8292));
        assert_eq!(ext.info().notes, ["1 damaged group descriptors were read from their copies"], "{table}");
        assert_eq!(ext.info().gaps, [""; 0]);
        assert_eq!(walked.faults, [""; 0]);
        assert_eq!(walked.rows.into_keys().collect::<Vec<_>>(), paths("ext2"));
    }
}

#[test]
fn a_wrong_superblock_checksum_is_a_gap_where_there_is_no_copy() {
    let mut image = fixtures::image("metadata");
    image[1024 + 0x78] ^= 0xFF;
    let (ext, walked) = reopened(image);
    assert!(ext.info().gaps[0].contains("superblock: checksum mismatch"), "{:?}", ext.info());
    assert_eq!(walked.rows.into_keys().collect::<Vec<_>>(), paths("metadata"));
}

#[test]
fn a_bad_directory_block_is_a_fault_and_its_siblings_stay() {
    let mut image = fixtures::image("metadata");
    for name_at in find(&image, b"latin-\xe9\xff") {
        // The record's length is four bytes before the name.
        image[name_at - 4] = 3;
    }
    let (_, walked) = reopened(image);
    assert!(walked.faults.iter().any(|fault| fault.contains("directory block 0: checksum mismatch")));
    assert!(walked.faults.iter().any(|fault| fault.contains("record length 3 for a name of 8 bytes")));
    assert!(walked.rows.contains_key("/lost+found"));
}

#[test]
fn a_bad_inode_is_a_fault_beside_its_data() {
    let mut image = fixtures::image("metadata");
    // The target of the link with 59 bytes stands in its inode.
    for target in find(&image, &[&[0], &[b't'; 59][..], &[0]].concat()) {
        image[target + 1] = b'T';
    }
    let (_, walked) = reopened(image);
    assert_eq!(walked.faults.len(), 1);
    assert!(walked.faults[0].starts_with("/link-59: ext4: inode 27: checksum "), "{:?}", walked.faults);
    assert!(walked.rows["/link-59"]["target"].starts_with("Ttt"));
    assert_eq!(walked.rows.into_keys().collect::<Vec<_>>(), paths("metadata"));
}

/// In the image without checksums, the places of the magic number before attributes in inodes of 512 bytes.
fn magics(image: &[u8]) -> Vec<usize> {
    let mut places = find(image, &[0, 0, 0x02, 0xEA]);
    places.retain(|at| at % 512 == 160 && image[at + 4] != 0);
    assert!(places.len() > 20, "{places:?}");
    places
}

#[test]
fn attributes_behind_a_damaged_magic_number_dropped_out() {
    let mut image = fixtures::image("inline-512");
    for at in magics(&image) {
        image[at + 3] ^= 1;
    }
    let (_, walked) = reopened(image);
    let lost = |fault: &&String| {
        fault.ends_with(
            "attributes in the inode: magic 0xeb020000 instead of 0xea020000 before what looks like attributes",
        )
    };
    for name in ["/tagged-0", "/tagged-59"] {
        assert_eq!(walked.faults.iter().filter(lost).filter(|fault| fault.starts_with(&format!("{name}:"))).count(), 1);
    }
}

#[test]
fn attributes_to_which_the_extra_size_does_not_lead_dropped_out() {
    for extra in [0, 28, 36, 40, 64] {
        let mut image = fixtures::image("inline-512");
        for at in magics(&image) {
            let size = at - at % 512 + 128;
            assert_eq!(image[size..size + 2], [32, 0]);
            image[size] = extra;
        }
        let (_, walked) = reopened(image);
        let what = "attributes in the inode: they stand at 0xa0, and the extra size of the inode does not end there";
        for name in ["/tagged-0", "/tagged-59"] {
            let faults: Vec<_> = walked.faults.iter().filter(|fault| fault.starts_with(&format!("{name}:"))).collect();
            assert!(faults.iter().any(|fault| fault.ends_with(what)), "{extra}: {faults:?}");
        }
    }
}

#[test]
fn a_bad_extent_node_is_a_fault() {
    let mut image = fixtures::image("extents-1k");
    let mut node = None;
    for block in (0..image.len()).step_by(1024) {
        // A leaf with all its 84 entries used.
        if image[block..].starts_with(&[0x0A, 0xF3, 84, 0, 84, 0, 0, 0]) {
            node.get_or_insert(block);
        }
    }
    image[node.unwrap() + 1020] ^= 1;
    let (_, walked) = reopened(image);
    assert!(!walked.faults.is_empty());
    assert!(walked.faults.iter().all(|fault| fault.contains("extent node") && fault.contains("checksum")));
}

/// Blocks of the log of one type, 1 a descriptor and 2 a commit, by transaction; places in the image.
fn log(image: &[u8], kind: u8) -> Vec<(u32, usize)> {
    let begin = [0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, kind];
    let starts = (0..image.len()).step_by(1024).filter(|block| image[*block..].starts_with(&begin));
    let number = |block: usize| u32::from_be_bytes(image[block + 8..block + 12].try_into().unwrap());
    let mut blocks: Vec<_> = starts.map(|block| (number(block), block)).collect();
    blocks.sort_unstable();
    blocks
}

#[test]
fn a_journal_that_a_damaged_byte_broke_off_seemed_to_end_there() {
    for name in ["dirty-csum-none", "dirty-csum-v1", "dirty-csum-v3", "dirty-async", "dirty-ext3", "revoked-v2"] {
        let whole = fixtures::image(name);
        let gaps = |at: usize, byte: u8| {
            let mut image = whole.clone();
            image[at] ^= byte;
            Ext::open(Arc::new(Memory(image))).unwrap().info().gaps.clone()
        };
        let (commits, descriptors) = (log(&whole, 2), log(&whole, 1));
        let (last, last_commit) = *commits.last().unwrap();
        // Magic number, type and transaction of descriptors near the log's end; where there is one more, of commits too.
        for (number, block) in descriptors.into_iter().filter(|(number, _)| (last - 5..=last).contains(number)) {
            for at in [0, 2, 7, 10, 11] {
                assert_eq!(gaps(block + at, 0x40).len(), 1, "{name}: byte {at} of descriptor {number} of {last}");
            }
        }
        for (number, block) in commits.into_iter().filter(|(number, _)| (last - 5..last).contains(number)) {
            for at in [0, 2, 7, 10, 11] {
                assert_eq!(gaps(block + at, 0x40).len(), 1, "{name}: byte {at} of commit {number} of {last}");
            }
        }
        for at in [0, 3, 7] {
            assert_eq!(gaps(last_commit + at, 0x40).len(), 1, "{name}: byte {at} of the last commit");
        }
    }
}

#[test]
fn what_a_broken_journal_does_not_give_is_a_gap() {
    for name in ["dirty-csum-v3", "dirty-csum-v1", "revoked-v2"] {
        let mut image = fixtures::image(name);
        let (_, last) = log(&image, 2).pop().unwrap();
        image[last + 17] ^= 1;
        let ext = Ext::open(Arc::new(Memory(image))).unwrap();
        assert!(ext.info().gaps[0].contains("has a wrong checksum"), "{name}: {:?}", ext.info());
        assert!(ext.info().notes[0].starts_with("journal replayed"), "{name}: {:?}", ext.info());
    }
}
