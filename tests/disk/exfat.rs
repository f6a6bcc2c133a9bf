//! exFAT against exfat-fuse, SleuthKit and blkid: the tables beside the images, see `fixtures/exfat/make.sh`.

use std::{collections::BTreeMap, sync::Arc};

use snapfim::{
    fs::{ExFat, Extent, FileSystem, Kind, NodeId, Place, Session, Stream, Timestamp, probe},
    image::Image,
};

use crate::support::{Patched, Seen, bytes, image, read, text, walk};

const NAMES: [&str; 3] = ["c512", "c4k", "c128k"];

pub(crate) fn sound(name: &str) -> Patched {
    image(&format!("../exfat/{name}.raw"))
}

pub(crate) fn open(image: &Patched) -> ExFat {
    ExFat::open(image.clone().shared()).unwrap()
}

/// A line of the table beside an image.
struct Row {
    kind: String,
    size: String,
    mtime: String,
    hash: String,
    attributes: String,
    crtime: String,
    atime: String,
    sectors: String,
}

fn table(name: &str) -> BTreeMap<String, Row> {
    let text = String::from_utf8(bytes(&format!("../exfat/{name}.tsv"))).unwrap();
    let row = |line: &str| {
        let [path, kind, size, mtime, hash, attributes, crtime, atime, sectors] =
            line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        (path, Row { kind, size, mtime, hash, attributes, crtime, atime, sectors })
    };
    text.lines().map(row).collect()
}

fn seconds(timestamp: Option<Timestamp>) -> String {
    timestamp.map(|timestamp| timestamp.seconds.to_string()).unwrap_or_default()
}

/// `FILE_ATTRIBUTE_*` bits of the words that istat prints.
fn attribute_bits(words: &str) -> u32 {
    let bit = |word: &str| match word {
        "File" => 0,
        "Read Only" => 1,
        "Hidden" => 2,
        "System" => 4,
        "Archive" => 32,
        other => panic!("{other}"),
    };
    words.split(", ").map(bit).sum()
}

#[test]
fn trees_are_those_of_exfat_fuse() {
    for name in NAMES {
        let exfat = open(&sound(name));
        assert_eq!((&exfat.info().gaps, &exfat.info().notes), (&Vec::new(), &Vec::new()), "{name}");
        let seen = walk(&exfat);
        assert_eq!(seen.all_faults(), [] as [String; 0], "{name}");
        let mut session = exfat.session().unwrap();
        let expected = table(name);
        assert_eq!(seen.paths(), expected.keys().map(String::as_str).collect::<Vec<_>>(), "{name}");
        for (path, row) in expected {
            let Seen { kind, size, content, node } = &seen.entries[&path];
            let metadata = session.metadata(node).unwrap();
            assert_eq!(metadata.faults, [], "{path}");
            if path != "/patched/time zone.txt" {
                let times = metadata.times;
                assert_eq!((seconds(times.mtime), seconds(times.atime)), (row.mtime, row.atime), "{name}: {path}");
                // SleuthKit leaves out the odd second when it is exactly 100 hundredths.
                let even = |seconds: i64| seconds - seconds % 2;
                assert_eq!(even(times.crtime.unwrap().seconds), even(row.crtime.parse().unwrap()), "{name}: {path}");
            }
            if row.kind == "dir" {
                assert_eq!(*kind, Kind::Dir, "{path}");
                continue;
            }
            assert_eq!((*kind, size.to_string()), (Kind::File, row.size), "{path}");
            assert_eq!(content.as_deref(), Ok(row.hash.as_str()), "{name}: {path}");
            if !row.attributes.is_empty() {
                assert_eq!(metadata.windows.unwrap().attributes, attribute_bits(&row.attributes), "{path}");
                let extents = session.extents(node, &Stream::Content).unwrap();
                check_extents(&extents, *size, &row.sectors, &path);
            }
        }
    }
}

/// Whether a map leads through the sectors that istat lists; what is unwritten has them too, at its end.
fn check_extents(extents: &[Extent], size: u64, sectors: &str, path: &str) {
    let mut expected = Vec::new();
    for run in sectors.split(',').filter(|run| !run.is_empty()) {
        let (first, count) = run.split_once('+').unwrap();
        let first: u64 = first.parse().unwrap();
        expected.extend(first..first + count.parse::<u64>().unwrap());
    }
    let mut end = 0;
    for extent in extents {
        assert_eq!(extent.start, end, "{path}");
        end += extent.len;
        let Place::Volume(offset) = extent.place else {
            assert_eq!((extent.place, end), (Place::Unwritten, size), "{path}");
            continue;
        };
        for at in (0..extent.len).step_by(512) {
            let index = ((extent.start + at) / 512) as usize;
            assert_eq!((offset + at) / 512, expected[index], "{path} at {at}");
        }
    }
    assert_eq!(end, size, "{path}");
}

#[test]
fn ids_are_those_of_blkid() {
    // Labels as they were given to mkfs.exfat; blkid escapes them.
    for (name, label) in NAMES.into_iter().zip([Some("Data disk"), Some("Ünïcödé 名"), None]) {
        let exfat = open(&sound(name));
        let blkid = text(&format!("../exfat/{name}.blkid"));
        let field = |key: &str| {
            let line = blkid.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
            line.map(str::to_owned)
        };
        assert_eq!((&exfat.info().id, exfat.info().label.as_deref()), (&field("UUID"), label), "{name}");
        assert_eq!(Some(exfat.info().fs.to_owned()), field("TYPE"));
        assert_eq!(exfat.info().size, sound(name).len());
    }
}

pub(crate) fn find(session: &mut dyn Session, path: &str) -> Option<NodeId> {
    let mut node = session.root();
    for name in path.split('/') {
        node = session.lookup(&node, name.as_bytes()).unwrap()?;
    }
    Some(node)
}

#[test]
fn what_was_never_written_is_zeros() {
    // Section 7.6.5; the table has the hash of 700 bytes and of zeros behind them.
    let exfat = open(&sound("c4k"));
    let mut session = exfat.session().unwrap();
    let node = find(session.as_mut(), "patched/unwritten.bin").unwrap();
    let extents = session.extents(&node, &Stream::Content).unwrap();
    let [data, zeros] = extents.as_slice() else { panic!("{extents:?}") };
    assert!(matches!(data, Extent { start: 0, len: 700, place: Place::Volume(_) }), "{data:?}");
    assert_eq!(*zeros, Extent { start: 700, len: 19_300, place: Place::Unwritten });
    let node = find(session.as_mut(), "patched/nothing written.bin").unwrap();
    let extents = session.extents(&node, &Stream::Content).unwrap();
    assert_eq!(extents, [Extent { start: 0, len: 5000, place: Place::Unwritten }]);
}

#[test]
fn times_have_hundredths_and_offsets() {
    for name in NAMES {
        let exfat = open(&sound(name));
        let mut session = exfat.session().unwrap();
        let node = find(session.as_mut(), "patched/time zone.txt").unwrap();
        let times = session.metadata(&node).unwrap().times;
        let text = |time: Option<Timestamp>| time.unwrap().to_string();
        // 14:00:06.55 at UTC-5, 14:00:07.99 at UTC+5:45, 14:00:08 at an unknown offset (section 7.4.10).
        assert_eq!(text(times.crtime), "2021-03-04T19:00:06.550000000Z");
        assert_eq!(text(times.mtime), "2021-03-04T08:15:07.990000000Z");
        assert_eq!(text(times.atime), "2021-03-04T14:00:08.000000000Z");
    }
}

#[test]
fn names_match_without_case() {
    let exfat = open(&sound("c4k"));
    assert!(exfat.folds_case());
    let mut session = exfat.session().unwrap();
    let mut find = |path: &str| find(session.as_mut(), path);
    assert!(find("readme.txt").is_some());
    assert_eq!(find("README.TXT"), find("readme.txt"));
    assert_eq!(find("ünïcödé-名前-🦀.TXT"), find("Ünïcödé-名前-🦀.txt"));
    assert_eq!(find("DEEP/Level 0/LEVEL 1"), find("deep/level 0/level 1"));
    assert!(find("deep/level 0/level 1").is_some());
    assert_eq!(find("gap 1"), None);
    assert_eq!(find("many/file number 00007.dat"), None);
}

#[test]
fn the_probe_opens_it() {
    for name in NAMES {
        let volume: Arc<dyn Image> = sound(name).shared();
        let probed = probe(&volume);
        assert!(probed.gaps.is_empty(), "{:?}", probed.gaps);
        assert_eq!(probed.filesystem.unwrap().info().fs, "exfat");
    }
}

#[test]
fn nodes_of_other_readers_are_refused() {
    let exfat = open(&sound("c4k"));
    let mut session = exfat.session().unwrap();
    assert!(session.metadata(&NodeId::Path(Arc::from(b"deep".as_slice()))).is_err());
    let NodeId::Number(file) = find(session.as_mut(), "readme.txt").unwrap() else { panic!() };
    for node in [1, 512, file + 1, file + 32, u64::MAX, u64::MAX - 31] {
        assert!(session.metadata(&NodeId::Number(node)).is_err(), "{node}");
    }
    let root = session.root();
    assert!(read(session.as_mut(), &root).is_err());
    assert!(session.extents(&root, &Stream::Named(b"x".to_vec())).is_err());
}
