//! The journal as another reader of this ecosystem replays it.

use std::{path::PathBuf, sync::Arc};

use sha2::{Digest as _, Sha256};
use snapfim::{fs::ext::Ext, image::Memory};

use crate::{fixtures, truth};

/// Path, kind and hash or target of everything, as `ext4-view` sees it.
fn theirs(image: Vec<u8>) -> Vec<(String, String, String)> {
    let fs = ext4_view::Ext4::load(Box::new(image)).unwrap();
    let mut rows = vec![("/".to_owned(), "dir".to_owned(), String::new())];
    let mut todo = vec![ext4_view::PathBuf::new("/")];
    while let Some(dir) = todo.pop() {
        for entry in fs.read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.as_ref().ends_with(b"/.") || path.as_ref().ends_with(b"/..") {
                continue;
            }
            let metadata = fs.symlink_metadata(&path).unwrap();
            let (kind, content) = if metadata.is_symlink() {
                ("link", truth::escape(fs.read_link(&path).unwrap().as_ref()))
            } else if metadata.is_dir() {
                ("dir", String::new())
            } else {
                let digest = Sha256::digest(fs.read(&path).unwrap());
                ("file", digest.iter().map(|byte| format!("{byte:02x}")).collect())
            };
            rows.push((truth::escape(path.as_ref()), kind.to_owned(), content));
            if kind == "dir" {
                todo.push(path);
            }
        }
    }
    rows.sort();
    rows
}

fn agree(name: &str, image: Vec<u8>) {
    let ext = Ext::open(Arc::new(Memory(image.clone()))).unwrap();
    let walked = truth::walk(&ext);
    assert_eq!(walked.faults, [""; 0], "{name}");
    let ours: Vec<_> = walked
        .rows
        .into_iter()
        .map(|(path, mut row)| {
            let kind = row.remove("type").unwrap();
            let content = row.remove(if kind == "link" { "target" } else { "sha256" }).unwrap();
            (path, kind, content)
        })
        .collect();
    let theirs = theirs(image);
    assert!(ours == theirs, "{name}: {} entries, theirs {}", ours.len(), theirs.len());
}

#[test]
fn dirty_fixture() {
    agree("orphans-list", fixtures::image("orphans-list"));
}

#[test]
fn dirty_image_of_the_corpus() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let packed = std::fs::read(data.join("images/ext4-view-test_disk_4k_block_journal.zst")).unwrap();
    agree("corpus", zstd::decode_all(&packed[..]).unwrap());
}
