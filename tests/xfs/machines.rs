//! A whole machine, where the environment names it: every entry against the kernel's own mount.

use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc, time::Instant};

use snapfim::{
    error::{Error, Result},
    fs::{FileSystem as _, xfs::Xfs},
    image::Image,
};

use crate::{fixtures, truth};

/// Parts of a disk, one behind the other: place on the disk and length.
struct Parts {
    disk: File,
    parts: Vec<(u64, u64)>,
}

impl Image for Parts {
    fn len(&self) -> u64 {
        self.parts.iter().map(|(_, len)| len).sum()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (mut start, mut done) = (0, 0);
        for (place, len) in &self.parts {
            let at = offset + done as u64;
            if at < start + len && done < buf.len() {
                let part = (buf.len() - done).min((start + len - at) as usize);
                let read = self.disk.read_exact_at(&mut buf[done..done + part], place + at - start);
                read.map_err(|error| Error::io("raw", "read", error))?;
                done += part;
            }
            start += len;
        }
        if done < buf.len() { Err(snapfim::image::past_end("raw", offset, buf.len() as u64, start)) } else { Ok(()) }
    }
}

/// The first partition, from the MBR.
fn boot(disk: &File) -> Vec<(u64, u64)> {
    let mut entry = [0; 16];
    disk.read_exact_at(&mut entry, 446).unwrap();
    let number = |at: usize| u64::from(u32::from_le_bytes(entry[at..at + 4].try_into().unwrap()));
    vec![(number(8) * 512, number(12) * 512)]
}

fn compare(day: &str) {
    let Some(machines) = std::env::var_os("SNAPFIM_MACHINES").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_MACHINES is not set");
        return;
    };
    let folder = machines.join("rhel");
    let map = std::fs::read_to_string(folder.join("lvmap.tsv")).unwrap();
    for volume in ["boot", "var", "root"] {
        let disk = File::open(folder.join(format!("{day}.raw"))).unwrap();
        let rows = map.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(|row| row[0] == volume);
        let mut parts: Vec<(u64, u64)> = rows.map(|row| (row[3].parse().unwrap(), row[2].parse().unwrap())).collect();
        if volume == "boot" {
            parts = boot(&disk);
        }
        let mut truth = truth::read(&folder.join(format!("truth-{day}.tsv")), volume);
        fixtures::without_raw_acls(&mut truth);
        let began = Instant::now();
        let xfs = Xfs::open(Arc::new(Parts { disk, parts })).unwrap();
        let walked = truth::walk(&xfs);
        println!("{day} {volume}: {} entries in {:?}, {:?}", walked.rows.len(), began.elapsed(), xfs.info());
        let differences = truth::differences(&walked.rows, &truth);
        for line in differences.iter().take(40) {
            println!("  {line}");
        }
        assert_eq!(walked.faults, [""; 0]);
        assert_eq!(differences.len(), 0, "{day} {volume}: {} entries in the table", truth.len());
    }
}

#[test]
fn rhel_day0() {
    compare("day0");
}

#[test]
fn rhel_day1() {
    compare("day1");
}
