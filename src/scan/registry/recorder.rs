//! One hive on its way into the manifest: which keys and values the policy takes, under which path.

use std::sync::atomic::Ordering;

use super::{
    super::{
        descriptor::{Descriptor, Descriptors},
        entity,
        label::Labels,
        seen::Seen,
        walk::{Records, emit, interesting},
    },
    Registry, record,
};
use crate::{
    error::{Error, Fault, Result},
    machine::{HiveFile, join},
    manifest::{Record, attribute::Part},
    policy::{EntityPath, State},
    registry::{Hive, Key, KeyPath, SecurityId, Step, Value, Visitor, secret::Place},
};

/// The texts of the descriptors of a hive, each as often as a key has it, take so many bytes for each byte of the hive at
/// most; in real hives they come to about the hive's size. Beyond, a record has the hash alone.
const TEXTS: usize = 32;
/// The same for descriptors, each as often as it is decoded, which is once where there is room to keep what it was decoded
/// to: cells may overlap. Beyond, they are not read.
const DESCRIPTORS: usize = 4;

pub(super) struct Recorder<'r, R> {
    registry: &'r Registry<'r>,
    file: &'r HiveFile,
    hive: &'r Hive,
    volume: &'r str,
    /// The names of the root key's path: `HKLM`, `SOFTWARE`.
    mount: Vec<&'r [u8]>,
    /// The root key's own name.
    root: Vec<u8>,
    sink: &'r mut R,
    /// What the policy says of the keys from the root key to where the walk stands, and their names below it.
    states: Vec<State>,
    names: Vec<Vec<u8>>,
    seen: Seen,
    labels: Labels<'r>,
    descriptors: Descriptors<SecurityId>,
    /// Bytes of descriptors that may still be decoded, and of their texts in records.
    descriptors_left: usize,
    texts_left: usize,
    failed: Option<Error>,
}

impl<'r, R: Records> Recorder<'r, R> {
    pub(super) fn new(
        registry: &'r Registry<'r>,
        file: &'r HiveFile,
        hive: &'r Hive,
        mount: &'r EntityPath,
        state: State,
        sink: &'r mut R,
    ) -> Self {
        let head = file.mount.split(|byte| *byte == b'\\').next().unwrap_or_default();
        Self {
            registry,
            file,
            hive,
            volume: registry.volume(file),
            mount: std::iter::once(head).chain(mount.segments.iter().map(Vec::as_slice)).collect(),
            root: hive.key(hive.root()).map(|key| key.name.into_owned()).unwrap_or_default(),
            sink,
            states: vec![state],
            names: Vec::new(),
            seen: Seen::default(),
            labels: Labels::new(registry.policy, registry.matcher),
            descriptors: Descriptors::default(),
            descriptors_left: hive.bytes().len().saturating_mul(DESCRIPTORS),
            texts_left: hive.bytes().len().saturating_mul(TEXTS),
            failed: None,
        }
    }

    /// Ends the work.
    ///
    /// # Errors
    /// The first error of the sink.
    pub(super) fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn path(&self, below: &KeyPath) -> Vec<u8> {
        if below.depth() == 0 { self.file.mount.clone() } else { join(&self.file.mount, below.joined(), b'\\') }
    }

    /// Goes to the key at a path; most often it is a child of the last or of one above.
    fn go_to(&mut self, path: &KeyPath) -> State {
        let same = path.segments().zip(&self.names).take_while(|(one, two)| *one == two.as_slice()).count();
        self.names.truncate(same);
        self.states.truncate(same + 1);
        for name in path.segments().skip(same) {
            let Some(above) = self.states.last() else { break };
            let state = self.registry.matcher.child(above, name, true);
            self.states.push(state);
            self.names.push(name.to_vec());
        }
        self.state()
    }

    /// The state of the key where the walk stands; that of the root key is always there.
    fn state(&self) -> State {
        self.states[self.states.len() - 1].clone()
    }

    fn emit(&mut self, record: Record) {
        if self.failed.is_none() {
            self.failed = emit(self.registry.progress, &self.registry.budgets, self.sink, record).err();
        }
    }

    fn emit_fault(&mut self, path: &[u8], name: &[u8], part: Part, fault: Fault) {
        self.emit(entity::fault(path, name, part, fault, self.volume));
    }

    /// Says who may do what with a key.
    fn describe(&mut self, record: &mut Record, key: &Key<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let Some(id) = key.security else { return faults };
        let accounts = &self.registry.machine.accounts;
        let sid_names = |sid: &str| accounts.sid(sid).map(str::to_owned);
        let left = &mut self.descriptors_left;
        let described = self.descriptors.get(id, || match self.hive.descriptor(id) {
            Ok(bytes) if take(left, bytes.len()) => Some(Descriptor::decode(bytes, &sid_names)),
            Ok(_) => {
                let why = "more security descriptors than the hive has room for: this one is not read";
                faults.push(Fault::new("registry", "", why));
                None
            }
            Err(error) => {
                faults.push(error.into());
                None
            }
        });
        let mut more = Vec::new();
        if let Some(descriptor) = described {
            descriptor.describe(record, take(&mut self.texts_left, descriptor.sddl_len()), &mut more);
        }
        faults.extend(more);
        faults
    }

    /// Where a key stands, by the names from below the root to its own.
    fn place<'a>(&'a self, below: &'a [&'a [u8]]) -> Place<'a> {
        Place { mount: &self.mount, root: &self.root, below }
    }

    /// A name that no path can hold, or that stands there twice, is a fault beside the entity.
    fn check_key_name(&mut self, path: &KeyPath, full: &[u8]) {
        let Some(name) = path.segments().last() else { return };
        let shown = || format!("key \"{}\"", name.escape_ascii());
        let fault = if name.contains(&b'\\') {
            Some(Fault::new("registry", shown(), "a name that no path can hold"))
        } else if !is_new(&mut self.seen, full, None) {
            Some(Fault::new("registry", shown(), "a second key of the same name"))
        } else {
            None
        };
        if let Some(fault) = fault {
            self.emit_fault(full, b"", Part::Name, fault);
        }
    }
}

impl<R: Records> Visitor for Recorder<'_, R> {
    fn key(&mut self, path: &KeyPath, key: &Key<'_>) -> Step {
        let state = self.go_to(path);
        if !interesting(&state) {
            return Step::Over;
        }
        let full = self.path(path);
        let verdict = state.verdict();
        self.check_key_name(path, &full);
        for fault in &key.faults {
            self.emit_fault(&full, b"", Part::Attributes, fault.clone());
        }
        if verdict.is_taken() {
            let mut record = record::existing_key(&full, key, self.volume);
            if !verdict.rules.is_empty() {
                let below: Vec<_> = path.segments().collect();
                record::class(&mut record, &self.place(&below), key);
                for fault in self.describe(&mut record, key) {
                    self.emit_fault(&full, b"", Part::Attributes, fault);
                }
            }
            self.labels.label(&mut record, &verdict);
            self.emit(record);
        }
        let limit = self.registry.budgets.depth;
        if path.depth() >= limit && (key.subkeys > 0) {
            let what = format!("keys lie deeper than {limit}; raise it with --max-depth");
            self.emit_fault(&full, b"", Part::Listing, Fault::new("scan", "", what));
            return if self.failed.is_some() { Step::Stop } else { Step::Values };
        }
        match (&self.failed, state.may_cover_below()) {
            (Some(_), _) => Step::Stop,
            (None, true) => Step::Into,
            (None, false) => Step::Over,
        }
    }

    fn value(&mut self, path: &KeyPath, value: &Value<'_>) {
        let state = self.go_to(path);
        let verdict = self.registry.matcher.value(&state, &value.name);
        if self.failed.is_some() || !verdict.is_taken() {
            return;
        }
        let full = self.path(path);
        if !is_new(&mut self.seen, &full, Some(&value.name)) {
            let at = format!("value \"{}\"", value.name.escape_ascii());
            let fault = Fault::new("registry", at, "a second value of the same name");
            self.emit_fault(&full, &value.name, Part::Name, fault);
        }
        if let Some(fault) = &value.fault {
            self.emit_fault(&full, &value.name, Part::Content, fault.clone());
        }
        let below: Vec<_> = path.segments().collect();
        let mut record = record::value(&full, &self.place(&below), value, self.volume);
        self.labels.label(&mut record, &verdict);
        let hashed = u64::try_from(value.data.len()).unwrap_or(u64::MAX);
        self.registry.progress.bytes.fetch_add(hashed, Ordering::Relaxed);
        self.emit(record);
    }

    fn fault(&mut self, path: &KeyPath, fault: Fault) {
        if interesting(&self.go_to(path)) {
            let full = self.path(path);
            self.emit_fault(&full, b"", Part::Listing, fault);
        }
    }
}

/// Takes so many bytes, where there are as many.
fn take(room: &mut usize, bytes: usize) -> bool {
    room.checked_sub(bytes).map(|left| *room = left).is_some()
}

/// Whether the key, or this value of it, is new, without case as far as ASCII goes.
fn is_new(seen: &mut Seen, path: &[u8], value: Option<&[u8]>) -> bool {
    let mut entity = path.to_vec();
    if let Some(value) = value {
        entity.push(b'=');
        entity.extend_from_slice(value);
    }
    entity.make_ascii_lowercase();
    // The length of the path keeps path and value apart, whatever bytes they hold.
    entity.extend_from_slice(&path.len().to_le_bytes());
    seen.insert(&entity)
}
