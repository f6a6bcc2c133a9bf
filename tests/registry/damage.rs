//! Hostile and damaged hives: each named trap, and a few thousand seeded mutants of hives and logs. None may
//! panic, hang or take memory beyond what the input is worth.

use snapfim::{
    error::Fault,
    registry::{Hive, KeyPath, MAX_DEPTH, Step, Value, Visitor},
};

use super::{
    Plain,
    authored::descriptors,
    list,
    regf::{self, Key, List, key, log, put, seal},
};

const BASE: usize = 4096;
const NIL: u32 = u32::MAX;

/// A hive of a few bins with one record of each kind.
fn small(minor: u32) -> Vec<u8> {
    let lsa = Key { class: Some("0a1b".into()), descriptor: Some(1), ..key("JD") };
    let mut list = Key { list: List::Root(2), ..key("List") };
    for number in 0..5 {
        list = list.subkey(key(&format!("{number}")));
    }
    let run = key("Run").text("Agent", 1, "C:\\agent.exe").value("n", 4, [1, 0, 0, 0]).text("例", 2, "x");
    let root = key("ROOT").subkey(lsa).subkey(list).subkey(run.value("big", 3, vec![7; 20_000]));
    regf::write(minor, &Key { descriptor: Some(0), ..root }, &descriptors())
}

fn read(hive: Vec<u8>, logs: Vec<Vec<u8>>) -> (Vec<String>, Vec<String>) {
    let total = hive.len() + logs.iter().map(Vec::len).sum::<usize>();
    match Hive::open(hive, logs) {
        Ok(hive) => {
            assert!(hive.bytes().len() <= total + (2 << 20));
            let listing = list(&hive, Plain);
            assert!(listing.0.len() + listing.1.len() < 100_000);
            listing
        }
        Err(error) => (Vec::new(), vec![error.to_string()]),
    }
}

/// The file offset of the record of a signature that stands in the `nth` cell with it.
pub(crate) fn find(hive: &[u8], signature: &[u8; 2], nth: usize) -> usize {
    (BASE..hive.len() - 2).step_by(4).filter(|at| at % 8 == 4 && &hive[*at..*at + 2] == signature).nth(nth).unwrap()
}

/// The record of the key with this name.
pub(crate) fn find_key(hive: &[u8], name: &str) -> usize {
    (0..).map(|nth| find(hive, b"nk", nth)).find(|at| hive[at + 76..].starts_with(name.as_bytes())).unwrap()
}

pub(crate) fn cell_of(record: usize) -> u32 {
    u32::try_from(record - 4 - BASE).unwrap()
}

#[test]
fn a_loop_in_the_key_lists_is_a_fault() {
    let mut hive = small(5);
    let (list, root) = (find_key(&hive, "List"), find_key(&hive, "ROOT"));
    // The key leads to its own list of subkeys, and to the root's.
    let leaf = find(&hive, b"lh", 0);
    put(&mut hive, leaf + 4, cell_of(list));
    let (rows, faults) = read(hive.clone(), Vec::new());
    assert!(faults.iter().any(|fault| fault.contains("names cell 0x20 as its parent")), "{faults:?}");
    assert!(rows.len() > 8);

    // The records agree with the loop.
    put(&mut hive, leaf + 4, cell_of(root));
    put(&mut hive, root + 16, cell_of(list));
    let (_, faults) = read(hive, Vec::new());
    assert!(faults.iter().any(|fault| fault.contains("reached before")), "{faults:?}");
}

#[test]
fn an_index_root_below_an_index_root_is_a_fault() {
    let mut hive = small(5);
    let index = find(&hive, b"ri", 0);
    put(&mut hive, index + 4, cell_of(index));
    let (_, faults) = read(hive, Vec::new());
    assert_eq!(
        faults,
        [format!("registry: cell {:#x}: index root below an index root: a leaf expected", cell_of(index))]
    );
}

#[test]
fn a_forged_list_takes_no_key_from_its_place() {
    let mut hive = small(5);
    let stolen = find_key(&hive, "Run");
    let leaf = find(&hive, b"lh", 0);
    put(&mut hive, leaf + 4, cell_of(stolen));
    let (rows, faults) = read(hive, Vec::new());
    assert!(rows.iter().any(|row| row.starts_with("[[82, 117, 110]] ")), "{rows:#?}");
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn lengths_of_4_gib_are_faults() {
    for (signature, at) in [(b"vk", 4), (b"nk", 20), (b"nk", 36), (b"nk", 72), (b"sk", 16)] {
        for number in [0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF] {
            for nth in 0..2 {
                let mut hive = small(5);
                let record = find(&hive, signature, nth);
                put(&mut hive, record + at, number);
                let (rows, faults) = read(hive, Vec::new());
                let told = !faults.is_empty() || rows.iter().any(|row| row.contains("Err("));
                assert!(told, "{signature:?} {at} {number:#x} {nth}");
            }
        }
    }
}

#[test]
fn cell_sizes_of_any_kind_are_faults() {
    for size in [0, 1, 4, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, NIL] {
        let mut hive = small(5);
        let record = find_key(&hive, "Run");
        put(&mut hive, record - 4, size);
        let (rows, faults) = read(hive, Vec::new());
        assert!(!faults.is_empty() && rows.len() >= 8, "{size:#x}");
    }
}

#[test]
fn offsets_that_point_nowhere_are_faults_or_nothing() {
    let whole = read(small(5), Vec::new()).0.len();
    for (signature, at, lost) in
        [(b"nk", 28, true), (b"nk", 40, false), (b"nk", 44, false), (b"nk", 48, false), (b"vk", 8, false)]
    {
        let mut hive = small(5);
        let record = find(&hive, signature, 0);
        put(&mut hive, record + at, NIL);
        let (rows, faults) = read(hive, Vec::new());
        assert_eq!(rows.len() < whole, lost, "{signature:?} {at}");
        assert_eq!(faults.is_empty(), !lost && signature == b"nk", "{signature:?} {at}: {faults:?}");
    }
    for signature in [b"lh", b"ri", b"db"] {
        let mut hive = small(5);
        let record = find(&hive, signature, 0);
        put(&mut hive, record + 4, NIL);
        assert_eq!(read(hive, Vec::new()).1.len(), 1, "{signature:?}");
    }
}

/// The paths of the faults that a walk hands out beside keys and values, which are of the whole key at the path.
fn faulted(hive: &[u8]) -> Vec<String> {
    struct Paths(Vec<String>);
    impl Visitor for Paths {
        fn key(&mut self, _: &KeyPath, _: &snapfim::registry::Key<'_>) -> Step {
            Step::Into
        }
        fn value(&mut self, _: &KeyPath, _: &Value<'_>) {}
        fn fault(&mut self, path: &KeyPath, _: Fault) {
            self.0.push(String::from_utf8(path.joined().to_vec()).unwrap());
        }
    }
    let hive = Hive::open(hive.to_vec(), Vec::new()).unwrap();
    let mut paths = Paths(Vec::new());
    hive.walk(hive.root(), &mut paths);
    paths.0
}

/// A number of 0 hides all that the list beside it holds.
#[test]
fn a_count_of_0_beside_a_list_is_a_fault_of_the_key() {
    let sound = small(5);
    assert_eq!(faulted(&sound), Vec::<String>::new());
    for (name, at, lost) in [("List", 20, 5), ("Run", 36, 4)] {
        let mut hive = sound.clone();
        let record = find_key(&hive, name);
        put(&mut hive, record + at, 0);
        assert_eq!(faulted(&hive), [name], "{at}");
        assert_eq!(read(hive, Vec::new()).0.len() + lost, read(sound.clone(), Vec::new()).0.len());
    }
}

/// A key or value whose name is not whole is read under another name: what had its own is lost.
#[test]
fn a_name_that_leaves_its_cell_is_a_fault_of_the_key_above() {
    let mut hive = small(5);
    let record = find_key(&hive, "Run");
    hive[record + 73] = 0x10;
    assert_eq!(faulted(&hive), [""]);
    assert!(Hive::open(hive, Vec::new()).unwrap().lookup("Run").unwrap_err().to_string().contains("leaves its cell"));

    let mut hive = small(5);
    let record = find(&hive, b"vk", 0);
    hive[record + 3] = 0x10;
    assert_eq!(faulted(&hive), ["Run"]);
}

/// Names of 16-bit characters have even lengths: where the mark of Latin-1 is lost, an odd one tells.
#[test]
fn a_name_that_ends_inside_a_character_is_a_fault_of_the_key_above() {
    let sound = small(5);
    let (run, agent) = (find_key(&sound, "Run"), find(&sound, b"vk", 0));
    assert!(sound[agent + 20..].starts_with(b"Agent"));
    for (at, faulty) in [(agent + 16, "Run"), (run + 2, "")] {
        let mut hive = sound.clone();
        hive[at] = 0;
        assert_eq!(faulted(&hive), [faulty], "{at}");
    }
}

/// Whether a value or key is absent is not known either.
#[test]
fn a_look_up_beside_a_count_of_0_is_an_error() {
    let mut hive = small(5);
    let (list, run) = (find_key(&hive, "List"), find_key(&hive, "Run"));
    put(&mut hive, list + 20, 0);
    put(&mut hive, run + 36, 0);
    let hive = Hive::open(hive, Vec::new()).unwrap();
    assert!(hive.lookup(r"List\3").unwrap_err().to_string().contains("no subkeys stated"));
    let run = hive.lookup("Run").unwrap().unwrap();
    assert!(hive.value(run, "Agent").unwrap_err().to_string().contains("no values stated"));
}

/// Where a list on the way cannot be read, a key may be there all the same: its absence is not told as a fact.
#[test]
fn a_look_up_tells_absent_from_unreadable() {
    let mut hive = small(5);
    let root = find_key(&hive, "ROOT");
    assert_eq!(Hive::open(hive.clone(), Vec::new()).unwrap().lookup("Absent").unwrap(), None);
    put(&mut hive, root + 28, 0x7FFF_FFF0);
    let hive = Hive::open(hive, Vec::new()).unwrap();
    assert!(hive.lookup("Run").unwrap_err().to_string().contains("subkeys list past the end"));
    let found = hive.find(&[b"Run"]).unwrap();
    assert_eq!((found.keys.len(), found.faults.len()), (0, 1));
}

/// Big data whose 65,535 segments are one cell would be a gigabyte.
#[test]
fn one_segment_many_times_is_a_fault() {
    let mut hive = regf::write(5, &key("ROOT").value("big", 3, vec![7; 300_000]), &[]);
    let (value, big) = (find(&hive, b"vk", 0), find(&hive, b"db", 0));
    put(&mut hive, value + 4, 0x3FFF_0000);
    put(&mut hive, big, u32::from_le_bytes([b'd', b'b', 0xFF, 0xFF]));
    let opened = Hive::open(hive.clone(), Vec::new()).unwrap();
    let value = opened.value(opened.root(), "big").unwrap().unwrap();
    assert!(value.data.len() < hive.len() && value.size == 0x3FFF_0000);
    assert!(value.fault.unwrap().error.contains("more than the hive's"));
}

#[test]
fn keys_deeper_than_the_limit_are_a_fault() {
    let mut deep = key("deepest");
    for _ in 0..MAX_DEPTH + 10 {
        deep = key("k").subkey(deep);
    }
    let (rows, faults) = read(regf::write(5, &key("ROOT").subkey(deep), &[]), Vec::new());
    assert_eq!(rows.len(), MAX_DEPTH + 1);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].ends_with("subkeys below 512 levels are not read"), "{faults:?}");
}

#[test]
fn versions_that_are_not_read_are_named() {
    for (major, minor) in [(1, 1), (1, 7), (2, 5)] {
        let mut hive = small(5);
        put(&mut hive, 20, major);
        put(&mut hive, 24, minor);
        seal(&mut hive);
        assert_eq!(read(hive, Vec::new()).1, [format!("registry: hive version {major}.{minor}: 1.2 to 1.6 are read")]);
    }
    assert_eq!(
        read(b"regf".to_vec(), Vec::new()).1,
        ["registry: base block at 0x0: more than 4096 bytes expected, found 4"]
    );
}

#[test]
fn a_cut_hive_is_noted_and_what_is_left_is_read() {
    let whole = small(5);
    let hive = Hive::open(whole[..BASE + 4096].to_vec(), Vec::new()).unwrap();
    assert!(hive.replay().notes.iter().any(|note| note.starts_with("the hive is cut")));
    let (rows, faults) = list(&hive, Plain);
    assert!(!rows.is_empty() && !faults.is_empty());
}

/// xorshift: the same mutants every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// Overwrites one to three places with what decoders stumble over.
    fn mutate(&mut self, bytes: &mut [u8], from: usize, to: usize) {
        for _ in 0..=self.below(3) {
            let at = from + self.below(to - from - 4);
            match self.below(4) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                2 => put(bytes, at & !3, [0, 8, 0x20, 0x1000, 0x7FFF_FFFF, 0x8000_0000, NIL - 1, NIL][self.below(8)]),
                _ => put(bytes, at & !3, u32::try_from(self.below(to) & !7).unwrap()),
            }
        }
    }
}

#[test]
fn mutants_of_hives_end_in_records_faults_or_an_error() {
    let mut random = Random(0x5EED_0001);
    for minor in [3, 5] {
        let hive = small(minor);
        // The big value's 20,000 bytes need no mutants.
        let records = find(&hive, b"nk", 0)..find(&hive, b"sk", 1) + 2_000;
        for _ in 0..1_000 {
            let mut mutant = hive.clone();
            random.mutate(&mut mutant, records.start, records.end.min(hive.len()));
            read(mutant, Vec::new());
        }
        for _ in 0..200 {
            let mut mutant = hive.clone();
            random.mutate(&mut mutant, 0, 200);
            seal(&mut mutant);
            read(mutant, Vec::new());
        }
        for _ in 0..100 {
            read(hive[..random.below(hive.len())].to_vec(), Vec::new());
        }
    }
}

#[test]
fn mutants_of_logs_end_in_a_hive_or_an_error() {
    let mut random = Random(0x5EED_0002);
    let old = small(5);
    let mut new = old.clone();
    let value = find(&new, b"vk", 0);
    put(&mut new, value + 4, 0x8000_0001);
    let hive = log::dirty(&old, 100);
    let entry = log::step(100, &old, &new);
    let vector = log::dirty_vector(&old, &new, 100);
    for round in 0..600 {
        // Behind right hashes, so that the mutants get as far as they can.
        let mut mutant = entry.clone();
        let limit = mutant.len().min(48 + (round % 2) * 1_000);
        random.mutate(&mut mutant, 0, limit);
        log::rehash(&mut mutant);
        read(hive.clone(), vec![log::log(&old, 100, &[mutant])]);

        let mut mutant = vector.clone();
        let (from, to) = if round % 2 == 0 { (0, 508) } else { (512, 1_200) };
        random.mutate(&mut mutant, from, to);
        seal(&mut mutant);
        read(hive.clone(), vec![mutant]);
        read(hive.clone(), vec![vector[..random.below(vector.len())].to_vec()]);
    }
}
