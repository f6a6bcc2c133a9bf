//! What only qcow2 has: snapshots inside, the changed map, feature bits, encryption.

use snapfim::{
    error::Error,
    image::{changed::changed_since, probe::Opened},
};

use crate::fixture::{Fixtures, content};

/// Offsets of header fields: QEMU, docs/interop/qcow2.rst, "Header".
const VERSION: usize = 4;
const CRYPT: usize = 32;
const INCOMPATIBLE: usize = 72;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn changed(newer: &Opened, older: &Opened) -> Vec<(u64, u64)> {
    let ranges = changed_since(&**newer.layered.as_ref().unwrap(), &**older.layered.as_ref().unwrap()).unwrap();
    ranges.into_iter().map(|range| (range.start, range.end)).collect()
}

/// Outside the ranges the bytes must be the same.
fn holds(newer: &Opened, older: &Opened, ranges: &[(u64, u64)]) {
    let [new, old] = [newer, older].map(|opened| content(&*opened.image).unwrap());
    for (at, (a, b)) in new.iter().zip(&old).enumerate() {
        let told = ranges.iter().any(|(start, end)| (*start..*end).contains(&(at as u64)));
        assert!(a == b || told, "a change at {at:#x} is not told");
    }
}

#[test]
fn snapshots_are_listed_and_found_by_name_and_id() {
    let fixtures = Fixtures::of(&["snaps.qcow2", "dynamic.vhd"]);
    let snapshots = fixtures.open("snaps.qcow2").unwrap().snapshots;
    let names: Vec<(&str, &str)> = snapshots.iter().map(|s| (s.id.as_str(), s.name.as_str())).collect();
    assert_eq!(names, [("1", "before-upgrade"), ("2", "after")]);
    let by = |wanted| content(&*fixtures.open_at("snaps.qcow2", Some(wanted)).unwrap().image).unwrap();
    assert_eq!(by("1"), by("before-upgrade"));
    assert_ne!(by("1"), by("2"));

    let Err(error) = fixtures.open_at("snaps.qcow2", Some("nightly")) else { panic!("opened") };
    assert!(error.to_string().contains("no snapshot 'nightly'; there is: before-upgrade, after"), "{error}");
    let Err(error) = fixtures.open_at("dynamic.vhd", Some("nightly")) else { panic!("opened") };
    assert!(matches!(error, Error::Usage(_)), "{error}");
}

#[test]
fn the_changed_map_of_snapshots_is_what_was_written() {
    // make.py: 192 KiB at 1 MiB before the second snapshot; then 64 KiB at 4 MiB, and zeros over the first 64 KiB.
    let fixtures = Fixtures::of(&["snaps.qcow2"]);
    let [now, first, second] = [None, Some("1"), Some("2")].map(|s| fixtures.open_at("snaps.qcow2", s).unwrap());
    assert_eq!(changed(&first, &first), []);
    assert_eq!(changed(&second, &first), [(MIB, MIB + 192 * KIB)]);
    assert_eq!(changed(&now, &second), [(0, 64 * KIB), (4 * MIB, 4 * MIB + 64 * KIB)]);
    assert_eq!(changed(&now, &first), [(0, 64 * KIB), (MIB, MIB + 192 * KIB), (4 * MIB, 4 * MIB + 64 * KIB)]);
    holds(&now, &first, &changed(&now, &first));
}

#[test]
fn the_changed_map_of_layers_is_what_the_upper_ones_hold() {
    let fixtures = Fixtures::all();
    for (upper, lower, expected) in [
        // make.py: subclusters of 2 KiB at 514 KiB; what lies past the lower layer's end.
        ("top.qcow2", "middle.qcow2", vec![(514 * KIB, 516 * KIB), (6 * MIB, 7 * MIB)]),
        ("middle.qcow2", "v3.qcow2", vec![(512 * KIB, 576 * KIB), (MIB, MIB + 128 * KIB)]),
        ("onraw.qcow2", "onraw.qcow2", vec![]),
        ("delta.vmdk", "sparse.vmdk", vec![(2 * MIB, 2 * MIB + 128 * KIB)]),
        ("child.vhdx", "dynamic.vhdx", vec![]),
        ("child.vhd", "dynamic.vhd", vec![]),
    ] {
        let [newer, older] = [upper, lower].map(|name| fixtures.open(name).unwrap());
        let ranges = changed(&newer, &older);
        holds(&newer, &older, &ranges);
        if upper == lower || !expected.is_empty() {
            assert_eq!(ranges, expected, "{upper} over {lower}");
        }
    }
}

#[test]
fn a_backing_file_without_a_format_is_told_by_its_magic() {
    let fixtures = Fixtures::of(&["middle.qcow2", "onvpc.qcow2", "v3.qcow2", "dynamic.vhd"]);
    for name in ["middle.qcow2", "onvpc.qcow2"] {
        let expected = fixtures.content(name);
        // "Header extensions": the type of the backing file format becomes one that nobody knows.
        let at = fixtures.bytes(name).windows(4).position(|w| w == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
        fixtures.patch(name, at, &[0x12, 0x34, 0x56, 0x78]);
        assert_eq!(fixtures.content(name), expected, "{name}");
    }
}

#[test]
fn what_an_image_needs_and_this_reader_has_not_is_refused_by_name() {
    let fixtures = Fixtures::of(&["v3.qcow2"]);
    let original = fixtures.bytes("v3.qcow2");
    for (at, bytes, expected) in [
        (CRYPT, &[0, 0, 0, 1][..], "AES-encrypted"),
        (CRYPT, &[0, 0, 0, 2], "LUKS-encrypted"),
        (CRYPT, &[0, 0, 0, 9], "encryption method 9"),
        (INCOMPATIBLE, &[0x80, 0, 0, 0, 0, 0, 0, 0], "incompatible feature of bit 63"),
        (INCOMPATIBLE, &[0, 0, 0, 0, 0, 0, 0, 4], "no header extension names it"),
        (20, &[0, 0, 0, 40], "clusters of 2^40 bytes"),
    ] {
        fixtures.patch("v3.qcow2", at, bytes);
        let error = fixtures.error("v3.qcow2");
        assert!(error.starts_with("qcow2: ") && error.contains(expected), "{error}");
        fixtures.put("v3.qcow2", &original);
    }
    fixtures.patch("v3.qcow2", VERSION, &[0, 0, 0, 4]);
    assert!(fixtures.error("v3.qcow2").contains("qcow"));
}

#[test]
fn the_dirty_bit_is_noted_and_the_corrupt_bit_is_a_gap() {
    let fixtures = Fixtures::of(&["v3.qcow2"]);
    let expected = fixtures.content("v3.qcow2");
    fixtures.patch("v3.qcow2", INCOMPATIBLE + 7, &[1]);
    let dirty = fixtures.open("v3.qcow2").unwrap();
    assert_eq!((dirty.notes.len(), dirty.gaps.len()), (1, 0));
    fixtures.patch("v3.qcow2", INCOMPATIBLE + 7, &[2]);
    let corrupt = fixtures.open("v3.qcow2").unwrap();
    assert_eq!((corrupt.notes.len(), corrupt.gaps.len()), (0, 1));
    for opened in [dirty, corrupt] {
        assert_eq!(content(&*opened.image).unwrap(), expected);
    }
}
