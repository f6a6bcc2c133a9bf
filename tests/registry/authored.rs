//! Hives written by `regf`: all that hivex reads of them, and what it has no words for (classes, descriptors).

use snapfim::registry::{Hive, Key as Found, KeyPath, Value as FoundValue};

use super::{
    Format, assert_same,
    corpus::{escape, hash, path_text},
    list,
    regf::{self, Key, List, Name, key},
};

/// Two descriptors: owner SYSTEM, and owner Administrators.
pub(super) fn descriptors() -> Vec<Vec<u8>> {
    let owned_by = |sid: &[u8]| {
        let mut descriptor = vec![1, 0, 0, 0x80, 20, 0, 0, 0];
        descriptor.extend([0; 12]);
        descriptor.extend(sid);
        descriptor
    };
    vec![
        owned_by(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]),
        owned_by(&[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]),
    ]
}

/// Every form of name, list, type and size.
pub(super) fn sample() -> Key {
    let bytes = |len: usize| (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect::<Vec<u8>>();
    let mut sizes = key("Sizes");
    for len in [0, 1, 2, 3, 4, 5, 8, 4096, 16_343, 16_344, 16_352, 32_688, 32_696, 50_000, 200_000] {
        sizes = sizes.value(&format!("{len} bytes"), 3, bytes(len));
    }
    let mut types = key("Types");
    for kind in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x1000, 0xFFFF_0012] {
        types = types.value(&format!("type {kind:#x}"), kind, [1, 0, 2, 0, 0, 0, 0, 0]);
    }
    let names = key("Names")
        .value("", 1, b"u\0n\0n\0a\0m\0e\0d\0\0\0".to_vec())
        .value("üml\u{e4}ut", 1, b"x\0".to_vec())
        .value("例え", 1, b"y\0".to_vec())
        .value("back\\slash|pipe%percent", 1, b"z\0".to_vec())
        .subkey(key("größe"))
        .subkey(key("鍵 key"))
        .subkey(key("😀"))
        .subkey(key(&"long ".repeat(51)));
    let many = |name: &str, list: List, count: usize| {
        let mut parent = Key { list, ..key(name) };
        for number in 0..count {
            parent.subkeys.push(Key { last_write: 1000 + number as u64, ..key(&format!("{number:04}")) });
        }
        parent
    };
    let mut deep = key("30");
    for level in (0..30).rev() {
        deep = key(&format!("{level}")).subkey(deep).value("level", 4, [level, 0, 0, 0]);
    }
    let lsa = Key { class: Some("0a1b2c3d".into()), descriptor: Some(1), ..key("JD") };
    let root = key("ROOT").text("text", 1, "C:\\Windows\\explorer.exe").subkey(sizes).subkey(types).subkey(names);
    let root = root.subkey(many("Root", List::Root(64), 600)).subkey(many("Fast", List::Fast, 40));
    let root = root.subkey(many("Index", List::Index, 40)).subkey(key("Deep").subkey(deep)).subkey(lsa);
    Key { descriptor: Some(0), ..root }
}

/// hivex's lines.
struct Hivex;

impl Format for Hivex {
    fn key(&self, _: &Hive, path: &KeyPath, key: &Found<'_>) -> String {
        format!("K|{}|{}", path_text(path), key.last_write)
    }

    fn value(&self, path: &KeyPath, value: &FoundValue<'_>) -> String {
        let FoundValue { name, kind, size, data, .. } = value;
        format!("V|{}|{}|{}|{size}|{}", path_text(path), escape(name), kind, hash(data))
    }
}

#[test]
fn authored_hives_read_as_hivex_reads_them() {
    for (minor, table) in [
        (3, include_str!("../../fixtures/registry/authored-1.3.txt")),
        (5, include_str!("../../fixtures/registry/authored-1.5.txt")),
    ] {
        let hive = Hive::open(regf::write(minor, &sample(), &descriptors()), Vec::new()).unwrap();
        let (rows, faults) = list(&hive, Hivex);
        let mut expected: Vec<String> = table.lines().map(str::to_owned).collect();
        expected.sort();
        assert_same(&format!("version 1.{minor}"), &rows, &expected);
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(*hive.replay(), snapfim::registry::Replay::default());
        assert_eq!(hive.minor_version(), minor);
    }
}

#[test]
#[ignore = "writes the hives that fixtures/registry/make.sh lists"]
fn write_hives() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tmp");
    std::fs::create_dir_all(&folder).unwrap();
    for minor in [3, 5] {
        let name = folder.join(format!("authored-1.{minor}.hive"));
        std::fs::write(name, regf::write(minor, &sample(), &descriptors())).unwrap();
    }
}

#[test]
fn classes_descriptors_and_links() {
    let link = Key { flags: 0x10, ..key("Wow6432Node") };
    let bytes = regf::write(5, &sample().subkey(link), &descriptors());
    let hive = Hive::open(bytes, Vec::new()).unwrap();
    let root = hive.key(hive.root()).unwrap();
    assert_eq!(hive.descriptor(root.security.unwrap()).unwrap(), descriptors()[0]);
    assert!(!root.is_link());
    let lsa = hive.key(hive.lookup("jd").unwrap().unwrap()).unwrap();
    assert_eq!(lsa.class.as_deref(), Some(&b"0a1b2c3d"[..]));
    assert_eq!(hive.descriptor(lsa.security.unwrap()).unwrap(), descriptors()[1]);
    assert_ne!(lsa.security, root.security);
    assert!(hive.key(hive.lookup("wow6432node").unwrap().unwrap()).unwrap().is_link());
    assert_eq!(hive.key(hive.lookup("Deep").unwrap().unwrap()).unwrap().security, None);
}

/// A last segment of one byte, which hivex drops: the data is what was written.
#[test]
fn big_data_is_whole_to_the_last_byte() {
    for len in [16_345, 32_689] {
        let data: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let root = key("ROOT").value("big", 3, data.clone());
        for minor in [3, 4, 5, 6] {
            let hive = Hive::open(regf::write(minor, &root, &[]), Vec::new()).unwrap();
            let value = hive.value(hive.root(), "BIG").unwrap().unwrap();
            assert!(value.data == data && value.fault.is_none());
        }
    }
}

#[test]
fn look_ups_match_without_case_and_find_repeated_names() {
    let root = key("ROOT").subkey(key("Run").subkey(key("One"))).subkey(key("RUN").subkey(key("one")));
    let hive = Hive::open(regf::write(5, &root, &[]), Vec::new()).unwrap();
    assert_eq!(hive.find(&[b"run"]).unwrap().keys.len(), 2);
    assert_eq!(hive.find(&[b"run", b"ONE"]).unwrap().keys.len(), 2);
    assert_eq!(hive.lookup(r"Run\Two").unwrap(), None);
    assert_eq!(hive.lookup("").unwrap(), Some(hive.root()));

    let hive = Hive::open(regf::write(5, &sample(), &[vec![1], vec![1]]), Vec::new()).unwrap();
    let names = hive.lookup("names").unwrap().unwrap();
    assert_eq!(hive.value(names, "ÜMLÄUT").unwrap().unwrap().data.as_ref(), b"x\0");
    assert!(hive.value(names, "").unwrap().unwrap().is_unnamed());
    assert!(hive.value(names, "absent").unwrap().is_none());
    assert!(hive.lookup(r"Names\GRÖßE").unwrap().is_some());
}

/// Names that Windows would not take: kept as they are, in WTF-8.
#[test]
fn odd_names_keep_their_bytes() {
    let lone = Key { name: Name::Utf16(vec![0xD800, u16::from(b'x')]), ..key("") };
    let nul = Key { name: Name::Latin1(b"Run\0".to_vec()), ..key("") };
    let root = key("ROOT").subkey(lone).subkey(nul).subkey(key(""));
    let hive = Hive::open(regf::write(5, &root, &[]), Vec::new()).unwrap();
    let mut names = Vec::new();
    let each = &mut |id: Result<_, _>| {
        names.push(hive.key(id.unwrap()).unwrap().name.into_owned());
        std::ops::ControlFlow::Continue(())
    };
    hive.subkeys(hive.root(), each).unwrap();
    assert_eq!(names, [&b""[..], b"Run\0", b"\xED\xA0\x80x"]);
}
