//! Whole machines, where `SNAPFIM_MACHINES` names their folder: every planted edit shows, and every key and value of the
//! registry is what hivex reads.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    process::Command,
};

use snapfim::manifest::{Attribute, Kind};

use crate::support::{FULL, open, scan};

const DAVE: &str = r"HKU\S-1-5-21-4040-5050-6060-1004";
const ERIN: &str = r"HKU\S-1-5-21-4040-5050-6060-1005";

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SNAPFIM_MACHINES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: SNAPFIM_MACHINES is not set");
    }
    folder.map(|folder| folder.join("windows"))
}

/// Where the keys of a hive file stand.
fn mount(hive: &str) -> String {
    match hive {
        "/Boot/BCD" => r"HKLM\BCD00000000".to_owned(),
        "/Users/dave/NTUSER.DAT" => DAVE.to_owned(),
        "/Users/erin/NTUSER.DAT" => ERIN.to_owned(),
        "/Windows/System32/config/DEFAULT" => r"HKU\.DEFAULT".to_owned(),
        other => format!(r"HKLM\{}", other.rsplit('/').next().unwrap()),
    }
}

fn rows(path: PathBuf) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().unwrap();
    lines.map(|row| names.iter().cloned().zip(row).collect()).collect()
}

/// Takes back what Python's `unicode_escape` did.
fn unescape(text: &str) -> String {
    let mut units = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let escape = if letter == '\\' { letters.next() } else { None };
        let digits = match escape {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let number: String = letters.by_ref().take(digits).collect();
        let decoded = match escape {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            _ if digits > 0 => char::from_u32(u32::from_str_radix(&number, 16).unwrap()).unwrap(),
            _ => letter,
        };
        units.push(decoded);
    }
    units.into_iter().collect()
}

#[test]
fn the_registry_equals_hivex() {
    let Some(folder) = folder() else { return };
    for day in ["day0", "day1"] {
        let found = scan(&open(folder.join(format!("{day}.raw")).to_str().unwrap()), FULL);
        let (keys, values) = (found.of(Kind::Key), found.of(Kind::Value));
        let mut count = 0;
        for row in rows(folder.join(format!("registry-{day}.tsv"))) {
            let path = format!("{}{}", mount(&row["hive"]), unescape(&row["key"]));
            let path = path.strip_suffix('\\').unwrap_or(&path).to_owned();
            count += 1;
            if row["kind"] == "key" {
                assert!(keys.contains_key(&(path.clone(), String::new())), "{day}: {path}");
                continue;
            }
            let name = unescape(&row["name"]);
            let value = values.get(&(path.clone(), name.clone())).unwrap_or_else(|| panic!("{day}: {path} [{name}]"));
            assert_eq!(value.text(Attribute::Sha256), Some(row["sha256"].as_str()), "{day}: {path} [{name}]");
            assert_eq!(value.number(Attribute::Size), row["size"].parse().ok(), "{day}: {path} [{name}]");
        }
        assert!(found.of(Kind::Fault).is_empty());
        println!("{day}: {count} keys and values equal");
    }
}

#[test]
fn every_planted_edit_shows() {
    let Some(folder) = folder() else { return };
    let [old, new] = ["day0.raw", "day1.raw"].map(|name| folder.join(name));
    let output =
        Command::new(env!("CARGO_BIN_EXE_snapfim")).args(["diff", "--format", "ndjson"]).args([old, new]).output();
    let events = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut seen = HashSet::new();
    for event in events.lines() {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        let text = |name: &str| event[name].as_str();
        if let (Some(path), Some(name)) = (text("FilePath"), text("FileName")) {
            seen.insert(format!("{path}{name}"));
        }
        if let (Some(path), Some(name)) = (text("OriginalFilePath"), text("OriginalFileName")) {
            seen.insert(format!("{path}{name}"));
        }
        if let (Some(hive), Some(key)) = (text("RegistryHive"), text("RegistryKey")) {
            let hive = if hive == "HKEY_USERS" { "HKU" } else { "HKLM" };
            let value = text("NewValueName").or(text("OldValueName"));
            let value = value.map(|name| format!("!{}", if name == "(Default)" { "" } else { name }));
            seen.insert(format!(r"{hive}\{key}{}", value.unwrap_or_default()));
        }
    }
    let edits = rows(folder.join("edits-day1.tsv"));
    for edit in &edits {
        let path = &edit["path"];
        let shown = match edit["volume"].as_str() {
            "registry" => {
                let (hive, key) = path.split_once('|').unwrap();
                format!("{}{}", mount(hive), unescape(key))
            }
            "esp" => path.clone(),
            _ => format!("C:{}", path.replace('/', r"\")),
        };
        let is_there = |seen: &String| *seen == shown || (edit["volume"] == "esp" && seen.ends_with(&shown));
        assert!(seen.iter().any(is_there), "edit {}: {shown}: {}", edit["n"], edit["what"]);
    }
    println!("{} planted edits found", edits.len());
}
