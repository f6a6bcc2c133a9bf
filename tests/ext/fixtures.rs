//! The images of `fixtures/ext`, each against the table that the kernel, or debugfs, made of it.

use std::{path::PathBuf, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, VolumeInfo, ext::Ext},
    image::Memory,
};

use crate::truth;

fn packed(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/ext").join(name);
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut unpacked = Vec::new();
    let mut decoder = zstd::Decoder::new(&packed[..]).unwrap();
    decoder.window_log_max(27).unwrap();
    std::io::copy(&mut decoder, &mut unpacked).unwrap();
    unpacked
}

/// An image of this folder.
pub(crate) fn image(name: &str) -> Vec<u8> {
    packed(&format!("{name}.img.zst"))
}

/// Every difference from the table, and every fault; the volume's own words.
fn compare(name: &str) -> (Vec<String>, VolumeInfo) {
    let table = String::from_utf8(packed(&format!("{name}.tsv.zst"))).unwrap();
    let ext = Ext::open(Arc::new(Memory(image(name)))).unwrap();
    let walked = truth::walk(&ext);
    let mut differences = truth::differences(&walked.rows, &truth::parse(&table, ""));
    differences.extend(walked.faults);
    (differences, ext.info().clone())
}

fn same(name: &str) -> VolumeInfo {
    let (differences, info) = compare(name);
    assert!(differences.is_empty(), "{name}: {info:?}\n{}", differences.join("\n"));
    info
}

macro_rules! clean {
    ($($test:ident: $name:literal is $fs:literal,)*) => {$(
        #[test]
        fn $test() {
            let info = same($name);
            assert_eq!((info.fs, info.label.as_deref()), ($fs, Some($name)));
            assert_eq!((&info.notes[..], &info.gaps[..]), (&[][..], &[][..]));
        }
    )*};
}

clean! {
    metadata: "metadata" is "ext4",
    extents_4k: "extents-4k" is "ext4",
    extents_1k: "extents-1k" is "ext4",
    bigalloc: "bigalloc" is "ext4",
    directories: "directories" is "ext4",
    inline: "inline" is "ext4",
    inline_512: "inline-512" is "ext4",
    ext2: "ext2" is "ext2",
    ext2_revision_0: "ext2-revision-0" is "ext2",
    ext3: "ext3" is "ext3",
    inode_128: "inode-128" is "ext4",
    inode_1024: "inode-1024" is "ext4",
    meta_bg: "meta-bg" is "ext4",
    meta_bg_32: "meta-bg-32" is "ext4",
    sparse_super2: "sparse-super2" is "ext4",
    ea_inode: "ea-inode" is "ext4",
    blocks_64k: "blocks-64k" is "ext4",
    casefold: "casefold" is "ext4",
    fast_clean: "fast-clean" is "ext4",
}

macro_rules! dirty {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            let info = same($name);
            assert_eq!(info.gaps, [""; 0]);
            assert!(info.notes[0].starts_with("journal replayed: "), "{info:?}");
        }
    )*};
}

dirty! {
    dirty_csum_v3: "dirty-csum-v3",
    dirty_csum_v1: "dirty-csum-v1",
    dirty_csum_none: "dirty-csum-none",
    dirty_wide_none: "dirty-wide-none",
    dirty_async: "dirty-async",
    dirty_data: "dirty-data",
    dirty_ext3: "dirty-ext3",
    revoked_v2: "revoked-v2",
    revoked_v3: "revoked-v3",
    revoked_v2_narrow: "revoked-v2-narrow",
    revoked_v3_narrow: "revoked-v3-narrow",
    orphans_list: "orphans-list",
    orphans_file: "orphans-file",
}

#[test]
fn fast_commits_are_a_gap() {
    let info = same("fast-commit");
    assert_eq!(info.gaps.len(), 1, "{info:?}");
    assert!(info.gaps[0].contains("fast commits after transaction"), "{info:?}");
}

#[test]
fn orphans_are_noted() {
    for name in ["orphans-list", "orphans-file"] {
        let info = same(name);
        assert_eq!(info.notes.last().unwrap(), "9 inodes were deleted or truncated while open", "{name}");
    }
}
