//! The registry of the fixture's machine as records, and hives on their own.

use std::{collections::BTreeMap, process::Command};

use sha2::{Digest, Sha256};
use snapfim::manifest::{Attribute, Kind, Record};

use crate::{
    hives,
    regf::{self, Key, key},
    support::{FULL, Found, disk, open, scan, table},
};

/// [regf] "Data types".
const TYPES: [&str; 12] = [
    "REG_NONE",
    "REG_SZ",
    "REG_EXPAND_SZ",
    "REG_BINARY",
    "REG_DWORD",
    "REG_DWORD_BIG_ENDIAN",
    "REG_LINK",
    "REG_MULTI_SZ",
    "REG_RESOURCE_LIST",
    "REG_FULL_RESOURCE_DESCRIPTOR",
    "REG_RESOURCE_REQUIREMENTS_LIST",
    "REG_QWORD",
];

fn value<'r>(values: &BTreeMap<(String, String), &'r Record>, path: &str, name: &str) -> &'r Record {
    values.get(&(path.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("{path} [{name}]"))
}

#[test]
fn keys_and_values_equal_hivex() {
    let (_folder, path) = disk();
    let found = scan(&open(&path), FULL);
    let (keys, values) = (found.of(Kind::Key), found.of(Kind::Value));
    let (mut key_rows, mut value_rows) = (0, 0);
    for row in table("hives.tsv") {
        let Some(name) = row[1].strip_prefix("value ") else {
            key_rows += 1;
            assert!(keys.contains_key(&(row[0].clone(), String::new())), "{} is missing", row[0]);
            continue;
        };
        value_rows += 1;
        let record = value(&values, &row[0], name);
        let kind: usize = row[2].parse().unwrap();
        let kind = TYPES.get(kind).map_or_else(|| format!("REG_TYPE_{kind:#x}"), |name| (*name).to_owned());
        assert_eq!(record.text(Attribute::Type), Some(kind.as_str()), "{row:?}");
        assert_eq!(record.number(Attribute::Size), row[3].parse().ok(), "{row:?}");
        assert_eq!(record.text(Attribute::Sha256), Some(row[4].as_str()), "{row:?}");
    }
    assert_eq!((keys.len(), values.len()), (key_rows, value_rows), "nothing besides");
    assert_eq!(found.of(Kind::Fault).values().collect::<Vec<_>>(), Vec::<&&Record>::new());
    assert!(found.has_note(r"HKLM\SYSTEM: 1 transaction logs of the new form replayed"), "{:?}", found.notes);

    let vendor = r"HKLM\SOFTWARE\Производитель";
    assert_eq!(value(&values, vendor, "list").text(Attribute::Data), Some(r#"["one","two"]"#));
    let big = value(&values, vendor, "big").text(Attribute::Data).unwrap();
    assert!(big.len() < 9000 && big.ends_with('…'), "a stated part of it");
    let owner = keys[&(r"HKU\S-1-5-21-1-2-3-1001".to_owned(), String::new())];
    assert_eq!(owner.text(Attribute::Owner), Some(r"FIXTURE-PC\alice"));
    assert_eq!(owner.text(Attribute::Sddl), Some("O:S-1-5-21-1-2-3-1001"));
    assert_eq!(owner.text(Attribute::LastWrite), Some("2018-04-04T05:59:40.673844700Z"));
}

#[test]
fn secrets_are_hashes() {
    let (_folder, path) = disk();
    let found = scan(&open(&path), FULL);
    let values = found.of(Kind::Value);
    let secret = |path: &str, name: &str| value(&values, path, name).text(Attribute::Data).is_none();
    assert!(secret(r"HKLM\SECURITY\Policy\Secrets\$MACHINE.ACC\CurrVal", ""));
    assert!(secret(r"HKLM\SAM\SAM\Domains\Account", "V"));
    let logon = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon";
    assert!(secret(logon, "DefaultPassword"));
    assert!(!secret(logon, "Shell"));
    let boot_key = found.of(Kind::Key)[&(r"HKLM\SYSTEM\ControlSet002\Control\Lsa\JD".to_owned(), String::new())];
    assert_eq!(boot_key.text(Attribute::ClassName), None);
    assert!(boot_key.text(Attribute::ClassSha256).is_some());
}

#[test]
fn secrets_of_hives_under_other_names_are_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let hives: BTreeMap<_, _> = hives::all().into_iter().collect();
    for (from, name) in ["SAM", "SECURITY", "SYSTEM.replayed"]
        .into_iter()
        .flat_map(|from| ["web01-2026-11-20", "NTUSER.DAT", "SOFTWARE"].map(|name| (from, name)))
    {
        let path = folder.path().join(name);
        std::fs::write(&path, &hives[from]).unwrap();
        let found = scan(&open(path.to_str().unwrap()), FULL);
        let (keys, values) = (found.of(Kind::Key), found.of(Kind::Value));
        if from == "SYSTEM.replayed" {
            let boot_key: Vec<_> = keys.iter().filter(|((path, _), _)| path.ends_with(r"\Lsa\JD")).collect();
            assert_eq!(boot_key.len(), 2, "{name}");
            for (path, key) in boot_key {
                assert_eq!(key.text(Attribute::ClassName), None, "{name}: {path:?}");
                assert!(key.text(Attribute::ClassSha256).is_some(), "{name}: {path:?}");
            }
            let shown = |record: &&Record| record.text(Attribute::Data).is_some();
            assert!(values.values().all(shown), "{name}: nothing else is a secret");
            continue;
        }
        assert!(!values.is_empty(), "{from} as {name}");
        for (path, value) in values {
            assert_eq!(value.text(Attribute::Data), None, "{from} as {name}: {path:?}");
            assert!(value.text(Attribute::Sha256).is_some() && value.number(Attribute::Size).is_some());
        }
    }
}

fn paths(found: &Found, kind: Kind) -> Vec<(String, String)> {
    found.of(kind).into_keys().collect()
}

#[test]
fn a_rule_that_names_values_takes_these_and_the_existence_of_the_key() {
    let (_folder, path) = disk();
    let found = scan(
        &open(&path),
        "version = 1\n[[monitor]]\nname = \"r\"\nregistry = ['HKLM\\software\\Microsoft\\Windows NT\\CurrentVersion\\Windows', 'HKLM\\SOFTWARE\\Absent']\nvalues = [\"appinit_dlls\"]\n",
    );
    let key = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows".to_owned();
    assert_eq!(paths(&found, Kind::Value), [(key.clone(), "AppInit_DLLs".to_owned())]);
    assert_eq!(paths(&found, Kind::Key), [(key.clone(), String::new())]);
    assert_eq!(found.of(Kind::Key)[&(key, String::new())].get(Attribute::SdSha256), None);
    assert!(!found.has_note("HKLM\\SYSTEM:"), "a hive that no rule reaches is not opened: {:?}", found.notes);
    assert!(found.has_note(r"HKLM\SOFTWARE\Absent: monitored by HKLM\SOFTWARE\Absent, is not there"));
}

#[test]
fn the_current_control_set_and_users_without_a_sid() {
    let (_folder, path) = disk();
    let found = scan(
        &open(&path),
        "version = 1\n[[monitor]]\nname = \"r\"\nregistry = ['HKLM\\SYSTEM\\CurrentControlSet\\Services\\**', 'HKU\\*\\Software\\Microsoft\\Windows\\CurrentVersion\\Run']\n",
    );
    let values = found.of(Kind::Value);
    let start = value(&values, r"HKLM\SYSTEM\ControlSet002\Services\Lab", "Start");
    assert_eq!(start.text(Attribute::Data), Some("0x00000002 (2)"), "as the log leaves it");
    let spelled = br"HKLM\SYSTEM\CurrentControlSet\Services\Lab".to_vec();
    assert_eq!(start.get(Attribute::As), Some(&snapfim::manifest::Value::Bytes(spelled)));
    let run = r"Software\Microsoft\Windows\CurrentVersion\Run";
    value(&values, &format!(r"HKU\S-1-5-21-1-2-3-1001\{run}"), "Start");
    value(&values, &format!(r"HKU\@Users\Bob\{run}"), "Start");
    assert_eq!(values.len(), 4, "{values:?}");
}

fn snapfim(arguments: &[&str]) -> (Option<i32>, Vec<u8>) {
    let output = Command::new(env!("CARGO_BIN_EXE_snapfim")).args(arguments).output().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn cat_prints_streams_and_values() {
    let (_folder, path) = disk();
    let cat = |arguments: &[&str]| snapfim(&[&["cat", &path], arguments].concat());
    let (code, zone) = cat(&[r"c:\users\ALICE\setup.exe:Zone.Identifier"]);
    assert_eq!((code, zone.as_slice()), (Some(0), &b"[ZoneTransfer]\r\nZoneId=3\r\n"[..]));
    let hosts = cat(&[r"C:\Windows\System32\Drivers\etc\hosts"]);
    assert_eq!((hosts.0, hosts.1.len()), (Some(0), 20));
    for path in [r"\WINDOWS\system32\drivers\ETC\Hosts", "c:/Windows/System32/Drivers/etc/hosts"] {
        assert_eq!(cat(&[path]), hosts, "{path}");
    }
    assert_eq!(cat(&[r"\users\alice\setup.exe:Zone.Identifier"]), (code, zone));
    let start = cat(&[r"HKEY_LOCAL_MACHINE\system\CurrentControlSet\services\LAB", "--value", "start"]);
    assert_eq!(start, (Some(0), vec![2, 0, 0, 0]));
    let run = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run";
    let unnamed: Vec<u8> = "unnamed\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(cat(&[run, "--value", "(Default)"]), (Some(0), unnamed));
    assert_eq!(cat(&[run]).0, Some(2));
    assert_eq!(cat(&[run, "--value", "absent"]).0, Some(65));
}

#[test]
fn two_hive_files_are_compared_with_the_logs_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let hives: BTreeMap<_, _> = hives::all().into_iter().collect();
    let write = |name: &str, from: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, &hives[from]).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = (write("SYSTEM.old", "SYSTEM"), write("SYSTEM.new", "SYSTEM"));
    write("system.NEW.log1", "SYSTEM.LOG1");
    let (code, events) = snapfim(&["diff", "--format", "ndjson", &old, &new]);
    assert_eq!(code, Some(1));
    let events = String::from_utf8(events).unwrap();
    let column = |event: &str, name: &str| {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        event[name].as_str().unwrap_or_default().to_owned()
    };
    let mut seen: Vec<_> = events
        .lines()
        .map(|event| ["ChangeType", "RegistryKey", "OldValueData", "NewValueData"].map(|name| column(event, name)))
        .collect();
    seen.sort();
    let services = r"SYSTEM\ControlSet002\Services";
    assert_eq!(
        seen,
        [
            ["RegistryKeyCreated", &format!(r"{services}\Extra"), "", ""],
            ["RegistryValueSet", &format!(r"{services}\Extra"), "", r"%TEMP%\x.exe"],
            ["RegistryValueSet", &format!(r"{services}\Lab"), "0x00000003 (3)", "0x00000002 (2)"],
        ]
    );
}

/// [MS-DTYP] 2.4.6: a DACL of so many entries for the system, each of which allows what is on no list.
fn descriptor(entries: u16) -> Vec<u8> {
    let entry = [0, 0, 20, 0, 0x56, 0x34, 0x12, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    let mut bytes = vec![1, 0, 4, 0x80];
    bytes.extend([0, 0, 0, 20].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([2, 8 + 20 * entries, entries, 0].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend(entry.repeat(entries.into()));
    bytes
}

/// A thousand keys that share a descriptor of 30 KB do not make a manifest of its text a thousand times.
#[test]
fn shared_and_long_descriptors_are_kept_by_their_hash() {
    let descriptors = [1_500, 3_000].map(descriptor);
    let mut root = Key { descriptor: Some(0), ..key("ROOT") }.subkey(Key { descriptor: Some(1), ..key("long") });
    for number in 0..1_000 {
        root = root.subkey(Key { descriptor: Some(0), ..key(&format!("{number:04}")) });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("SOFTWARE");
    let hive = regf::write(5, &root, &descriptors);
    std::fs::write(&path, &hive).unwrap();
    let found = scan(&open(path.to_str().unwrap()), FULL);
    assert_eq!(found.of(Kind::Fault).values().collect::<Vec<_>>(), Vec::<&&Record>::new());
    let keys = found.of(Kind::Key);
    assert_eq!(keys.len(), 1_002);
    let mut texts = 0;
    for ((path, _), key) in keys {
        let [hash, sddl] = [Attribute::SdSha256, Attribute::Sddl].map(|attribute| key.text(attribute));
        let long = path.ends_with(r"\long");
        let expected = Sha256::digest(&descriptors[usize::from(long)]);
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, Some(expected.as_str()), "{path}");
        assert!(!long || sddl.is_none(), "{path}");
        assert!(sddl.is_none_or(|sddl| sddl == format!("D:{}", "(A;;0x123456;;;SY)".repeat(1_500))), "{path}");
        texts += sddl.map_or(0, str::len);
    }
    assert!((hive.len()..=32 * hive.len()).contains(&texts), "{texts} for {}", hive.len());
}

#[test]
fn damaged_hives_end_in_records_faults_or_notes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("SOFTWARE");
    let whole = hives::all().into_iter().find(|(name, _)| *name == "SOFTWARE").unwrap().1;
    let sound = {
        std::fs::write(&path, &whole).unwrap();
        scan(&open(path.to_str().unwrap()), FULL).records.len()
    };
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut differ = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = 4 + usize::try_from(random >> 8).unwrap() % (16_000.min(bytes.len()) - 4);
            bytes[at] = u8::try_from(random & 0xFF).unwrap();
        }
        std::fs::write(&path, &bytes).unwrap();
        let found = scan(&open(path.to_str().unwrap()), FULL);
        assert!(!found.records.is_empty(), "a hive that is there leaves at least a fault");
        differ += usize::from(found.records.len() != sound);
    }
    assert!(differ > 0);
}
