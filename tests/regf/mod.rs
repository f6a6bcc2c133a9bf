//! Writes registry hives for tests, byte by byte from the format's documentation (M. Suhanov, "Windows registry
//! file format specification"), and cuts transaction logs from two states of a hive (`log`).
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod log;

/// A key to write.
#[derive(Clone, Default)]
pub(crate) struct Key {
    pub(crate) name: Name,
    pub(crate) last_write: u64,
    pub(crate) class: Option<String>,
    /// Which of the hive's descriptors; `None` writes no key security.
    pub(crate) descriptor: Option<usize>,
    pub(crate) flags: u16,
    pub(crate) list: List,
    pub(crate) values: Vec<Value>,
    pub(crate) subkeys: Vec<Key>,
}

/// A value to write.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) name: Name,
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
}

/// A name in the form in which it is stored.
#[derive(Clone)]
pub(crate) enum Name {
    Latin1(Vec<u8>),
    Utf16(Vec<u16>),
}

/// How subkeys are listed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Hash,
    Fast,
    Index,
    /// An index root over hash leaves of this many elements.
    Root(usize),
}

impl Default for Name {
    fn default() -> Self {
        Self::Latin1(Vec::new())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        match text.chars().map(|letter| u8::try_from(u32::from(letter))).collect() {
            Ok(latin1) => Self::Latin1(latin1),
            Err(_) => Self::Utf16(text.encode_utf16().collect()),
        }
    }
}

impl Name {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Latin1(bytes) => bytes.clone(),
            Self::Utf16(units) => units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        }
    }

    /// In upper case, where that is one character.
    fn upper(&self) -> Vec<u16> {
        let units: Vec<u16> = match self {
            Self::Latin1(bytes) => bytes.iter().map(|byte| u16::from(*byte)).collect(),
            Self::Utf16(units) => units.clone(),
        };
        let upper = |unit: u16| {
            let mut forms = char::from_u32(u32::from(unit))?.to_uppercase();
            let form = forms.next()?;
            (forms.next().is_none()).then_some(u16::try_from(u32::from(form)).ok()?)
        };
        units.iter().map(|unit| upper(*unit).unwrap_or(*unit)).collect()
    }

    fn is_latin1(&self) -> bool {
        matches!(self, Self::Latin1(_))
    }
}

/// A key with a name.
pub(crate) fn key(name: &str) -> Key {
    Key { name: name.into(), last_write: 131_672_951_806_738_447, ..Key::default() }
}

impl Key {
    pub(crate) fn value(mut self, name: &str, kind: u32, data: impl Into<Vec<u8>>) -> Self {
        self.values.push(Value { name: name.into(), kind, data: data.into() });
        self
    }

    pub(crate) fn text(self, name: &str, kind: u32, text: &str) -> Self {
        let data: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        self.value(name, kind, data)
    }

    pub(crate) fn subkey(mut self, key: Key) -> Self {
        self.subkeys.push(key);
        self
    }
}

const NIL: u32 = u32::MAX;
const SEGMENT: usize = 16_344;

/// A hive that grows cell by cell.
struct Bins {
    bytes: Vec<u8>,
    /// Where the next cell goes, and where its bin ends.
    next: usize,
    end: usize,
}

impl Bins {
    fn cell(&mut self, record: &[u8]) -> u32 {
        let size = (record.len() + 4).next_multiple_of(8);
        if self.end - self.next < size {
            self.close();
            let bin = (size + 32).next_multiple_of(4096);
            let start = self.bytes.len();
            self.bytes.resize(start + bin, 0);
            self.bytes[start..start + 4].copy_from_slice(b"hbin");
            put(&mut self.bytes, start + 4, u32::try_from(start).unwrap());
            put(&mut self.bytes, start + 8, u32::try_from(bin).unwrap());
            (self.next, self.end) = (start + 32, start + bin);
        }
        let at = self.next;
        put(&mut self.bytes, at, u32::try_from(size).unwrap().wrapping_neg());
        self.bytes[at + 4..at + 4 + record.len()].copy_from_slice(record);
        self.next += size;
        u32::try_from(at).unwrap()
    }

    /// Makes the rest of the bin a free cell.
    fn close(&mut self) {
        if self.next < self.end {
            put(&mut self.bytes, self.next, u32::try_from(self.end - self.next).unwrap());
        }
        self.next = self.end;
    }

    fn patch(&mut self, cell: u32, at: usize, number: u32) {
        put(&mut self.bytes, cell as usize + 4 + at, number);
    }
}

/// Writes 32 bits.
pub(crate) fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Reads 32 bits.
pub(crate) fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Sets the checksum of a base block.
pub(crate) fn seal(bytes: &mut [u8]) {
    let sum = (0..127).fold(0, |sum, word| sum ^ get(bytes, word * 4));
    put(
        bytes,
        508,
        if sum == 0 {
            1
        } else if sum == u32::MAX {
            u32::MAX - 1
        } else {
            sum
        },
    );
}

/// Subkeys in the order in which Windows lists them.
fn sorted(key: &Key) -> Key {
    let mut subkeys: Vec<Key> = key.subkeys.iter().map(sorted).collect();
    subkeys.sort_by_cached_key(|key| key.name.upper());
    Key { subkeys, ..key.clone() }
}

/// The hive of version 1.`minor` with this root key and these security descriptors.
pub(crate) fn write(minor: u32, root: &Key, descriptors: &[Vec<u8>]) -> Vec<u8> {
    let mut bins = Bins { bytes: Vec::new(), next: 0, end: 0 };
    // The first cell of the first bin stays the root's, as in real hives.
    let root = &sorted(root);
    let root_at = node(&mut bins, root, NIL, true);
    let security: Vec<u32> = descriptors
        .iter()
        .map(|descriptor| {
            let mut record = b"sk\0\0".to_vec();
            record.extend([0; 12]);
            record.extend(u32::try_from(descriptor.len()).unwrap().to_le_bytes());
            record.extend(descriptor);
            bins.cell(&record)
        })
        .collect();
    for (number, cell) in security.iter().enumerate() {
        bins.patch(*cell, 4, security[(number + 1) % security.len()]);
        bins.patch(*cell, 8, security[(number + security.len() - 1) % security.len()]);
        bins.patch(*cell, 12, 1);
    }
    fill(&mut bins, minor, root, root_at, &security);
    bins.close();

    let mut hive = vec![0; 4096];
    hive[..4].copy_from_slice(b"regf");
    for (at, number) in [(4, 1), (8, 1), (20, 1), (24, minor), (32, 1), (36, root_at), (44, 1)] {
        put(&mut hive, at, number);
    }
    hive[12..20].copy_from_slice(&131_672_951_806_738_447_u64.to_le_bytes());
    bins.bytes[20..28].copy_from_slice(&131_672_951_806_738_447_u64.to_le_bytes());
    put(&mut hive, 40, u32::try_from(bins.bytes.len()).unwrap());
    seal(&mut hive);
    hive.extend(bins.bytes);
    hive
}

/// The key node without what it points to.
fn node(bins: &mut Bins, key: &Key, parent: u32, root: bool) -> u32 {
    let name = key.name.bytes();
    let mut record = b"nk".to_vec();
    let flags = key.flags | if root { 0x0C } else { 0 } | if key.name.is_latin1() { 0x20 } else { 0 };
    record.extend(flags.to_le_bytes());
    record.extend(key.last_write.to_le_bytes());
    record.extend(0_u32.to_le_bytes());
    record.extend(parent.to_le_bytes());
    let subkeys = u32::try_from(key.subkeys.len()).unwrap();
    let values = u32::try_from(key.values.len()).unwrap();
    let units = |name: &Name| u32::try_from(name.bytes().len() * if name.is_latin1() { 2 } else { 1 }).unwrap();
    let longest = |names: &mut dyn Iterator<Item = u32>| names.max().unwrap_or(0);
    for number in [
        subkeys,
        0,
        NIL,
        NIL,
        values,
        NIL,
        NIL,
        NIL,
        longest(&mut key.subkeys.iter().map(|key| units(&key.name))),
        0,
        longest(&mut key.values.iter().map(|value| units(&value.name))),
        longest(&mut key.values.iter().map(|value| u32::try_from(value.data.len()).unwrap())),
        0,
    ] {
        record.extend(number.to_le_bytes());
    }
    record.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    record.extend(
        u16::try_from(key.class.as_ref().map_or(0, |class| class.encode_utf16().count() * 2)).unwrap().to_le_bytes(),
    );
    record.extend(name);
    bins.cell(&record)
}

/// What the key node at `at` points to, and all beneath.
fn fill(bins: &mut Bins, minor: u32, key: &Key, at: u32, security: &[u32]) {
    if let Some(number) = key.descriptor {
        bins.patch(at, 44, security[number]);
    }
    if let Some(class) = &key.class {
        let cell = bins.cell(&class.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        bins.patch(at, 48, cell);
    }
    if !key.values.is_empty() {
        let list: Vec<u8> = key.values.iter().flat_map(|value| write_value(bins, minor, value).to_le_bytes()).collect();
        let cell = bins.cell(&list);
        bins.patch(at, 40, cell);
    }
    if !key.subkeys.is_empty() {
        let nodes: Vec<u32> = key.subkeys.iter().map(|subkey| node(bins, subkey, at, false)).collect();
        for (subkey, cell) in key.subkeys.iter().zip(&nodes) {
            fill(bins, minor, subkey, *cell, security);
        }
        let cell = write_list(bins, key, &nodes);
        bins.patch(at, 28, cell);
    }
}

fn write_list(bins: &mut Bins, key: &Key, nodes: &[u32]) -> u32 {
    let leaf = |bins: &mut Bins, signature: &[u8; 2], nodes: &[u32], keys: &[Key]| {
        let mut record = signature.to_vec();
        record.extend(u16::try_from(nodes.len()).unwrap().to_le_bytes());
        for (node, key) in nodes.iter().zip(keys) {
            record.extend(node.to_le_bytes());
            match signature {
                b"lh" => record.extend(hash(&key.name).to_le_bytes()),
                b"lf" => record.extend(key.name.bytes().into_iter().chain([0; 4]).take(4)),
                _ => {}
            }
        }
        bins.cell(&record)
    };
    match key.list {
        List::Hash => leaf(bins, b"lh", nodes, &key.subkeys),
        List::Fast => leaf(bins, b"lf", nodes, &key.subkeys),
        List::Index => leaf(bins, b"li", nodes, &key.subkeys),
        List::Root(size) => {
            let leaves: Vec<u32> = nodes
                .chunks(size)
                .zip(key.subkeys.chunks(size))
                .map(|(nodes, keys)| leaf(bins, b"lh", nodes, keys))
                .collect();
            let mut record = b"ri".to_vec();
            record.extend(u16::try_from(leaves.len()).unwrap().to_le_bytes());
            record.extend(leaves.iter().flat_map(|leaf| leaf.to_le_bytes()));
            bins.cell(&record)
        }
    }
}

/// The hash of a name in an `lh` list.
fn hash(name: &Name) -> u32 {
    name.upper().iter().fold(0_u32, |hash, unit| hash.wrapping_mul(37).wrapping_add(u32::from(*unit)))
}

fn write_value(bins: &mut Bins, minor: u32, value: &Value) -> u32 {
    let name = value.name.bytes();
    let size = u32::try_from(value.data.len()).unwrap();
    let (size, data) = if size <= 4 && size > 0 {
        let mut inline = [0; 4];
        inline[..value.data.len()].copy_from_slice(&value.data);
        (size | 0x8000_0000, u32::from_le_bytes(inline))
    } else if value.data.is_empty() {
        (0x8000_0000, 0)
    } else if value.data.len() > SEGMENT && minor > 3 {
        let segments: Vec<u32> = value.data.chunks(SEGMENT).map(|segment| bins.cell(segment)).collect();
        let list = bins.cell(&segments.iter().flat_map(|segment| segment.to_le_bytes()).collect::<Vec<_>>());
        let mut record = b"db".to_vec();
        record.extend(u16::try_from(segments.len()).unwrap().to_le_bytes());
        record.extend(list.to_le_bytes());
        record.extend([0; 4]);
        (size, bins.cell(&record))
    } else {
        (size, bins.cell(&value.data))
    };
    let mut record = b"vk".to_vec();
    record.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    for number in [size, data, value.kind, u32::from(value.name.is_latin1())] {
        record.extend(number.to_le_bytes());
    }
    record.extend(name);
    bins.cell(&record)
}
