//! Opening and walking a hive of 16 MB, with and without hashing all of its data, and replaying a log.
//!
//! `SNAPFIM_BENCH_HIVE` names a hive file to walk besides; compare with `time hivexml FILE >/dev/null`.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../tests/regf/mod.rs"]
mod regf;

use std::{hint::black_box, sync::LazyLock};

use divan::{Bencher, counter::BytesCount};
use sha2::{Digest as _, Sha256};
use snapfim::{
    error::Fault,
    registry::{Hive, Key, KeyPath, Step, Value, Visitor},
};

fn main() {
    divan::main();
}

/// 250 keys of 250 subkeys with 3 values each.
static HIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut root = regf::key("ROOT");
    for outer in 0..250 {
        let mut parent = regf::key(&format!("Vendor {outer:03}"));
        for inner in 0..250 {
            let product = regf::key(&format!("{{Product-{inner:03}}}"))
                .text("ImagePath", 2, "%SystemRoot%\\System32\\svchost.exe -k netsvcs")
                .value("Start", 4, [2, 0, 0, 0])
                .text("DisplayName", 1, "A service of this machine");
            parent = parent.subkey(product);
        }
        root = root.subkey(parent);
    }
    regf::write(5, &root, &[])
});

/// Counts, and hashes the data where asked.
#[derive(Default)]
struct Tally {
    hash: bool,
    records: usize,
    digest: u8,
}

impl Visitor for Tally {
    fn key(&mut self, path: &KeyPath, key: &Key<'_>) -> Step {
        self.records += 1;
        black_box((path.joined(), key));
        Step::Into
    }

    fn value(&mut self, _: &KeyPath, value: &Value<'_>) {
        self.records += 1;
        if self.hash {
            self.digest ^= Sha256::digest(&value.data)[0];
        }
        black_box(value);
    }

    fn fault(&mut self, _: &KeyPath, fault: Fault) {
        panic!("{fault}");
    }
}

fn walk(hive: &Hive, hash: bool) -> usize {
    let mut tally = Tally { hash, ..Tally::default() };
    hive.walk(hive.root(), &mut tally);
    tally.records
}

#[divan::bench]
fn open_and_walk(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(HIVE.len()))
        .with_inputs(|| HIVE.clone())
        .bench_values(|bytes| walk(&Hive::open(bytes, Vec::new()).unwrap(), false));
}

#[divan::bench]
fn open_walk_and_hash(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(HIVE.len()))
        .with_inputs(|| HIVE.clone())
        .bench_values(|bytes| walk(&Hive::open(bytes, Vec::new()).unwrap(), true));
}

#[divan::bench]
fn replay_a_log(bencher: Bencher<'_, '_>) {
    let mut new = HIVE.clone();
    new.iter_mut().skip(4096 + 1000).step_by(40_960).for_each(|byte| *byte ^= 1);
    let log = regf::log::log(&HIVE, 100, &[regf::log::step(100, &HIVE, &new)]);
    let dirty = regf::log::dirty(&HIVE, 100);
    bencher
        .counter(BytesCount::new(log.len()))
        .with_inputs(|| (dirty.clone(), vec![log.clone()]))
        .bench_values(|(hive, logs)| Hive::open(hive, logs).unwrap());
}

#[divan::bench]
fn walk_and_hash_a_named_file(bencher: Bencher<'_, '_>) {
    let Some(name) = std::env::var_os("SNAPFIM_BENCH_HIVE") else {
        return;
    };
    let bytes = std::fs::read(name).unwrap();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .with_inputs(|| bytes.clone())
        .bench_values(|bytes| walk(&Hive::open(bytes, Vec::new()).unwrap(), true));
}
