//! Whole machines, where `SNAPFIM_MACHINES` names their folder.

use std::{path::PathBuf, sync::Arc};

use snapfim::image::{Image, Slice};

use crate::walk::{Raw, compare};

/// First byte and length of a GPT partition, counted from 0.
fn partition(disk: &dyn Image, nth: u64) -> (u64, u64) {
    let mut entry = [0; 128];
    disk.read_at(1024 + nth * 128, &mut entry).expect("a GPT entry");
    let lba = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("8 bytes"));
    (lba(32) * 512, (lba(40) + 1 - lba(32)) * 512)
}

#[test]
fn windows_machine_equals_ntfs_3g() {
    let Some(folder) = std::env::var_os("SNAPFIM_MACHINES").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_MACHINES is not set");
        return;
    };
    for day in ["day0", "day1"] {
        let disk: Arc<dyn Image> = Arc::new(Raw::open(&folder.join(format!("windows/{day}.raw"))));
        let (start, len) = partition(disk.as_ref(), 2);
        let volume: Arc<dyn Image> = Arc::new(Slice::new(disk, start, len).expect("a partition"));
        let truth = std::fs::read_to_string(folder.join(format!("windows/truth-{day}.tsv"))).expect("the truth");
        let (count, wrong) = compare(&volume, &truth);
        assert!(wrong.is_empty(), "{day}: {} differences in {count} entries:\n{}", wrong.len(), wrong.join("\n"));
        println!("{day}: {count} entries equal");
    }
}
