//! The fixtures: volumes made by mkntfs and ntfs-3g, each beside what ntfs-3g reads from it.

use std::{io::Read, ops::ControlFlow, sync::Arc};

use sha2::{Digest, Sha256};
use snapfim::{
    fs::{FileSystem, Kind, Listed, NodeId, Place, Stream, ntfs::Ntfs, read_small},
    image::Image,
};

use crate::{
    sparse::{Sparse, open as open_fixture, truth},
    walk::{Hash, check_extents, compare, filetime, hex, open},
};

/// Compares a fixture with its table; all differences, and nothing else, are expected.
fn check(name: &str, expected: &[&str]) {
    let image: Arc<dyn Image> = Arc::new(Sparse::fixture(name));
    let (count, wrong) = compare(&image, &truth(name));
    assert_eq!(wrong, expected, "{name}: {count} entries");
    println!("{name}: {count} entries equal");
}

#[test]
fn small_clusters() {
    check("small-clusters", &[]);
}

#[test]
fn large_clusters() {
    check("large-clusters", &[]);
}

#[test]
fn clusters_of_2_mib() {
    check("huge-clusters", &[]);
}

#[test]
fn sectors_and_records_of_4_kib() {
    check("sectors-4096", &[]);
}

#[test]
fn mft_with_an_attribute_list() {
    check("mft-list", &[]);
}

#[test]
fn everything_else() {
    // ntfs-3g does not read EFS; the bytes on disk are those of the recipe.
    let raw = hex(&Sha256::digest(vec![b'e'; 10_000]));
    check("basic", &[&format!("/encrypted: sha256: unreadable, {raw}"), "/encrypted: ntfs: record"]);
}
