//! Images from public test sets, where the environment names their folder.

use std::{path::PathBuf, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, ext::Ext},
    image::Memory,
};

use crate::truth;

const IMAGES: [&str; 8] = [
    "dfvfs-ext2.raw",
    "dfvfs-ext4.raw",
    "ext4-view-test_disk1",
    "ext4-view-test_disk_ext2",
    "ext4-view-test_disk_ext3",
    "go-ext4-hierarchy_32.ext4",
    "go-ext4-hierarchy_64.ext4",
    "go-ext4-tiny.ext4",
];

// The table of the image with a journal is of the disk without replay: see `second_opinion`.
#[test]
fn what_the_kernel_listed() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    for name in IMAGES {
        let image = std::fs::read(data.join(format!("images/{name}.zst"))).unwrap();
        let image = Memory(zstd::decode_all(&image[..]).unwrap());
        assert!(Ext::probe(&image).unwrap(), "{name}");
        let truth = truth::read(&data.join(format!("truth/{name}.tsv")), "0");
        let ext = Ext::open(Arc::new(image)).unwrap();
        let mut walked = truth::walk(&ext);
        for row in walked.rows.values_mut().filter(|row| row["type"] == "link") {
            let target = format!("->{}", row["target"]);
            row.insert("sha256".to_owned(), target);
        }
        let mut differences = truth::differences(&walked.rows, &truth);
        differences.extend(walked.faults);
        // The kernel shows a made-up name where it has no key.
        differences.retain(|line| !line.starts_with("/encrypted_dir"));
        assert_eq!(differences, [""; 0], "{name}: {:?}", ext.info());
    }
}

/// Any images with tables made by `fixtures/ext/oracle.py`: `NAME.img` beside `NAME.tsv`.
#[test]
fn images_of_ones_own() {
    let Some(folder) = std::env::var_os("SNAPFIM_EXT_IMAGES").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_EXT_IMAGES is not set");
        return;
    };
    let mut bad = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "img") {
            continue;
        }
        let ext = Ext::open(Arc::new(Memory(std::fs::read(&path).unwrap()))).unwrap();
        let walked = truth::walk(&ext);
        let mut differences = truth::differences(&walked.rows, &truth::read(&path.with_extension("tsv"), ""));
        differences.extend(walked.faults);
        println!("{}: {} entries, {:?}", path.display(), walked.rows.len(), ext.info());
        differences.iter().take(20).for_each(|line| println!("  {line}"));
        bad += differences.len();
    }
    assert_eq!(bad, 0);
}
