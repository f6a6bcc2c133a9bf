//! Real hives, found by `SNAPFIM_DATA`: every key and value against yarp's reading, and against nt-hive's.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use sha1::{Digest as _, Sha1};
use snapfim::registry::{Hive, Key, KeyPath, Value};

use super::{Format, assert_same, list};

/// yarp's lines: `K|path|last write|hash of the descriptor`, `V|path|name|type|length|hash of the data`.
struct Yarp;

pub(super) fn hash(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn escape(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().fold(String::new(), |mut text, letter| {
        match letter {
            '|' | '\\' | '%' | '\0'..='\x1F' | '\x7F' => {
                let _ = write!(text, "%{:02X}", u32::from(letter));
            }
            _ => text.push(letter),
        }
        text
    })
}

pub(super) fn path_text(path: &KeyPath) -> String {
    path.segments().fold(String::new(), |text, name| text + "\\" + &escape(name))
}

impl Format for Yarp {
    fn key(&self, hive: &Hive, path: &KeyPath, key: &Key<'_>) -> String {
        let descriptor = key.security.map(|id| hive.descriptor(id).map_or_else(|error| error.to_string(), hash));
        format!("K|{}|{}|{}", path_text(path), key.last_write, descriptor.unwrap_or_default())
    }

    fn value(&self, path: &KeyPath, value: &Value<'_>) -> String {
        let Value { name, kind, size, data, .. } = value;
        format!("V|{}|{}|{kind}|{size}|{}", path_text(path), escape(name), hash(data))
    }
}

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: SNAPFIM_DATA is not set");
    }
    folder
}

fn unpack(path: PathBuf) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()
}

/// A hive with the transaction logs that lie beside it.
fn open(folder: &Path, name: &str) -> snapfim::error::Result<Hive> {
    let prefix = format!("{name}.log").to_lowercase();
    let mut logs: Vec<PathBuf> = std::fs::read_dir(folder.join("hives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().to_lowercase().starts_with(&prefix))
        .collect();
    logs.sort();
    Hive::open(unpack(folder.join(format!("hives/{name}.zst"))), logs.into_iter().map(unpack).collect())
}

/// Hives that are dirty, and lie beside logs that apply.
const REPLAYED: [&str; 3] = ["regipy-SYSTEM_B", "regipy-UsrClass.dat", "regipy-transactions_NTUSER.DAT"];

#[test]
fn real_hives_read_as_yarp_reads_them() {
    let Some(folder) = data() else { return };
    let mut hives = 0;
    let mut records = 0;
    for entry in std::fs::read_dir(folder.join("truth-hives")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".txt.zst").to_owned();
        if name == "plaso-corrupt_sub_key_list.hiv" {
            continue;
        }
        let hive = open(&folder, &name).unwrap();
        let (rows, faults) = list(&hive, Yarp);
        let mut expected: Vec<String> = String::from_utf8(unpack(path)).unwrap().lines().map(str::to_owned).collect();
        expected.sort();
        assert_same(&name, &rows, &expected);
        assert_eq!(faults, Vec::<String>::new(), "{name}");
        let replayed = !hive.replay().logs.is_empty();
        assert!(hive.replay().faults.is_empty(), "{name}: {:?}", hive.replay());
        assert!(replayed || !REPLAYED.contains(&&*name), "{name}: {:?}", hive.replay());
        hives += 1;
        records += rows.len();
    }
    println!("{hives} hives, {records} keys and values as yarp reads them");
    assert!(hives >= 12);
}

/// yarp reads nothing of this hive but the error; the root and most keys can be read all the same.
#[test]
fn a_damaged_list_is_a_fault_and_the_rest_is_read() {
    let Some(folder) = data() else { return };
    let (whole, _) = list(&open(&folder, "plaso-100_sub_keys.hiv").unwrap(), Yarp);
    let (rows, faults) = list(&open(&folder, "plaso-corrupt_sub_key_list.hiv").unwrap(), Yarp);
    assert!(!faults.is_empty() && !rows.is_empty());
    assert!(rows.iter().all(|row| whole.contains(row)));
}

#[test]
fn hives_that_are_damaged_on_purpose_end_in_notes_faults_or_errors() {
    let Some(folder) = data() else { return };
    for name in ["registry-SAMBadHBinHeader", "registry-SECURITYNoRoot", "regipy-corrupted_system_hive"] {
        match open(&folder, name) {
            Ok(hive) => {
                let (rows, faults) = list(&hive, Yarp);
                println!("{name}: {} rows, {} faults, {:?}", rows.len(), faults.len(), hive.replay().notes);
            }
            Err(error) => println!("{name}: {error}"),
        }
    }
}

/// Key and value names of a clean version-1.5 hive by nt-hive, which knows no last-write times.
#[test]
fn a_clean_hive_reads_as_nt_hive_reads_it() {
    let Some(folder) = data() else { return };
    struct Names;
    impl Format for Names {
        fn key(&self, _: &Hive, path: &KeyPath, _: &Key<'_>) -> String {
            format!("K|{}", path_text(path))
        }
        fn value(&self, path: &KeyPath, value: &Value<'_>) -> String {
            format!("V|{}|{}|{}", path_text(path), escape(&value.name), value.size)
        }
    }
    type Node<'h> = nt_hive::KeyNode<'h, &'h [u8]>;
    fn walk(node: &Node<'_>, path: &str, rows: &mut Vec<String>) {
        rows.push(format!("K|{path}"));
        if let Some(values) = node.values() {
            for value in values.unwrap() {
                let value = value.unwrap();
                let name = escape(value.name().unwrap().to_string_lossy().as_bytes());
                rows.push(format!("V|{path}|{name}|{}", value.data_size()));
            }
        }
        if let Some(subkeys) = node.subkeys() {
            for subkey in subkeys.unwrap() {
                let subkey = subkey.unwrap();
                let name = escape(subkey.name().unwrap().to_string_lossy().as_bytes());
                walk(&subkey, &format!("{path}\\{name}"), rows);
            }
        }
    }
    for name in ["regipy-NTUSER.DAT", "plaso-NTUSER-WIN7.DAT"] {
        let bytes = unpack(folder.join(format!("hives/{name}.zst")));
        let mut expected = Vec::new();
        let other = nt_hive::Hive::without_validation(&bytes[..]).unwrap();
        walk(&other.root_key_node().unwrap(), "", &mut expected);
        expected.sort();
        let (rows, _) = list(&Hive::open(bytes.clone(), Vec::new()).unwrap(), Names);
        assert_same(name, &rows, &expected);
    }
}
