//! What other tools read: qemu-img, 7-Zip, ewfexport, tar. The tables are made by `fixtures/containers/make.sh`.

use std::{collections::BTreeMap, fs, path::Path};

use snapfim::image::{
    Image, RunKind, ewf,
    probe::{self, OpenOptions},
};

use crate::fixture::{Fixtures, content, packed, rows, sha256};

#[test]
fn every_container_reads_as_other_tools_read_it() {
    let fixtures = Fixtures::all();
    let table = rows(&packed().join("oracle.tsv"));
    assert!(table.len() >= 40, "the table is whole");
    for row in table {
        let [image, snapshot, size, sha, tool] = &row[..] else { panic!("{row:?}") };
        let snapshot = (!snapshot.is_empty()).then_some(snapshot.as_str());
        let opened = fixtures.open_at(image, snapshot).unwrap_or_else(|error| panic!("{image}: {error}"));
        assert_eq!(opened.image.len().to_string(), *size, "{image}");
        assert_eq!(
            sha256(&content(&*opened.image).unwrap()),
            *sha,
            "{image} {snapshot:?}: {tool} reads something else"
        );
        assert_eq!(opened.gaps, [""; 0], "{image}");
    }
}

#[test]
fn holes_are_where_qemu_img_map_says() {
    let fixtures = Fixtures::all();
    let mut expected: BTreeMap<String, Vec<(u64, u64, bool)>> = BTreeMap::new();
    for row in rows(&packed().join("maps.tsv")) {
        let number = |n: usize| row[n].parse::<u64>().unwrap();
        expected.entry(row[0].clone()).or_default().push((number(1), number(1) + number(2), row[3] == "1"));
    }
    assert_eq!(expected.len(), 15);
    for (name, map) in expected {
        let opened = fixtures.open(&name).unwrap();
        assert_eq!(merged(runs(&*opened.image)), merged(map), "{name}");
    }
}

#[test]
fn holes_read_as_zeros_in_every_container() {
    let fixtures = Fixtures::all();
    for row in rows(&packed().join("oracle.tsv")) {
        let opened = fixtures.open(&row[0]).unwrap();
        let bytes = content(&*opened.image).unwrap();
        for (start, end, hole) in runs(&*opened.image) {
            if hole {
                assert!(bytes[start as usize..end as usize].iter().all(|b| *b == 0), "{} at {start:#x}", row[0]);
            }
        }
    }
}

#[test]
fn threads_read_the_same_at_once() {
    let fixtures = Fixtures::of(&["zlib.qcow2", "stream.vmdk", "best.E01", "child.vhd", "dynamic.vhd", "dirty.vhdx"]);
    for name in ["zlib.qcow2", "stream.vmdk", "best.E01", "child.vhd", "dirty.vhdx"] {
        let opened = fixtures.open(name).unwrap();
        let expected = content(&*opened.image).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(content(&*opened.image).unwrap(), expected, "{name}"));
            }
        });
    }
}

#[test]
fn the_files_of_a_disk_are_listed_the_named_one_first() {
    let fixtures = Fixtures::all();
    for (image, others) in [
        ("top.qcow2", &["middle.qcow2", "v3.qcow2"][..]),
        ("data.qcow2", &["data.bin"]),
        ("child.vhd", &["dynamic.vhd"]),
        ("child.vhdx", &["dynamic.vhdx"]),
        ("delta.vmdk", &["sparse.vmdk"]),
        ("pieces.vmdk", &["pieces-1.vmdk", "pieces-2.vmdk"]),
        ("parts.E01", &["parts.E02", "parts.E03", "parts.E04", "parts.E05", "parts.E06", "parts.E07"]),
    ] {
        let files = fixtures.open(image).unwrap().files;
        let names: Vec<&str> = files.iter().map(|f| f.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, [&[image], others].concat(), "{image}");
        assert_eq!(files[0].size, fs::metadata(fixtures.path(image)).unwrap().len());
    }
}

#[test]
fn the_stored_hash_of_e01_is_verified() {
    let fixtures = Fixtures::all();
    for name in ["best.E01", "none.E01", "parts.E01"] {
        let verdict = ewf::verify_stored_hash(&fixtures.path(name)).unwrap();
        assert_eq!(verdict, ewf::Verdict { md5: Some(true), sha1: Some(true) }, "{name}");
    }
    // The stored MD5 is in the last hash section, 16 bytes behind its descriptor of 76.
    let bytes = fixtures.bytes("best.E01");
    let at = bytes.windows(8).rposition(|w| w == b"digest\0\0").unwrap() + 76;
    fixtures.patch("best.E01", at, &[0xaa]);
    assert_eq!(ewf::verify_stored_hash(&fixtures.path("best.E01")).unwrap().md5, Some(false));
}

#[test]
fn images_of_the_public_corpus_read_as_other_tools_read_them() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA") else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for row in rows(&packed().join("corpus.tsv")) {
        let packed = Path::new(&data).join("images").join(format!("{}.zst", row[0]));
        let path = dir.path().join(&row[0]);
        fs::write(&path, zstd::decode_all(fs::File::open(&packed).unwrap()).unwrap()).unwrap();
        let opened = probe::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(opened.image.len().to_string(), row[1], "{}", row[0]);
        assert_eq!(sha256(&content(&*opened.image).unwrap()), row[2], "{}: {} reads something else", row[0], row[3]);
    }
}

/// All runs of a disk: start, end, whether it is a hole.
fn runs(image: &dyn Image) -> Vec<(u64, u64, bool)> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < image.len() {
        let run = image.run_at(at).unwrap();
        runs.push((at, at + run.len, run.kind == RunKind::Hole));
        at += run.len;
    }
    runs
}

fn merged(runs: Vec<(u64, u64, bool)>) -> Vec<(u64, u64, bool)> {
    let mut merged: Vec<(u64, u64, bool)> = Vec::new();
    for (start, end, hole) in runs {
        match merged.last_mut() {
            Some(last) if last.1 == start && last.2 == hole => last.1 = end,
            _ => merged.push((start, end, hole)),
        }
    }
    merged
}
