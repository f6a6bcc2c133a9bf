//! Images from public test sets, where the environment names their folder.

use std::{path::PathBuf, sync::Arc};

use sha2::{Digest as _, Sha256};
use snapfim::{
    fs::{FileSystem as _, ext::Ext},
    image::Memory,
};

use crate::truth;

const IMAGES: [&str; 9] = [
    "dfvfs-ext2.raw",
    "dfvfs-ext4.raw",
    "ext4-view-test_disk1",
    "ext4-view-test_disk_4k_block_journal",
    "ext4-view-test_disk_ext2",
    "ext4-view-test_disk_ext3",
    "go-ext4-hierarchy_32.ext4",
    "go-ext4-hierarchy_64.ext4",
    "go-ext4-tiny.ext4",
];

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
        for row in walked.rows.values_mut().filter(|row| row.get("type").is_some_and(|kind| kind == "link")) {
            let digest = Sha256::digest(row["target"].as_bytes());
            row.insert("sha256".to_owned(), digest.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        println!("{name}: {} entries, {:?}, {:?}", walked.rows.len(), ext.info(), walked.faults);
        let differences = truth::differences(&walked.rows, &truth);
        for line in differences.iter().take(40) {
            println!("  {line}");
        }
    }
}
