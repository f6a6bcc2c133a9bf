//! Whole machines, where the environment names them: every entry against the kernel's own mount.

use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc, time::Instant};

use snapfim::{
    error::{Error, Result},
    fs::{FileSystem as _, ext::Ext},
    image::{Image, Slice},
};

use crate::truth;

struct Raw(File, u64);

impl Image for Raw {
    fn len(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0.read_exact_at(buf, offset).map_err(|error| Error::io("raw", "read", error))
    }
}

const SECTOR: u64 = 512;

/// First sector and length of the partitions with `/boot` and `/`, from the GPT's table at sector 2.
fn partitions(disk: &Raw) -> [(u64, u64); 2] {
    [1, 2].map(|index| {
        let mut entry = [0; 128];
        disk.read_at(2 * SECTOR + index * 128, &mut entry).unwrap();
        let number = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
        (number(32), number(40) - number(32) + 1)
    })
}

fn compare(day: &str) {
    let Some(machines) = std::env::var_os("SNAPFIM_MACHINES").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_MACHINES is not set");
        return;
    };
    let folder = machines.join("debian");
    let file = File::open(folder.join(format!("{day}.raw"))).unwrap();
    let len = file.metadata().unwrap().len();
    let disk = Raw(file, len);
    let [boot, root] = partitions(&disk);
    let disk: Arc<dyn Image> = Arc::new(disk);
    let table = folder.join(format!("truth-{day}.tsv"));
    for (volume, (start, sectors)) in [("boot", boot), ("root", root)] {
        let truth = truth::read(&table, volume);
        if truth.is_empty() {
            continue;
        }
        let part = Slice::new(disk.clone(), start * SECTOR, sectors * SECTOR).unwrap();
        let began = Instant::now();
        let ext = Ext::open(Arc::new(part)).unwrap();
        let walked = truth::walk(&ext);
        println!("{day} {volume}: {} entries in {:?}, {:?}", walked.rows.len(), began.elapsed(), ext.info());
        let differences = truth::differences(&walked.rows, &truth);
        for line in differences.iter().take(40) {
            println!("  {line}");
        }
        assert_eq!(walked.faults, [""; 0]);
        assert_eq!(differences.len(), 0, "{day} {volume}: {} entries in the table", truth.len());
    }
}

#[test]
fn debian_day0() {
    compare("day0");
}

#[test]
fn debian_day1() {
    compare("day1");
}

#[test]
fn debian_day2() {
    compare("day2");
}

#[test]
fn debian_day2_dirty() {
    compare("day2-dirty");
}
