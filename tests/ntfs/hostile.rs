//! Volumes that are damaged on purpose: what drops out of a directory is a fault of that directory.
//! Offsets are those of ntfs-3g's `layout.h`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use snapfim::{
    fs::{FileSystem, Kind, Listed, ntfs::Ntfs},
    image::Image,
};

use crate::sparse::Sparse;

/// The names of each directory by its path, and the faults of listing it.
type Tree = BTreeMap<String, (BTreeSet<String>, Vec<String>)>;

fn tree(image: Sparse) -> Tree {
    let ntfs = Ntfs::open(Arc::new(image)).expect("an NTFS volume");
    let mut session = ntfs.session().expect("a session");
    let mut tree = Tree::new();
    let mut todo = vec![(String::new(), session.root())];
    while let Some((path, node)) = todo.pop() {
        let (mut names, mut faults, mut listed) = (BTreeSet::new(), Vec::new(), Vec::new());
        let result = session.list(&node, &mut |found| {
            match found {
                Listed::Entry(entry) => listed.push((String::from_utf8_lossy(entry.name).into_owned(), entry.node)),
                Listed::Fault(fault) => faults.push(fault.to_string()),
            }
            ControlFlow::Continue(())
        });
        faults.extend(result.err().map(|error| error.to_string()));
        for (name, node) in listed {
            if session.metadata(&node).is_ok_and(|meta| meta.kind == Some(Kind::Dir)) {
                todo.push((format!("{path}/{name}"), node));
            }
            names.insert(name);
        }
        tree.insert(path, (names, faults));
    }
    tree
}

/// Asserts that a directory without a fault has all the names that it had, and gives the faults.
fn nothing_is_lost_in_silence(sound: &Tree, damaged: &Tree) -> Vec<String> {
    for (path, (names, faults)) in damaged {
        let missing: Vec<_> = sound.get(path).into_iter().flat_map(|(before, _)| before.difference(names)).collect();
        assert!(missing.is_empty() || !faults.is_empty(), "{path}: {missing:?} are gone, and nothing says so");
    }
    damaged.values().flat_map(|(_, faults)| faults.clone()).collect()
}

fn number(image: &Sparse, at: u64, len: usize) -> u64 {
    let mut bytes = [0; 8];
    image.read_at(at, &mut bytes[..len]).expect("bytes of the fixture");
    u64::from_le_bytes(bytes)
}

/// Where the entries of the index block at `block` lie, with their flags.
fn entries(image: &Sparse, block: u64) -> Vec<(u64, u64)> {
    let header = block + 0x18;
    let (mut at, end) = (header + number(image, header, 4), header + number(image, header + 4, 4));
    let mut entries = Vec::new();
    while at < end {
        entries.push((at, number(image, at + 0x0C, 2)));
        at += number(image, at + 8, 2);
    }
    entries
}

#[test]
fn an_entry_that_says_it_is_the_last_hides_nothing() {
    const LAST: u64 = 2;
    let image = Sparse::fixture("basic");
    let sound = tree(image.clone());
    let mut tried = 0;
    for block in image.find(b"INDX(") {
        let entries = entries(&image, block);
        let Some((&(end_mark, _), before)) = entries.split_last() else { continue };
        // The first, and one in the middle.
        for &(at, flags) in before.iter().step_by(before.len().div_ceil(2).max(1)) {
            let mut damaged = image.clone();
            damaged.patch(at + 0x0C, &[(flags | LAST) as u8]);
            let behind = end_mark - at - number(&image, at + 8, 2) + number(&image, end_mark + 8, 2);
            let seen = tree(damaged);
            let faults = nothing_is_lost_in_silence(&sound, &seen);
            let expected = format!("{behind} bytes behind the end mark");
            let told = faults.iter().filter(|fault| fault.contains(&expected)).count();
            // The blocks of other indexes than directories are none of this walk.
            if faults.is_empty() {
                assert_eq!(seen, sound, "entry at {at:#x}");
                continue;
            }
            assert_eq!((told, faults.len()), (1, 1), "entry at {at:#x}: {faults:?}");
            // The entry itself is gone with its key, and no other of its directory.
            for (path, (names, _)) in &seen {
                assert!(sound[path].0.difference(names).count() <= 1, "entry at {at:#x}, {path}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried} entries of directories");
}
