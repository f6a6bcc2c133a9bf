//! FAT against mtools, SleuthKit and blkid (the tables beside the images), and against the crate fatfs.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use snapfim::fs::{Fat, FileSystem, Kind, NodeId, Place, Stream, Times, Timestamp, probe};

use crate::support::{bytes, hex, image, read, text, walk};

const NAMES: [&str; 3] = ["fat12", "fat16", "fat32"];

fn fat(name: &str) -> Fat {
    Fat::open(image(&format!("{name}.raw")).shared()).unwrap()
}

fn seconds(timestamp: Option<Timestamp>) -> String {
    timestamp.map(|timestamp| timestamp.seconds.to_string()).unwrap_or_default()
}

#[test]
fn trees_are_those_of_mtools() {
    for name in NAMES {
        let fat = fat(name);
        let seen = walk(&fat);
        assert_eq!(seen.all_faults(), [] as [String; 0], "{name}");
        let mut session = fat.session().unwrap();
        let table = text(&format!("{name}.tsv"));
        let mut paths = Vec::new();
        for line in table.lines().skip(1) {
            let [path, kind, size, mtime, hash, letters, crtime, atime] =
                line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            paths.push(path);
            let entry = seen.entries.get(path).unwrap_or_else(|| panic!("{name}: {path} is missing"));
            let metadata = session.metadata(&entry.node).unwrap();
            let Times { mtime: written, crtime: created, atime: accessed, ctime: None } = metadata.times else {
                panic!()
            };
            if crtime != "?" {
                assert_eq!((seconds(created).as_str(), seconds(accessed).as_str()), (crtime, atime), "{path}");
            }
            if kind == "dir" {
                assert_eq!(entry.kind, Kind::Dir);
                continue;
            }
            assert_eq!((entry.kind, entry.size.to_string().as_str()), (Kind::File, size), "{path}");
            assert_eq!(entry.content.as_deref(), Ok(hash), "{path}");
            assert_eq!(seconds(written), mtime, "{path}");
            if letters != "?" {
                let bits = letters.chars().map(|letter| match letter {
                    'R' => 1,
                    'H' => 2,
                    'S' => 4,
                    'A' => 32,
                    other => panic!("{other}"),
                });
                assert_eq!(metadata.windows.unwrap().attributes, bits.sum::<u32>(), "{path}");
            }
        }
        assert_eq!(seen.entries.len(), paths.len(), "{name}");
    }
}

#[test]
fn ids_and_labels_are_those_of_blkid() {
    for name in NAMES {
        let fat = fat(name);
        let blkid = text(&format!("{name}.blkid"));
        let field = |key: &str| {
            let line = blkid.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
            line.map(|value| value.replace('\\', ""))
        };
        assert_eq!((&fat.info().id, &fat.info().label), (&field("UUID"), &field("LABEL")), "{name}");
        assert!(fat.info().gaps.is_empty());
        assert_eq!(fat.info().fs, "vfat");
    }
}

/// All files of a directory as fatfs reads them.
fn second_opinion(
    dir: &fatfs::Dir<'_, std::io::Cursor<Vec<u8>>>,
    path: &str,
    found: &mut BTreeMap<String, Option<Vec<u8>>>,
) {
    for entry in dir.iter() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{path}/{name}");
        if entry.is_dir() {
            second_opinion(&entry.to_dir(), &path, found);
            found.insert(path, None);
        } else {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes).unwrap();
            found.insert(path, Some(bytes));
        }
    }
}

#[test]
fn trees_are_those_of_fatfs() {
    use sha2::Digest;
    for name in NAMES {
        let image = std::io::Cursor::new(bytes(&format!("{name}.raw")));
        let other = fatfs::FileSystem::new(image, fatfs::FsOptions::new()).unwrap();
        let mut expected = BTreeMap::new();
        second_opinion(&other.root_dir(), "", &mut expected);
        let seen = walk(&fat(name));
        assert_eq!(seen.paths(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (path, bytes) in expected {
            let Some(bytes) = bytes else { continue };
            let hash = hex(&sha2::Sha256::digest(&bytes));
            assert_eq!(seen.entries[&path].content, Ok(hash), "{name}: {path}");
        }
    }
}

#[test]
fn names_match_without_case() {
    let fat = fat("fat16");
    assert!(fat.folds_case());
    let mut session = fat.session().unwrap();
    let mut find = |path: &str| {
        let mut node = session.root();
        for name in path.split('/') {
            node = session.lookup(&node, name.as_bytes()).unwrap()?;
        }
        Some(node)
    };
    let loader = find("EFI/BOOT/BOOTX64.EFI");
    assert!(loader.is_some());
    assert_eq!(find("efi/Boot/bootx64.efi"), loader);
    assert_eq!(find("ünïcödé-名前-🦀.TXT"), find("Ünïcödé-名前-🦀.txt"));
    // The 8.3 name that mtools made up.
    assert_eq!(find("ALONGN~1.TEX"), find("a long name with spaces and more than thirteen letters.text"));
    assert!(find("ALONGN~1.TEX").is_some());
    assert_eq!(find("EFI/absent"), None);
    assert_eq!(find("gap 1"), None);
}

#[test]
fn extents_are_where_the_bytes_are() {
    for name in NAMES {
        let disk = image(&format!("{name}.raw"));
        let fat = fat(name);
        let mut session = fat.session().unwrap();
        let root = session.root();
        let node = session.lookup(&root, b"big.bin").unwrap().unwrap();
        let extents = session.extents(&node, &Stream::Content).unwrap();
        assert!(extents.len() > 2, "{name}: the recipe leaves gaps for it to lie in");
        let mut bytes = Vec::new();
        for extent in extents {
            assert_eq!(extent.start, bytes.len() as u64);
            let Place::Volume(offset) = extent.place else { panic!() };
            bytes.extend(disk.get(offset, extent.len as usize));
        }
        use sha2::Digest;
        assert_eq!(Ok((hex(&sha2::Sha256::digest(&bytes)), 90_000)), read(session.as_mut(), &node));
        let empty = session.lookup(&root, b"empty").unwrap().unwrap();
        assert_eq!(session.extents(&empty, &Stream::Content).unwrap(), []);
    }
}

#[test]
fn the_probe_opens_it() {
    let volume: Arc<dyn snapfim::image::Image> = image("fat12.raw").shared();
    let probed = probe(&volume);
    assert!(probed.gaps.is_empty());
    assert_eq!(probed.filesystem.unwrap().info().id.as_deref(), Some("F00D-0012"));
}

#[test]
fn nodes_of_other_readers_are_refused() {
    let fat = fat("fat12");
    let mut session = fat.session().unwrap();
    assert!(session.metadata(&NodeId::Path(Arc::from(b"EFI".as_slice()))).is_err());
    assert!(session.metadata(&NodeId::Number(u64::MAX)).is_err());
    let root = session.root();
    assert!(read(session.as_mut(), &root).is_err());
    assert!(session.extents(&root, &Stream::Named(b"x".to_vec())).is_err());
}
