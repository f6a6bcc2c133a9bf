//! Walk, hash and write the manifest of a generated ext4 image, with one thread and with two:
//!
//! ```text
//! cargo bench --bench scan [-- FILES BYTES_PER_FILE]
//! ```
//!
//! The image is made with `mke2fs -d`; without that tool nothing is measured. `benches/compare.sh` holds the same
//! work beside other programs on an image of your choice.
#![allow(clippy::print_stdout, missing_docs)]

use std::{path::Path, process::Command, time::Instant};

use snapfim::{
    policy::Policy,
    scan::{self, Budgets, Progress},
    target,
};

const ROUNDS: usize = 5;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let (files, bytes) = (numbers.first().copied().unwrap_or(20_000), numbers.get(1).copied().unwrap_or(16 << 10));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let image = dir.path().join("bench.img");
    if !make(dir.path(), &image, files, bytes) {
        println!("mke2fs is not there (package e2fsprogs): nothing measured");
        return;
    }
    println!("{files} files of {bytes} bytes, best of {ROUNDS}");
    for threads in [1, 2] {
        let best = (0..ROUNDS).map(|_| once(&image, dir.path(), threads)).fold(f64::INFINITY, f64::min);
        let megabytes = (files * bytes) as f64 / 1e6;
        println!("{threads} thread(s): {best:.3} s, {:.0} files/s, {:.0} MB/s", files as f64 / best, megabytes / best);
    }
}

/// An image of `files` files in directories of 500, their content different from one another.
fn make(dir: &Path, image: &Path, files: usize, bytes: usize) -> bool {
    let tree = dir.join("tree");
    let mut content: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    for number in 0..files {
        let folder = tree.join(format!("d{:04}", number / 500));
        if number % 500 == 0 {
            std::fs::create_dir_all(&folder).expect("a directory");
        }
        let stamp = number.to_le_bytes();
        let end = stamp.len().min(content.len());
        content[..end].copy_from_slice(&stamp[..end]);
        std::fs::write(folder.join(format!("f{number}")), &content).expect("a file");
    }
    let size = (files * (bytes.next_multiple_of(4096) + 512) * 5 / 4) / 1024 + (32 << 10);
    let made = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-N", &(files + files / 100 + 100).to_string(), "-d"])
        .args([tree.as_os_str(), image.as_os_str()])
        .arg(format!("{size}k"))
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .status();
    made.is_ok_and(|status| status.success())
}

fn once(image: &Path, temp: &Path, threads: usize) -> f64 {
    let policy = Policy::built_in("full").and_then(|policy| policy.for_machine("bench")).expect("a policy");
    let start = Instant::now();
    let target = target::open(image.as_os_str(), &target::Options::default()).expect("a target");
    let options = scan::Options { threads, budgets: Budgets::default(), temp, reuse: None };
    let scanned = scan::scan(&target.machine, policy, &options, &Progress::default(), Vec::new()).expect("a scan");
    let fault = scanned.seen.faults.listed().next();
    assert!(fault.is_none(), "{fault:?}");
    start.elapsed().as_secs_f64()
}
