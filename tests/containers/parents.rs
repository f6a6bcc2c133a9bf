//! Chains whose parent is another than the one the child was made of, and damage that a copy makes good.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use snapfim::image::probe::{self, OpenOptions};

use crate::fixture::{Fixtures, content};

#[test]
fn a_parent_that_is_not_the_one_the_child_names_is_an_error_that_names_both() {
    let fixtures = Fixtures::all();
    for (child, parent, other, expected) in [
        ("child.vhd", "dynamic.vhd", "fixed.vhd", "unique id"),
        ("child.vhdx", "dynamic.vhdx", "fixed.vhdx", "data write id"),
        ("delta.vmdk", "sparse.vmdk", "stream.vmdk", "content id"),
    ] {
        fs::copy(fixtures.path(other), fixtures.path(parent)).unwrap();
        let error = fixtures.error(child);
        assert!(error.contains(expected) && error.contains(child) && error.contains(parent), "{error}");
        fs::remove_file(fixtures.path(parent)).unwrap();
        let error = fixtures.error(child);
        assert!(error.contains("No such file") && error.contains(child) && error.contains(parent), "{error}");
    }
}

#[test]
fn a_parent_in_another_directory_needs_image_root() {
    let fixtures = Fixtures::of(&["child.vhd"]);
    let parents = Fixtures::of(&["dynamic.vhd"]);
    assert!(fixtures.open("child.vhd").is_err());
    let options = OpenOptions { image_root: Some(parents.dir.path().to_owned()), snapshot: None };
    let opened = probe::open(&fixtures.path("child.vhd"), &options).unwrap();
    assert_eq!(opened.files.len(), 2);
    content(&*opened.image).unwrap();
}

#[test]
fn a_damaged_vhd_footer_is_replaced_by_its_copy() {
    let fixtures = Fixtures::of(&["dynamic.vhd"]);
    let expected = fixtures.content("dynamic.vhd");
    let end = fixtures.bytes("dynamic.vhd").len();
    fixtures.patch("dynamic.vhd", end - 500, &[0xff; 8]);
    let opened = fixtures.open("dynamic.vhd").unwrap();
    assert!(opened.notes[0].contains("its copy at the front is used"), "{:?}", opened.notes);
    assert_eq!(content(&*opened.image).unwrap(), expected);
    fixtures.patch("dynamic.vhd", 100, &[0xff; 8]);
    assert!(fixtures.error("dynamic.vhd").contains("checksum"));
}

#[test]
fn a_damaged_vhdx_header_or_region_table_is_replaced_by_its_copy() {
    let fixtures = Fixtures::of(&["dynamic.vhdx"]);
    let expected = fixtures.content("dynamic.vhdx");
    let original = fixtures.bytes("dynamic.vhdx");
    // [MS-VHDX] 2.2: headers at 64 and 128 KiB, region tables at 192 and 256 KiB.
    for (first, second) in [(64 << 10, 128 << 10), (192 << 10, 256 << 10)] {
        for at in [first, second] {
            fixtures.patch("dynamic.vhdx", at, b"lost");
            assert_eq!(fixtures.content("dynamic.vhdx"), expected, "{at:#x}");
            fixtures.put("dynamic.vhdx", &original);
        }
        fixtures.patch("dynamic.vhdx", first, b"lost");
        fixtures.patch("dynamic.vhdx", second, b"lost");
        assert!(fixtures.error("dynamic.vhdx").contains("does not begin with"));
        fixtures.put("dynamic.vhdx", &original);
    }
}

#[test]
fn a_vhdx_log_is_replayed_in_memory_and_the_file_stays_as_it_was() {
    let fixtures = Fixtures::of(&["dirty.vhdx", "dynamic.vhdx"]);
    let before = fixtures.bytes("dirty.vhdx");
    let opened = fixtures.open("dirty.vhdx").unwrap();
    assert!(opened.notes[0].contains("log of 2 entries"), "{:?}", opened.notes);
    assert_ne!(content(&*opened.image).unwrap(), fixtures.content("dynamic.vhdx"), "the log changes the disk");
    assert_eq!(fixtures.bytes("dirty.vhdx"), before);
}

#[test]
fn a_vhdx_log_without_a_whole_sequence_is_no_empty_log() {
    // [MS-VHDX] 2.3.3: "there are no valid log sequences, the file is corrupt, and the implementation MUST fail to open
    // it". Entry 7 is the tail of the sequence; a last entry that is torn ends it one earlier.
    let fixtures = Fixtures::of(&["dirty.vhdx"]);
    let log = 1 << 20;
    fixtures.patch("dirty.vhdx", log + 0x5000 + 4096, b"torn");
    assert!(fixtures.open("dirty.vhdx").unwrap().notes[0].contains("log of 1 entries"));
    fixtures.patch("dirty.vhdx", log + 0x2000 + 4096, b"lost");
    let error = fixtures.error("dirty.vhdx");
    assert!(error.contains("log at 0x100000") && error.contains("no whole sequence"), "{error}");
}

#[test]
fn a_vhdx_log_in_which_no_entry_was_begun_was_a_damaged_one() {
    // qemu gives the log its id in the header before it writes an entry: qemu-io that was killed left 41 of 150 files
    // so, and `qemu-img check` finds no errors on them.
    let fixtures = Fixtures::of(&["dirty.vhdx", "dynamic.vhdx"]);
    fixtures.patch("dirty.vhdx", 1 << 20, &vec![0; 1 << 20]);
    let opened = fixtures.open("dirty.vhdx").unwrap();
    assert_eq!(content(&*opened.image).unwrap(), fixtures.content("dynamic.vhdx"));
    assert!(opened.gaps.is_empty() && opened.notes[0].contains("no entry of its log"), "{:?}", opened.notes);
}

#[test]
fn what_an_e01_says_of_its_size_and_of_its_chunks_has_its_checksum() {
    // libewf, "Volume section", "Table section": the checksums at their ends. Sections as ewfinfo lists them: volume at
    // 650, table at 6294078, table2 at 6294950, each with a descriptor of 76 bytes.
    let fixtures = Fixtures::of(&["none.E01"]);
    let original = fixtures.bytes("none.E01");
    let expected = fixtures.content("none.E01");
    let flip = |at: usize| fixtures.patch("none.E01", at, &[fixtures.bytes("none.E01")[at] ^ 1]);

    flip(650 + 76 + 17);
    let error = fixtures.error("none.E01");
    assert!(error.contains("volume section at 0x2d6") && error.contains("its checksum is"), "{error}");

    fixtures.put("none.E01", &original);
    flip(6_294_078 + 76 + 24 + 4 * 7);
    let opened = fixtures.open("none.E01").unwrap();
    assert_eq!(content(&*opened.image).unwrap(), expected, "the copy of the table is used");
    assert!(opened.gaps.is_empty() && opened.notes[0].contains("1 tables of chunks are damaged"), "{:?}", opened.notes);

    flip(6_294_950 + 76 + 24 + 4 * 7);
    let opened = fixtures.open("none.E01").unwrap();
    assert!(opened.gaps[0].contains("no whole copy"), "{:?}", opened.gaps);
}

#[test]
fn an_extent_that_is_not_there_reads_as_zeros() {
    // "Virtual Disk Format 5.0", "Extent Description": ZERO is filled with zeros.
    let fixtures = Fixtures::of(&["pieces.vmdk", "pieces-1.vmdk", "pieces-2.vmdk"]);
    let whole = fixtures.content("pieces.vmdk");
    let text = String::from_utf8(fixtures.bytes("pieces.vmdk")).unwrap();
    fixtures.put("pieces.vmdk", text.replace("RW 6144 FLAT \"pieces-2.vmdk\" 0", "RW 6144 ZERO").as_bytes());
    let half = whole.len() / 2;
    assert_eq!(fixtures.content("pieces.vmdk"), [&whole[..half], &vec![0; half][..]].concat());
    // An extent whose file is too short for it.
    fixtures.put(
        "pieces.vmdk",
        text.replace("RW 6144 FLAT \"pieces-2.vmdk\" 0", "RW 6144 FLAT \"pieces-2.vmdk\" 1").as_bytes(),
    );
    let error = fixtures.error("pieces.vmdk");
    assert!(error.contains("pieces-2.vmdk") && error.contains("does not have"), "{error}");
}

#[test]
fn names_in_a_vmdk_descriptor_are_bytes_of_any_encoding() {
    // "Virtual Disk Format 5.0", "The Header": `encoding` is windows-1252 where it says so; 0xe9 is no UTF-8.
    let fixtures = Fixtures::of(&["flat.vmdk", "flat-flat.vmdk", "sparse.vmdk", "delta.vmdk"]);
    let [flat, delta] = ["flat.vmdk", "delta.vmdk"].map(|name| fixtures.content(name));
    let renamed = |from: &[u8]| [&b"\xe9"[..], &from[1..]].concat();
    for (descriptor, named) in [("flat.vmdk", "flat-flat.vmdk"), ("delta.vmdk", "sparse.vmdk")] {
        let (bytes, quoted) = (fixtures.bytes(descriptor), format!("\"{named}\""));
        let at = bytes.windows(quoted.len()).position(|window| window == quoted.as_bytes()).unwrap();
        fixtures.patch(descriptor, at + 1, b"\xe9");
        let other = fixtures.dir.path().join(OsStr::from_bytes(&renamed(named.as_bytes())));
        fs::rename(fixtures.path(named), other).unwrap();
    }
    assert_eq!(["flat.vmdk", "delta.vmdk"].map(|name| fixtures.content(name)), [flat, delta]);
}

#[test]
fn an_ova_with_more_disks_says_which_are_not_read() {
    let fixtures = Fixtures::of(&["machine.ova"]);
    let archive = fixtures.bytes("machine.ova");
    // The disk's header and content, found by the name, once more behind the first.
    let header = archive.windows(18).position(|w| w == b"machine-disk1.vmdk").unwrap();
    let size = usize::from_str_radix(std::str::from_utf8(&archive[header + 124..header + 135]).unwrap(), 8).unwrap();
    let end = header + 512 + size.next_multiple_of(512);
    let mut second = archive[header..end].to_vec();
    second[12] = b'2';
    let sum: u32 =
        second[..512].iter().enumerate().map(|(n, b)| if (148..156).contains(&n) { 32 } else { u32::from(*b) }).sum();
    second[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fixtures.put("two.ova", &[&archive[..end], &second, &archive[end..]].concat());
    let opened = fixtures.open("two.ova").unwrap();
    assert_eq!(content(&*opened.image).unwrap(), fixtures.content("machine.ova"));
    assert!(opened.gaps.len() == 1 && opened.gaps[0].contains("machine-"), "{:?}", opened.gaps);
}

/// A header of an archive as POSIX.1-1988, "ustar Interchange Format", has it, and its data.
fn tar_member(name: &str, kind: u8, said: usize, data: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{said:011o}\0").as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend_from_slice(data);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

#[test]
fn an_ova_says_names_and_sizes_that_are_too_long_for_a_header_before_the_file() {
    // POSIX.1-2001, "pax Extended Header": a size of 8 GiB or more, and a path of more than 100 bytes, stand in records
    // of a header of type x; the name in one of type L where GNU tar wrote it. Python's tarfile and GNU tar
    // (--format=posix) leave the size in the file's own header 0 then.
    let fixtures = Fixtures::of(&["stream.vmdk"]);
    let (disk, expected) = (fixtures.bytes("stream.vmdk"), fixtures.content("stream.vmdk"));
    let long = format!("{}.vmdk", "d".repeat(120));
    let record = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        (1..200).map(|len| format!("{len}{rest}")).find(|text| text.starts_with(&format!("{} ", text.len()))).unwrap()
    };
    let pax = |text: &str| tar_member("PaxHeaders/x", b'x', text.len(), text.as_bytes());
    let size = record("size", &disk.len().to_string());
    let path = record("path", &long);
    let end = [0; 1024];
    let cut = &long[..100];
    for (name, archive) in [
        ("size.ova", [pax(&size), tar_member("disk1.vmdk", b'0', 0, &disk)].concat()),
        ("path.ova", [pax(&format!("{path}{size}")), tar_member(cut, b'0', 0, &disk)].concat()),
        (
            "gnu.ova",
            [
                tar_member("././@LongLink", b'L', long.len() + 1, format!("{long}\0").as_bytes()),
                tar_member(cut, b'0', disk.len(), &disk),
            ]
            .concat(),
        ),
    ] {
        fixtures.put(name, &[&archive[..], &end].concat());
        assert_eq!(fixtures.content(name), expected, "{name}");
        // As a second disk, it is one that is not read.
        let first = tar_member("first.vmdk", b'0', disk.len(), &disk);
        let pieces = tar_member("third.vmdk.000000000", b'0', 4, b"more");
        fixtures.put(name, &[&first[..], &archive, &pieces, &end].concat());
        let gaps = fixtures.open(name).unwrap().gaps;
        assert!(gaps.len() == 2 && gaps[1].contains("third.vmdk.000000000"), "{name}: {gaps:?}");
    }
}
