//! Hives whose cells are shared, so that they hand out more than their bytes: what a walk does is bounded by the size of
//! the hive.

use snapfim::{
    error::Fault,
    registry::{Hive, Key, KeyPath, MAX_KEY_NAME, MAX_VALUE_NAME, Step, Value, Visitor},
};

use super::{
    damage::{find, find_key},
    regf::{self, get, key, put},
};

/// How much a walk hands out, and its faults with their paths.
#[derive(Default)]
struct Handed {
    keys: usize,
    values: usize,
    /// Bytes of names, class names and data.
    own: usize,
    /// Bytes of the paths of keys and values beyond 1 KiB each.
    paths: usize,
    faults: Vec<(usize, String)>,
    /// The value that was handed out last, behind its key.
    last: String,
}

impl Visitor for Handed {
    fn key(&mut self, path: &KeyPath, key: &Key<'_>) -> Step {
        self.keys += 1;
        self.own += key.name.len() + key.class.as_ref().map_or(0, Vec::len);
        self.paths += path.joined().len().saturating_sub(1024);
        Step::Into
    }
    fn value(&mut self, path: &KeyPath, value: &Value<'_>) {
        self.values += 1;
        self.own += value.name.len() + value.data.len();
        self.last = String::from_utf8_lossy(&[path.joined(), b" ", &value.name].concat()).into_owned();
        self.paths += path.joined().len().saturating_sub(1024);
    }
    fn fault(&mut self, path: &KeyPath, fault: Fault) {
        self.faults.push((path.depth(), fault.error));
    }
}

fn walk(hive: &[u8]) -> Handed {
    let hive = Hive::open(hive.to_vec(), Vec::new()).unwrap();
    let mut handed = Handed::default();
    hive.walk(hive.root(), &mut handed);
    handed
}

impl Handed {
    /// No more than a hive of so many bytes has room for, and one fault that says so at each of these depths.
    fn assert_within(&self, size: usize, depths: &[usize]) {
        assert!(self.own <= 2 * size && self.paths <= 64 * size, "{size}: {} {}", self.own, self.paths);
        let told: Vec<usize> = self.faults.iter().map(|(depth, _)| *depth).collect();
        assert_eq!(told, depths, "{:?}", self.faults);
        assert!(self.faults.iter().all(|(_, fault)| fault.contains("has room for")), "{:?}", self.faults);
    }
}

/// One list that many keys share is read once for what it holds, not once for each: the walk's work is bounded by
/// the size of the hive.
#[test]
fn shared_lists_are_bounded() {
    let mut root = key("ROOT");
    for number in 0..2_000 {
        root = root.subkey(key(&format!("{number}")));
    }
    let values = (0..2_000).fold(key("values"), |key, number| key.value(&format!("{number}"), 4, [1, 0, 0, 0]));
    let mut hive = regf::write(5, &root.subkey(values), &[]);
    let holder = find_key(&hive, "values");
    let (count, list) = (get(&hive, holder + 36), get(&hive, holder + 40));
    for number in 0..2_000 {
        let record = find(&hive, b"nk", number + 1);
        put(&mut hive, record + 36, count);
        put(&mut hive, record + 40, list);
    }
    let handed = walk(&hive);
    assert!(handed.values * 24 < 2 * hive.len(), "{}", handed.values);
    assert!(handed.faults.iter().any(|(_, fault)| fault.contains("has room for")));
}

/// Many values that share one large cell of data: what is handed out is bounded by the size of the hive.
#[test]
fn shared_data_is_bounded() {
    let mut root = key("ROOT").value("big", 3, vec![7; 300_000]);
    for number in 0..2_000 {
        root = root.value(&format!("{number}"), 3, vec![1; 8]);
    }
    let mut hive = regf::write(5, &root, &[]);
    let big = find(&hive, b"vk", 0);
    let (size, data) = (get(&hive, big + 4), get(&hive, big + 8));
    for nth in 1..2_000 {
        let record = find(&hive, b"vk", nth);
        put(&mut hive, record + 4, size);
        put(&mut hive, record + 8, data);
    }
    let handed = walk(&hive);
    handed.assert_within(hive.len(), &[0]);
    assert!(handed.values < 10);
    let hive = Hive::open(hive, Vec::new()).unwrap();
    let mut handed_out = 0;
    let each = &mut |value: Result<snapfim::registry::Value<'_>, _>| {
        handed_out += value.map_or(0, |value| value.data.len());
        std::ops::ControlFlow::Continue(())
    };
    hive.values(hive.root(), each).unwrap();
    assert!(handed_out <= 2 * hive.bytes().len());
}

/// 20,000 keys with one class name of 60,000 bytes would be a gigabyte.
#[test]
fn a_shared_class_name_is_bounded() {
    let mut above = regf::Key { class: Some("例".repeat(30_000)), ..key("above") };
    for number in 0..2_000 {
        above = above.subkey(key(&format!("{number:04}")));
    }
    let mut hive = regf::write(5, &key("ROOT").subkey(above), &[]);
    let holder = find_key(&hive, "above");
    let (class, lengths) = (get(&hive, holder + 48), get(&hive, holder + 72));
    for nth in 2..2_002 {
        let record = find(&hive, b"nk", nth);
        let name = get(&hive, record + 72) & 0xFFFF;
        put(&mut hive, record + 48, class);
        put(&mut hive, record + 72, name | lengths & 0xFFFF_0000);
    }
    let handed = walk(&hive);
    // One at the key that does not fit any more, one for all its siblings behind it.
    handed.assert_within(hive.len(), &[1, 1]);
    assert!((3..100).contains(&handed.keys), "{}", handed.keys);
}

/// Cells that overlap: the name of each value runs over all that stand behind it.
#[test]
fn overlapping_names_of_values_are_bounded() {
    let mut root = key("ROOT");
    for number in 0..2_000 {
        root = root.value(&format!("{number:04}"), 4, [1, 0, 0, 0]);
    }
    let mut hive = regf::write(5, &root.value("tail", 3, vec![7; 100_000]), &[]);
    for nth in 0..2_000 {
        let record = find(&hive, b"vk", nth);
        put(&mut hive, record - 4, 40_000_u32.wrapping_neg());
        let signature = u32::from(u16::from_le_bytes(*b"vk"));
        put(&mut hive, record, signature | 30_000 << 16);
    }
    let handed = walk(&hive);
    handed.assert_within(hive.len(), &[0]);
    assert!((3..100).contains(&handed.values), "{}", handed.values);
    let opened = Hive::open(hive, Vec::new()).unwrap();
    assert!(opened.value(opened.root(), "tail").unwrap_err().to_string().contains("has room for"));
}

/// Everything that lies deep has a long path, and the manifest has it with each.
#[test]
fn long_paths_of_many_values_are_bounded() {
    let mut deep = key(&"x".repeat(250));
    for number in 0..6_000 {
        deep = deep.value(&format!("{number:04}"), 4, [1, 0, 0, 0]);
    }
    for _ in 0..400 {
        deep = key(&"x".repeat(250)).subkey(deep);
    }
    // What has an ordinary path is read all the same, before and after.
    let run = key("zzz").value("Run", 1, [b'x', 0, 0, 0]);
    let hive = regf::write(5, &key("ROOT").subkey(deep).subkey(run), &[]);
    let handed = walk(&hive);
    handed.assert_within(hive.len(), &[401]);
    assert!(handed.keys == 403 && handed.values > 10, "{} {}", handed.keys, handed.values);
    assert_eq!(handed.last, "zzz Run");
}

/// Windows takes 255 characters in the name of a key, 16,383 in that of a value ("Registry element size limits").
#[test]
fn a_name_longer_than_any_is_a_fault_and_nothing_beneath_it_is_read() {
    let name = |length: usize, letter: &str| letter.repeat(length);
    for letter in ["x", "例"] {
        let beneath = |length| key(&name(length, letter)).subkey(key("beneath")).value("v", 4, [1, 0, 0, 0]);
        let hive = regf::write(5, &key("ROOT").subkey(beneath(255)).subkey(beneath(MAX_KEY_NAME + 1)), &[]);
        let handed = walk(&hive);
        assert_eq!((handed.keys, handed.values), (3, 1), "{letter}");
        let [(0, fault)] = handed.faults.as_slice() else { panic!("{:?}", handed.faults) };
        assert_eq!(fault, "key name of 511 characters: more than 510, it and all beneath is not read");
        let opened = Hive::open(hive, Vec::new()).unwrap();
        assert!(opened.lookup("Absent").unwrap_err().to_string().contains("more than 510"));
    }
    // Of two bytes a character there is no room for more.
    let root = key("ROOT").value(&name(16_383, "例"), 4, [1, 0, 0, 0]).value(&name(MAX_VALUE_NAME + 1, "x"), 3, [1]);
    let handed = walk(&regf::write(5, &root, &[]));
    assert_eq!((handed.values, handed.faults.len()), (1, 1));
    assert_eq!(handed.faults[0].1, "value name of 32767 characters: more than 32766, it is not read");
}
