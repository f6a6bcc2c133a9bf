//! Reading one disk out of each container, against reading it raw: 64 MiB, half text and half noise, in the
//! system's cache. The containers are made here when qemu-img is there, and left out when it is not.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use divan::{Bencher, counter::BytesCount};
use snapfim::image::{
    Image,
    probe::{self, OpenOptions},
};

const SIZE: u64 = 64 << 20;
const PIECE: usize = 256 << 10;

/// Name and what `qemu-img convert` is told.
const CONTAINERS: [(&str, &[&str]); 8] = [
    ("disk.raw", &[]),
    ("disk.qcow2", &["-O", "qcow2"]),
    ("disk.vhd", &["-O", "vpc", "-o", "force_size=on"]),
    ("disk.vhdx", &["-O", "vhdx"]),
    ("disk.vmdk", &["-O", "vmdk"]),
    ("zlib.qcow2", &["-O", "qcow2", "-c"]),
    ("zstd.qcow2", &["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
    ("stream.vmdk", &["-O", "vmdk", "-o", "subformat=streamOptimized"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("containers")
}

fn main() -> std::io::Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    let raw = folder.join("disk.raw");
    let mut noise = 1_u64;
    let disk: Vec<u8> = (0..SIZE / 8)
        .flat_map(|n| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if n >> 17 & 1 == 0 { noise.to_le_bytes() } else { *b"text of " }
        })
        .collect();
    std::fs::write(&raw, disk)?;
    for (name, options) in CONTAINERS {
        if !options.is_empty() {
            // Without qemu-img the file is not there, and its benchmark does nothing.
            let _ = Command::new("qemu-img")
                .args(["convert", "-f", "raw"])
                .args(options)
                .arg(&raw)
                .arg(folder.join(name))
                .status();
        }
    }
    divan::main();
    Ok(())
}

#[divan::bench(args = CONTAINERS.map(|(name, _)| name))]
fn one_thread(bencher: Bencher<'_, '_>, name: &str) {
    read(bencher, name, 1);
}

#[divan::bench(args = CONTAINERS.map(|(name, _)| name))]
fn two_threads(bencher: Bencher<'_, '_>, name: &str) {
    read(bencher, name, 2);
}

fn read(bencher: Bencher<'_, '_>, name: &str, threads: usize) {
    let Ok(opened) = probe::open(&folder().join(name), &OpenOptions::default()) else { return };
    bencher.counter(BytesCount::new(SIZE)).bench(|| {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| pieces(&*opened.image, &next));
            }
        });
    });
}

fn pieces(image: &dyn Image, next: &AtomicU64) {
    let mut buf = vec![0; PIECE];
    loop {
        let at = next.fetch_add(PIECE as u64, Ordering::Relaxed);
        if at >= image.len() || image.read_at(at, &mut buf).is_err() {
            return;
        }
        divan::black_box(&buf);
    }
}
