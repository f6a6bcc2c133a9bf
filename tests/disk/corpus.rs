//! The public test sets, against what SleuthKit and the kernel see in them.

use std::{collections::BTreeSet, path::PathBuf};

use snapfim::{
    fs::{Kind, probe},
    volume::discover,
};

use crate::support::{Patched, walk};

fn corpus() -> Option<PathBuf> {
    let found = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from);
    if found.is_none() {
        println!("skipped: SNAPFIM_DATA is not set");
    }
    found
}

fn image(corpus: &std::path::Path, name: &str) -> Patched {
    let file = std::fs::File::open(corpus.join("images").join(format!("{name}.zst"))).unwrap();
    Patched::new(zstd::decode_all(file).unwrap())
}

/// Rows of a truth table: volume, path, type, size, mode, hash, tool.
fn truth(corpus: &std::path::Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(corpus.join("truth").join(format!("{name}.tsv"))).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn fat_images() {
    let Some(corpus) = corpus() else { return };
    for name in ["dfvfs-fat12.raw", "go-fat-fat12.dd"] {
        let volume = image(&corpus, name).shared();
        let seen = walk(probe(&volume).filesystem.unwrap().as_ref());
        assert_eq!(seen.all_faults(), [] as [String; 0], "{name}");
        let mut paths = BTreeSet::new();
        for row in truth(&corpus, name) {
            let [_, path, kind, size, _, hash, _] = row.try_into().unwrap();
            // SleuthKit shows the label and its own names for the parts of the volume as files.
            if path.starts_with("/$") || path.ends_with("(Volume Label Entry)") || path == "/" {
                continue;
            }
            let entry = seen.entries.get(&path).unwrap_or_else(|| panic!("{name}: {path} is missing"));
            assert_eq!(entry.kind == Kind::Dir, kind == "dir", "{name}: {path}");
            assert_eq!(entry.size.to_string(), size, "{name}: {path}");
            if kind == "file" {
                assert_eq!(entry.content, Ok(hash), "{name}: {path}");
            }
            paths.insert(path);
        }
        let extra: Vec<_> = seen.entries.keys().filter(|path| !paths.contains(*path)).collect();
        assert!(extra.is_empty(), "{name}: {extra:?}");
    }
}

#[test]
fn partitioned_images() {
    let Some(corpus) = corpus() else { return };
    for name in ["dfvfs-gpt.raw", "dfvfs-mbr.raw", "dfvfs-gpt_empty_with_mbr.raw"] {
        let disk = discover(&image(&corpus, name).shared()).unwrap();
        let expected: BTreeSet<u64> = truth(&corpus, name).iter().map(|row| row[0].parse().unwrap()).collect();
        let starts: BTreeSet<u64> = disk.volumes.iter().filter_map(|volume| volume.start).collect();
        assert_eq!(starts, expected, "{name}");
        for volume in &disk.volumes {
            assert!(volume.content.kind.starts_with("ext"), "{name}: {:?}", volume.content);
        }
    }
}

#[test]
fn kinds_of_whole_images() {
    let Some(corpus) = corpus() else { return };
    // As `blkid -p` names them.
    let cases = [
        ("dfvfs-apfs.raw", "apfs"),
        ("dfvfs-ext2.raw", "ext2"),
        ("dfvfs-luks1.raw", "crypto_LUKS"),
        ("dfvfs-lvm.raw", "LVM2_member"),
        ("dfvfs-ntfs.raw", "ntfs"),
        ("dfvfs-xfs.raw", "xfs"),
    ];
    for (name, kind) in cases {
        let disk = discover(&image(&corpus, name).shared()).unwrap();
        assert!(disk.volumes.iter().any(|volume| volume.content.kind == kind), "{name}");
    }
}
