//! The fixtures: volumes made by mkntfs and ntfs-3g, each beside what ntfs-3g reads from it.

use std::{io::Read, ops::ControlFlow, sync::Arc};

use sha2::{Digest, Sha256};
use snapfim::{
    fs::{FileSystem, Kind, Listed, NodeId, Place, Stream, ntfs::Ntfs, read_small},
    image::Image,
};

use crate::{
    sparse::{Sparse, open as open_fixture, truth},
    walk::{Hash, check_extents, compare, filetime, hex, open},
};

/// Compares a fixture with its table; all differences, and nothing else, are expected.
fn check(name: &str, expected: &[&str]) {
    let image: Arc<dyn Image> = Arc::new(Sparse::fixture(name));
    let (count, wrong) = compare(&image, &truth(name));
    assert_eq!(wrong, expected, "{name}: {count} entries");
}

#[test]
fn small_clusters() {
    check("small-clusters", &[]);
}

#[test]
fn large_clusters() {
    check("large-clusters", &[]);
}

#[test]
fn clusters_of_2_mib() {
    check("huge-clusters", &[]);
}

#[test]
fn sectors_and_records_of_4_kib() {
    check("sectors-4096", &[]);
}

#[test]
fn mft_with_an_attribute_list() {
    check("mft-list", &[]);
}

#[test]
fn an_8_3_name_belongs_to_one_link_of_a_file() {
    // ntfs-3g counts it as one more link, and refuses to tell it of a file that has several; that the link in the other
    // folder has none, it says. The name itself is that of the recipe.
    let expected = [
        "/one/a long name.text: nlink: 3, 2",
        "/one/a long name.text: dosname: , ALONGN~1.TEX",
        "/two/another long name.text: nlink: 3, 2",
    ];
    check("short-names", &expected);
}

#[test]
fn everything_else() {
    // ntfs-3g does not read EFS; the bytes on disk are those of the recipe. It counts an 8.3 name as a link.
    let raw = hex(&Sha256::digest(vec![b'e'; 10_000]));
    let expected = [
        "/Long Name With Short.text: nlink: 2, 1",
        "/dos alone.text: nlink: 2, 1",
        &format!("/encrypted: sha256: unreadable, {raw}"),
        "/encrypted: ntfs: record 138: content is encrypted (EFS): its bytes are taken as they are on disk",
    ];
    check("basic", &expected);
}

#[test]
fn wof_content_equals_what_wimlib_compressed() {
    let image: Arc<dyn Image> = Arc::new(Sparse::fixture("wof"));
    let (_, rows) = open(image);
    let mut text = String::new();
    open_fixture("wof.sha256").read_to_string(&mut text).expect("a table");
    let mut count = 0;
    for folder in ["XPRESS4096", "XPRESS8192", "XPRESS16384", "LZX32768"] {
        for line in text.lines() {
            let mut columns = line.splitn(3, "  ");
            let mut column = || columns.next().expect("three columns");
            let (sha256, size, name) = (column(), column(), column());
            let row = &rows[format!("/{folder}/{name}").as_bytes()];
            assert_eq!((row.kind, row.meta.size.to_string().as_str()), (Kind::File, size), "{folder}/{name}");
            assert_eq!((row.sha256.as_str(), &row.faults[..]), (sha256, &[][..]), "{folder}/{name}");
            assert_eq!(row.streams, [], "the compressed bytes are the content, not a stream beside it");
            let stored = |place| matches!(place, Place::Encoded { .. } | Place::Metadata);
            assert!(row.extents.iter().all(|extent| stored(extent.place)), "{:?}", row.extents);
            count += 1;
        }
    }
    assert_eq!(count, 28);
    let plain = &rows[&b"/not wof"[..]];
    assert_eq!(plain.streams.len(), 1, "without the reparse point it is a stream like any other");
}

#[test]
fn what_the_volume_says_of_itself() {
    for name in ["basic", "small-clusters", "large-clusters", "huge-clusters", "sectors-4096", "mft-list", "wof"] {
        let ntfs = Ntfs::open(Arc::new(Sparse::fixture(name))).expect("a volume");
        let mut blkid = String::new();
        open_fixture(&format!("{name}.blkid")).read_to_string(&mut blkid).expect("blkid's lines");
        let info = ntfs.info();
        assert_eq!(blkid.lines().collect::<Vec<_>>(), [info.label.as_deref().unwrap(), info.id.as_deref().unwrap()]);
        assert_eq!(info.gaps, [""; 0]);
        let hibernated = info.notes.iter().any(|note| note.contains("hibernated"));
        assert_eq!((info.fs, hibernated), ("ntfs", name == "basic"), "{:?}", info.notes);
    }
}

#[test]
fn names_match_without_case_and_by_their_short_form() {
    let ntfs = Ntfs::open(Arc::new(Sparse::fixture("basic"))).expect("a volume");
    assert!(ntfs.folds_case());
    let mut session = ntfs.session().expect("a session");
    let root = session.root();
    let folder = session.lookup(&root, b"FOLDER").unwrap().expect("the folder");
    for name in [&b"In It"[..], b"COMBINING e\xcc\x81, \xf0\x9f\xa7\xaa", b"LONE \xed\xa0\x80 HIGH", b"\xed\xb0\x80"] {
        assert!(session.lookup(&folder, name).unwrap().is_some(), "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(session.lookup(&folder, b"in").unwrap(), None);
    assert_eq!(session.lookup(&folder, b"\xff").unwrap(), None);
    let long = session.lookup(&root, b"long name with short.text").unwrap();
    assert!(long.is_some());
    assert_eq!(session.lookup(&root, b"longna~1.tex").unwrap(), long);
    // System files are not found, as they are not listed.
    assert_eq!(session.lookup(&root, b"$MFT").unwrap(), None);
    let plain = session.lookup(&root, b"plain").unwrap().expect("the file");
    let stream = read_small(session.as_mut(), &plain, &Stream::Named(b"FIRST".to_vec()), 10).unwrap();
    assert_eq!(stream, b"1");
    assert!(session.extents(&plain, &Stream::Named(b"none".to_vec())).is_err());
}

#[test]
fn a_stream_without_its_first_part_is_a_fault() {
    let mut image = Sparse::fixture("basic");
    let name: Vec<u8> = "großer".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The name stands behind the attribute's header; at 0x10 is the part's first cluster, at 0x18 its last.
    let header = image.find(&name)[0] - 0x40;
    image.patch(header + 0x10, &5_u64.to_le_bytes());
    image.patch(header + 0x18, &7_u64.to_le_bytes());
    let (_, rows) = open(Arc::new(image));
    let expected = "ntfs: record 66: stream \"großer\" lacks its first part";
    assert_eq!(rows[&b"/plain"[..]].faults, [expected]);
    assert_eq!(rows[&b"/plain"[..]].streams.len(), 1);
}

#[test]
fn places_of_content() {
    let image: Arc<dyn Image> = Arc::new(Sparse::fixture("basic"));
    let (_, rows) = open(Arc::clone(&image));
    let places = |path: &str| rows[path.as_bytes()].extents.clone();
    assert_eq!(places("/empty"), []);
    assert!(places("/resident").iter().all(|extent| extent.place == Place::Metadata));
    assert_eq!(places("/holes").iter().filter(|extent| matches!(extent.place, Place::Volume(_))).count(), 400);
    let valid = places("/valid length");
    assert_eq!((valid[0].len, valid[1].place, valid.len()), (50_001, Place::Unwritten, 2));
    assert!(places("/packed/zeros").iter().all(|extent| extent.place == Place::Hole));
    assert!(places("/packed/text").iter().any(|extent| matches!(extent.place, Place::Encoded { .. })));
    let (_, small) = open(Arc::new(Sparse::fixture("small-clusters")));
    assert!(small[&b"/packed/noise"[..]].extents.iter().any(|extent| matches!(extent.place, Place::Volume(_))));
    rows.values().filter(|row| row.kind == Kind::File).for_each(|row| check_extents(image.as_ref(), row));
}

#[test]
fn links_attributes_and_times() {
    let (_, rows) = open(Arc::new(Sparse::fixture("basic")));
    let target =
        |path: &str| rows[path.as_bytes()].meta.target.clone().map(|target| String::from_utf8(target).expect("UTF-8"));
    assert_eq!(target("/junction").as_deref(), Some("C:\\folder"));
    assert_eq!(target("/symlink").as_deref(), Some("..\\plain"));
    assert_eq!(target("/posix link").as_deref(), Some("folder/in it"));
    let times = rows[&b"/times"[..]].meta.times;
    assert_eq!(times.crtime.map(filetime), Some(1));
    assert_eq!(times.mtime.map(filetime), Some(0x01DA_0000_1234_5678));
    let xattrs: Vec<_> = rows[&b"/extended"[..]]
        .meta
        .xattrs
        .iter()
        .map(|x| (String::from_utf8_lossy(&x.name).into_owned(), x.value.len()))
        .collect();
    let expected = [("ntfs.ea.$LXUID", 4), ("ntfs.ea.$LXMOD", 4), ("ntfs.ea.PAYLOAD", 300)];
    assert_eq!(xattrs, expected.map(|(name, len)| (name.to_owned(), len)));
}

/// The names and the faults of a directory.
fn names(ntfs: &Ntfs, path: &[&str]) -> (Vec<String>, Vec<String>, Vec<NodeId>) {
    let mut session = ntfs.session().expect("a session");
    let dir = path.iter().fold(session.root(), |dir, name| {
        session.lookup(&dir, name.as_bytes()).expect("a listing").expect("a directory")
    });
    let (mut names, mut faults, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let listed = session.list(&dir, &mut |listed| {
        match listed {
            Listed::Entry(entry) => {
                names.push(String::from_utf8_lossy(entry.name).into_owned());
                nodes.push(entry.node);
            }
            Listed::Fault(fault) => faults.push(fault.to_string()),
        }
        ControlFlow::Continue(())
    });
    listed.expect("a listing");
    (names, faults, nodes)
}

fn utf16(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_short_name_without_its_long_one_is_listed() {
    let mut image = Sparse::fixture("basic");
    for at in image.find(&utf16("dos alone.text")) {
        // The byte before the name is the namespace: 2 is DOS.
        image.patch(at - 1, &[2]);
    }
    let (names, faults, _) = names(&Ntfs::open(Arc::new(image)).expect("a volume"), &[]);
    assert!(names.contains(&"dos alone.text".to_owned()) && names.contains(&"DOSALO~1.TEX".to_owned()), "{names:?}");
    assert!(!names.contains(&"LONGNA~1.TEX".to_owned()));
    assert_eq!(faults, [""; 0]);
}

/// Where the record with this file name begins; records of a KiB lie in order from the first.
fn record_of(image: &Sparse, name: &str) -> u64 {
    let records = image.find(b"FILE0");
    let names = image.find(&utf16(name));
    let holds = |at: &u64| names.iter().any(|name| (*at..*at + 1024).contains(name));
    records.into_iter().find(holds).expect("a record")
}

#[test]
fn a_stale_reference_is_a_fault() {
    let mut image = Sparse::fixture("basic");
    let at = record_of(&image, "stale");
    image.patch(at + 0x10, &77_u16.to_le_bytes());
    let ntfs = Ntfs::open(Arc::new(image)).expect("a volume");
    let mut session = ntfs.session().expect("a session");
    let root = session.root();
    let node = session.lookup(&root, b"stale").unwrap().expect("its name still stands");
    let error = session.metadata(&node).unwrap_err().to_string();
    assert!(error.starts_with("ntfs: record ") && error.ends_with("stale reference: sequence 1, found 77"), "{error}");
}

#[test]
fn a_torn_record_is_a_fault() {
    let mut image = Sparse::fixture("basic");
    let at = record_of(&image, "stale");
    image.patch(at + 510, &[0xEE, 0xEE]);
    let ntfs = Ntfs::open(Arc::new(image)).expect("a volume");
    let mut session = ntfs.session().expect("a session");
    let root = session.root();
    let node = session.lookup(&root, b"stale").unwrap().expect("its name still stands");
    assert!(session.metadata(&node).unwrap_err().to_string().contains("torn write: block 0 ends in [ee, ee]"));
}

#[test]
fn a_broken_branch_hides_nothing() {
    let whole = Sparse::fixture("sectors-4096");
    let (before, faults, _) = names(&Ntfs::open(Arc::new(whole.clone())).expect("a volume"), &["many"]);
    assert_eq!((before.len(), faults.len()), (300, 0));
    // An index block that is torn: what it holds is lost, and said to be; what the others hold is not.
    let block = whole.find(b"INDX").into_iter().find(|at| {
        let mut bytes = vec![0; 4096];
        whole.read_at(*at, &mut bytes).expect("a block");
        bytes.windows(10).filter(|window| *window == utf16("nnnnn")).count() > 500
    });
    let mut image = whole;
    image.patch(block.expect("a block of names") + 510, &[0xEE, 0xEE]);
    let (after, faults, _) = names(&Ntfs::open(Arc::new(image)).expect("a volume"), &["many"]);
    assert!(after.len() < 300 && after.len() > 200, "{}", after.len());
    assert!(faults.iter().any(|fault| fault.contains("torn write")), "{faults:?}");
}

#[test]
fn the_backup_boot_sector_and_the_mirror_stand_in() {
    let mut image = Sparse::fixture("basic");
    let mft = 4 * 4096;
    assert_eq!(image.find(b"FILE0").first(), Some(&mft));
    image.patch(mft, b"BAAD");
    image.patch(0, &[0; 512]);
    assert!(Ntfs::probe(&image).expect("a probe"));
    let ntfs = Ntfs::open(Arc::new(image.clone())).expect("a volume");
    assert_eq!(ntfs.info().notes.iter().filter(|note| note.contains("backup") || note.contains("$MFTMirr")).count(), 2);
    assert!(names(&ntfs, &[]).0.len() > 20);
    // The sector alone is no volume.
    let mut backup = [0; 512];
    image.read_at(image.len() - 512, &mut backup).expect("the backup");
    let alone = snapfim::image::Memory([vec![0; 1 << 20], backup.to_vec()].concat());
    assert!(!Ntfs::probe(&alone).expect("a probe"));
}

#[test]
fn content_that_cannot_be_read_is_an_error() {
    let mut image = Sparse::fixture("basic");
    let half = image.len() / 2;
    image.truncate(half);
    let ntfs = Ntfs::open(Arc::new(image)).expect("a volume");
    assert!(ntfs.info().gaps[0].starts_with("the volume has 0xbffe00 bytes"), "{:?}", ntfs.info().gaps);
    let (names, _, nodes) = names(&ntfs, &["packed"]);
    let mut session = ntfs.session().expect("a session");
    for (name, node) in names.iter().zip(nodes) {
        let mut hash = Hash::up_to(u64::MAX);
        let read = session.read(&node, &Stream::Content, &mut hash);
        let size = session.metadata(&node).expect("metadata").size;
        assert!(read.is_err() || hash.len == size, "{name}: {} of {size}", hash.len);
    }
}
