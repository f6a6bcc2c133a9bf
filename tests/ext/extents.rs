//! The map of a file leads to the bytes that reading it gives.

use std::{ops::ControlFlow, sync::Arc};

use sha2::{Digest as _, Sha256};
use snapfim::{
    fs::{Extent, FileSystem as _, Kind, Listed, NodeId, Place, Session, Sink as _, Stream, ext::Ext},
    image::Memory,
};

use crate::{fixtures, truth::Hash};

/// The regular files of a volume that are short enough to be read.
fn files(session: &mut dyn Session) -> Vec<NodeId> {
    let (mut files, mut todo) = (Vec::new(), vec![session.root()]);
    while let Some(node) = todo.pop() {
        let metadata = session.metadata(&node).unwrap();
        match metadata.kind.unwrap() {
            Kind::Dir => session
                .list(&node, &mut |listed| {
                    if let Listed::Entry(entry) = listed {
                        todo.push(entry.node);
                    }
                    ControlFlow::Continue(())
                })
                .unwrap(),
            Kind::File if metadata.size < 1 << 30 => files.push(node),
            _ => {}
        }
    }
    files
}

fn through_extents(image: &[u8], extents: &[Extent]) -> String {
    let mut hash = Hash(Sha256::new(), 0);
    for extent in extents {
        let _ = match extent.place {
            Place::Volume(offset) => hash.data(&image[offset as usize..(offset + extent.len) as usize]),
            Place::Hole | Place::Unwritten => hash.hole(extent.len),
            place => panic!("{place:?}"),
        };
    }
    hash.hex()
}

/// Compares all files of a fixture; returns how many are partly in the journal.
fn compare(name: &str) -> usize {
    let image = fixtures::image(name);
    let ext = Ext::open(Arc::new(Memory(image.clone()))).unwrap();
    let mut session = ext.session().unwrap();
    let mut journalled = 0;
    for node in files(session.as_mut()) {
        let extents = session.extents(&node, &Stream::Content).unwrap();
        if extents.iter().any(|extent| extent.place == Place::Metadata) {
            journalled += 1;
            continue;
        }
        let mut hash = Hash(Sha256::new(), 0);
        session.read(&node, &Stream::Content, &mut hash).unwrap();
        assert_eq!(hash.hex(), through_extents(&image, &extents), "{name}, {node:?}: {extents:?}");
    }
    journalled
}

#[test]
fn of_clean_images() {
    for name in ["extents-4k", "bigalloc", "ext2", "ext3", "blocks-64k"] {
        assert_eq!(compare(name), 0);
    }
}

#[test]
fn of_images_with_data_in_the_journal() {
    assert!(compare("dirty-data") > 10);
    assert_eq!(compare("revoked-v3"), 2);
}
