//! LUKS and BitLocker: what is behind their keys, what stays closed and why, and what hostile headers do.
//!
//! Headers were written by cryptsetup and qemu-img, content by another library; what is expected was read by that
//! library, by qemu-img and by libbde, see `fixtures/crypt/make.sh`. `SNAPFIM_BITLK` names a folder with the unpacked
//! `bitlk-images.tar.xz` of cryptsetup's own tests: volumes that Windows made.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a test stumbles over ends it, and it says what it skips"
)]

#[path = "disk/support.rs"]
#[allow(dead_code, reason = "shared with the tests of disks")]
mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sha2::{Digest, Sha256};
use snapfim::{
    image::Image,
    volume::{KeyLimits, Keys, Volume, assemble, content::State, discover},
};
use support::{Patched, hex};

const PASSPHRASE: &[u8] = b"the passphrase";
const SECOND: &[u8] = b"second\nline\n";
const RECOVERY: &[u8] = b"000011-000242-003663-048884-611105-000066-720885-000088\n";
const PASSWORD: &str = "p\u{e4}ssword\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/crypt")
}

fn image(name: &str) -> Patched {
    Patched::new(zstd::decode_all(std::fs::File::open(folder().join(format!("{name}.zst"))).unwrap()).unwrap())
}

fn keys(all: &[&[u8]]) -> Keys {
    let mut keys = Keys::default();
    all.iter().enumerate().for_each(|(number, key)| keys.add(format!("key{number}"), key.to_vec()));
    keys
}

/// The key of a fixture.
fn key_of(name: &str) -> Vec<u8> {
    match name {
        "slots" => SECOND.to_vec(),
        "bitlocker-cbc128" => std::fs::read(folder().join("startup.bek")).unwrap(),
        "bitlocker-cbc128-diffuser" | "bitlocker-cbc256" => RECOVERY.to_vec(),
        "bitlocker-cbc256-diffuser" | "bitlocker-xts256" => PASSWORD.as_bytes().to_vec(),
        _ => PASSPHRASE.to_vec(),
    }
}

fn table() -> BTreeMap<String, (u64, String)> {
    let text = std::fs::read_to_string(folder().join("volumes.tsv")).unwrap();
    let row = |line: &str| {
        let [name, size, hash] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (name.to_owned(), (size.parse().unwrap(), hash.to_owned()))
    };
    text.lines().map(row).collect()
}

fn opened(image: Patched, keys: &Keys) -> (Vec<Volume>, Vec<String>) {
    let mut volumes = discover(&image.shared()).unwrap().volumes;
    let notes = assemble(&mut volumes, keys);
    (volumes, notes)
}

/// Size and SHA-256, read in pieces that fit no sector.
fn digest(image: &dyn Image) -> (u64, String) {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < image.len() {
        let mut piece = vec![0xaa; 30_001.min(image.len() - at) as usize];
        image.read_at(at, &mut piece).unwrap();
        hash.update(&piece);
        at += piece.len() as u64;
    }
    assert!(image.read_at(image.len(), &mut [0]).is_err());
    (image.len(), hex(&hash.finalize()))
}

fn gap(volume: &Volume) -> &str {
    match &volume.content.state {
        State::Gap(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_volume_opens_with_its_key() {
    for (name, expected) in table() {
        let (volumes, notes) = opened(image(&name), &keys(&[&key_of(&name)]));
        let found = volumes.last().unwrap();
        assert_eq!(digest(found.image.as_ref()), expected, "{name}");
        assert!(notes.iter().any(|note| note.contains("opened with")), "{name}: {notes:?}");
        let bitlocker = name.starts_with("bitlocker");
        assert_eq!(volumes.len(), if bitlocker { 1 } else { 2 }, "{name}");
        let unused = notes.iter().any(|note| note.contains("it opens no volume"));
        assert_eq!(unused, name == "bitlocker-xts128", "{name}: it needs no key: {notes:?}");
    }
}

#[test]
fn what_is_opened_has_names_and_its_container_is_a_note() {
    let (volumes, notes) = opened(image("slots"), &keys(&[b"wrong", SECOND]));
    let [closed, open] = volumes.as_slice() else { panic!("{}", volumes.len()) };
    let uuid = closed.content.id.clone().unwrap();
    let plain = uuid.replace('-', "");
    assert_eq!(
        open.names,
        [format!("mapper/luks-{uuid}"), format!("disk/by-id/dm-uuid-CRYPT-LUKS2-{plain}-luks-{uuid}")]
    );
    let what = "encrypted: LUKS2, aes-cbc-plain64, opened with keyslot 1";
    assert!(closed.closed && closed.content.state == State::Note(what.to_owned()));
    assert_eq!(open.content.kind, "ext4");
    assert_eq!(open.id, "@0b6f0d24-3a3c-4c5e-9a55-27b5a1d7c001");
    assert_eq!(
        notes,
        [format!("{}: {what}", closed.id), "--key-file key0: it opens no volume of this target".to_owned()]
    );
}

#[test]
fn what_stays_closed_says_what_it_needs() {
    let luks = |keys: &Keys| gap(&opened(image("luks1"), keys).0[0]).to_owned();
    let what = "encrypted: LUKS1, aes-cbc-essiv:sha256: ";
    assert_eq!(luks(&Keys::default()), format!("{what}give its key with --key-file"));
    assert_eq!(luks(&keys(&[b"a", b"b"])), format!("{what}--key-file: none of 2 opens any of its 1 keyslots"));
    let with_newline = [PASSPHRASE, b"\n"].concat();
    assert_eq!(opened(image("luks1"), &keys(&[&with_newline])).0.len(), 2);
    let (volumes, _) = opened(image("bitlocker-cbc256"), &Keys::default());
    let why = gap(&volumes[0]);
    assert!(
        why.starts_with("encrypted: BitLocker, AES-CBC 256: give a key with --key-file; it has recovery password {")
    );
}

#[test]
fn work_and_memory_are_bounded() {
    let limited = |name: &str, limits: KeyLimits| {
        let mut keys = Keys::new(limits);
        keys.add("k", key_of(name));
        gap(&opened(image(name), &keys).0[0]).to_owned()
    };
    let few = KeyLimits { rounds: 100, ..KeyLimits::default() };
    for name in ["luks1", "argon2id", "bitlocker-xts256"] {
        assert!(limited(name, few).contains("rounds, and 100 of 100 are left (--max-key-rounds)"), "{name}");
    }
    let small = KeyLimits { memory: 31, ..KeyLimits::default() };
    assert!(limited("argon2id", small).contains("32 KiB of memory, at most 31 are given (--max-key-memory, in MiB)"));
}

#[test]
fn a_lost_first_header_leaves_the_second() {
    let lost = image("slots").put(0, &[0; 4096]);
    let (volumes, notes) = opened(lost, &keys(&[SECOND]));
    assert_eq!(digest(volumes[1].image.as_ref()), table()["slots"]);
    assert!(notes.iter().any(|note| note.contains("its first header is damaged")), "{notes:?}");
    let damaged = image("slots").put(4096, b"x").put(0x4000 + 4096, b"x");
    assert!(gap(&opened(damaged, &keys(&[SECOND])).0[0]).contains("both of its headers are damaged"));
    // Of the three copies of BitLocker's metadata one is enough.
    let name = "bitlocker-xts128";
    let copies = image(name).put((256 << 10) + 100, b"xx").put((384 << 10) + 4, b"xx");
    assert_eq!(opened(copies.clone(), &Keys::default()).0[0].image.len(), 512 << 10);
    let none = copies.put((448 << 10) + 200, b"xx");
    assert!(gap(&opened(none, &Keys::default()).0[0]).contains("all copies of its metadata are damaged"));
}

/// The first 64 KiB of some filesystems are nobody's: a header there, with a key that anybody can read, must not replace
/// what the volume is.
#[test]
fn a_filesystem_beneath_a_header_of_bitlocker_is_still_there() {
    let over = image("bitlocker-xts128").put(1080, b"\x53\xef");
    let (volumes, _) = opened(over, &Keys::default());
    assert_eq!(volumes.len(), 2, "the filesystem, and what is behind the key");
    assert!(volumes[0].content.kind.starts_with("ext"), "{:?}", volumes[0].content);
    assert!(volumes[0].content.ambiguous.is_some());
    let mut magic = [0; 2];
    volumes[0].image.read_at(1080, &mut magic).unwrap();
    assert_eq!(magic, [0x53, 0xef]);
}

#[test]
fn a_header_alone_is_no_empty_volume() {
    let whole = image("luks1");
    let payload = u64::from(u32::from_be_bytes(whole.get(104, 4).try_into().unwrap())) * 512;
    let (volumes, _) = opened(whole.cut(payload), &keys(&[PASSPHRASE]));
    assert_eq!(volumes.len(), 1);
    assert!(gap(&volumes[0]).contains("the image ends with its header"), "{}", gap(&volumes[0]));
}

/// The metadata of LUKS2 with `from` replaced by `to`, in both headers, their checksums right.
fn edited(name: &str, from: &str, to: &str) -> Patched {
    let mut out = image(name);
    for at in [0, 0x4000_u64] {
        let header = out.get(at, 0x4000);
        let end = 4096 + header[4096..].iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(header[4096..end].to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        let mut new = header[..4096].to_vec();
        new.extend(text.replace(from, to).into_bytes());
        new.resize(0x4000, 0);
        out = sealed(out, at, new);
    }
    out
}

fn sealed(image: Patched, at: u64, mut header: Vec<u8>) -> Patched {
    header[448..512].fill(0);
    let sum = Sha256::digest(&header);
    header[448..480].copy_from_slice(&sum);
    image.put(at, &header)
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let many: String = (100..140).map(|slot| format!("\"{slot}\":{{\"type\":\"\"}},")).collect();
    for (from, to, why) in [
        (
            "\"config\":{",
            "\"config\":{\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]},",
            "it is being reencrypted",
        ),
        ("\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"opal\"]},", "it requires opal"),
        ("\"type\":\"crypt\"", "\"type\":\"linear\"", "a segment of type linear is not read"),
        (
            "\"type\":\"crypt\"",
            "\"type\":\"crypt\",\"integrity\":{\"type\":\"hmac(sha256)\"}",
            "integrity protection hmac(sha256)",
        ),
        ("\"offset\":\"196608\"", "\"offset\":\"0\"", "its header is detached"),
        ("\"encryption\":\"aes-cbc-plain64\"", "\"encryption\":\"aes-lrw-benbi\"", "cipher aes-lrw-benbi"),
        ("\"sector_size\":512", "\"sector_size\":513", "sectors of 513 bytes"),
        ("\"iterations\":1000", "\"iterations\":4294967295", "--max-key-rounds"),
        ("\"iterations\":1000", "\"iterations\":0", "0 iterations of pbkdf2"),
        ("\"salt\":\"", &format!("\"salt\":\"{}", "AAAA".repeat(22)), "a salt of 98 bytes"),
        ("\"keyslots\":{", &format!("\"keyslots\":{{{}", many), "keyslots or digests, more than 32"),
    ] {
        let (volumes, _) = opened(edited("slots", from, to), &keys(&[SECOND]));
        assert!(gap(&volumes[0]).contains(why), "{}", gap(&volumes[0]));
        assert_eq!(volumes.len(), 1);
    }
    let detached = image("luks1").put(104, &[0; 4]);
    assert!(gap(&opened(detached, &keys(&[PASSPHRASE])).0[0]).contains("its header is detached"));
    let state = image("bitlocker-xts128");
    let mut block = state.get(256 << 10, 64 << 10);
    block[12] = 5;
    let size = usize::from(u16::from_le_bytes([block[8], block[9]])) * 16;
    let mut crc = flate2::Crc::new();
    crc.update(&block[..size]);
    block[size + 4..size + 8].copy_from_slice(&crc.sum().to_le_bytes());
    let (volumes, _) = opened(state.put(256 << 10, &block), &Keys::default());
    assert!(gap(&volumes[0]).contains("it is not wholly encrypted (state 5, next 4)"), "{}", gap(&volumes[0]));
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// Opens a mutant and reads of it what there is.
fn try_mutant(mutant: Patched, key: &[u8]) -> usize {
    let mut keys = Keys::new(KeyLimits { memory: 1024, rounds: 20_000 });
    keys.add("k", key.to_vec());
    let (volumes, _) = opened(mutant, &keys);
    for volume in &volumes {
        let mut bytes = vec![0; volume.image.len().min(5000) as usize];
        volume.image.read_at(0, &mut bytes).unwrap();
    }
    volumes.len()
}

#[test]
fn mutated_headers_of_luks_end_in_an_answer() {
    let mut numbers = Numbers(7);
    let (luks1, slots) = (image("luks1"), image("slots"));
    let first = slots.get(0, 0x4000);
    let text = 4096 + first[4096..].iter().position(|byte| *byte == 0).unwrap();
    let mut opens = 0;
    for _ in 0..1500 {
        let mut mutant = luks1.clone();
        for _ in 0..=numbers.below(3) {
            mutant = mutant.put(numbers.below(592) as u64, &[numbers.below(256) as u8]);
        }
        opens += try_mutant(mutant, PASSPHRASE) - 1;
        // The text of LUKS2, and its numbers: with a checksum that is right, in the first header alone.
        let mut header = first.clone();
        for _ in 0..=numbers.below(2) {
            let byte = if numbers.below(2) == 0 { b'0' + numbers.below(10) as u8 } else { numbers.below(256) as u8 };
            header[4096 + numbers.below(text - 4096)] = byte;
        }
        let mutant = sealed(slots.clone().put(0x4000, &[0; 4096]), 0, header);
        opens += try_mutant(mutant, SECOND) - 1;
    }
    assert!(opens > 300, "{opens} mutants were opened: the others were stopped too early to say anything");
}

#[test]
fn mutated_metadata_of_bitlocker_end_in_an_answer() {
    let mut numbers = Numbers(11);
    for name in ["bitlocker-xts128", "bitlocker-cbc128"] {
        let (base, key) = (image(name), key_of(name));
        let copy = base.get(256 << 10, 4096);
        let size = usize::from(u16::from_le_bytes([copy[8], copy[9]])) * 16;
        for _ in 0..1000 {
            let mut block = copy.clone();
            for _ in 0..=numbers.below(3) {
                block[numbers.below(size)] = numbers.below(256) as u8;
            }
            let mut crc = flate2::Crc::new();
            crc.update(&block[..size]);
            block[size + 4..size + 8].copy_from_slice(&crc.sum().to_le_bytes());
            let mutant = base.clone().put(256 << 10, &block).put(11, &[0, [2, 16, 3][numbers.below(3)]]);
            try_mutant(mutant, &key);
        }
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_snapfim")).args(args).env("NO_COLOR", "1").output().unwrap()
}

#[test]
fn the_command_line_takes_keys_and_keeps_them_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (disk, key, state) = (path("disk.raw"), path("the.key"), path("state"));
    let luks1 = image("luks1");
    std::fs::write(&disk, luks1.get(0, luks1.len() as usize)).unwrap();
    std::fs::write(&key, [PASSPHRASE, b"\n"].concat()).unwrap();
    let cat = run(&["cat", &disk, "/etc/secret", "--key-file", &key]);
    assert_eq!((cat.status.code(), cat.stdout.as_slice()), (Some(0), &b"behind the key\n"[..]));
    let inspect = run(&["inspect", &disk, "--key-file", &key]);
    let text = String::from_utf8(inspect.stdout).unwrap();
    assert_eq!(inspect.status.code(), Some(0), "{text}");
    assert!(text.contains("opened with keyslot 0") && text.contains("mapper/luks-"), "{text}");
    assert_eq!(run(&["inspect", &disk]).status.code(), Some(4));
    let scan = run(&["scan", &disk, "--state", &state, "--profile", "full", "--key-file", &key]);
    assert_eq!(scan.status.code(), Some(0), "{}", String::from_utf8_lossy(&scan.stderr));
    let again = run(&["diff", &disk, &disk, "--key-file", &key]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    let find = Command::new("grep").args(["-r", "-l", "-F", "the passphrase", &state]).output().unwrap();
    assert!(find.stdout.is_empty(), "the key is in {}", String::from_utf8_lossy(&find.stdout));
    let missing = run(&["inspect", &disk, "--key-file", &path("none")]);
    assert_eq!(missing.status.code(), Some(66));
    std::fs::write(path("empty"), b"").unwrap();
    assert_eq!(run(&["inspect", &disk, "--key-file", &path("empty")]).status.code(), Some(2));
}

#[test]
fn volumes_that_windows_made() {
    let Some(folder) = std::env::var_os("SNAPFIM_BITLK").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_BITLK is not set");
        return;
    };
    let text = std::fs::read_to_string(folder.join("images.conf")).unwrap();
    for section in text.split('[').skip(1) {
        let (name, rest) = section.split_once(']').unwrap();
        let fields: BTreeMap<&str, &str> = rest.lines().filter_map(|line| line.split_once('=')).collect();
        let file = std::fs::read(folder.join(format!("{name}.img"))).unwrap();
        let startup = fields.get("SK_VMK_GUID").map(|guid| folder.join(format!("{}.BEK", guid.to_uppercase())));
        let startup = startup.map(|path| std::fs::read(path).unwrap());
        let mut tries: Vec<Vec<u8>> = startup.into_iter().collect();
        tries.extend(["PW", "RP", "RP2"].iter().filter_map(|key| Some(fields.get(key)?.as_bytes().to_vec())));
        let image = Patched::new(file);
        for key in tries.iter().filter(|key| !key.is_empty() || fields.contains_key("CLEARKEY_VMK_GUID")) {
            let (volumes, notes) = opened(image.clone(), &keys(&[key]));
            if fields["SHA256SUM"].is_empty() {
                assert!(gap(&volumes[0]).contains("is not read"), "{name}: {}", gap(&volumes[0]));
                continue;
            }
            assert_eq!(digest(volumes[0].image.as_ref()).1, fields["SHA256SUM"], "{name}: {notes:?}");
        }
    }
}

#[test]
fn a_public_volume() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let file = std::fs::File::open(data.join("images/dfvfs-luks1.raw.zst")).unwrap();
    let (volumes, notes) = opened(Patched::new(zstd::decode_all(file).unwrap()), &keys(&[b"luksde-TEST"]));
    assert_eq!(volumes.last().unwrap().content.kind, "ext2", "{notes:?}");
}
