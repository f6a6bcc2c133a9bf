//! The hives of a registry: which file holds which part of it, and how it is opened with its transaction logs.

use super::{Machine, Sessions};
use crate::{
    error::{Error, Fault, Result},
    fs::{self, NodeId, Session, Stream},
    registry::{self, Hive},
};

/// What is put behind a hive's name for its transaction logs, in the order in which they are replayed.
pub(super) const LOGS: [&str; 3] = [".LOG", ".LOG1", ".LOG2"];

/// Hives are read whole to learn about the machine when they and their logs are no longer than this, in bytes, or than
/// what a scan may read of a hive, where that is more.
pub(super) const LEARN_CAP: usize = 512 << 20;

/// A file that holds a part of the registry, not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiveFile {
    /// The path of its root key: `HKLM\SOFTWARE`, `HKU\S-1-5-21-…`.
    pub mount: Vec<u8>,
    /// Index of the volume in [`Machine::volumes`].
    pub volume: usize,
    /// The file.
    pub node: NodeId,
    /// Its transaction logs, in the order in which they are replayed.
    pub logs: Vec<NodeId>,
}

/// A hive in memory.
pub struct Opened {
    /// The hive, its logs replayed.
    pub hive: Hive,
    /// Logs that could not be read.
    pub faults: Vec<Fault>,
}

impl HiveFile {
    /// The hive of this name in a directory, with its logs.
    pub(super) fn find(
        session: &mut dyn Session,
        volume: usize,
        dir: &NodeId,
        name: &[u8],
        mount: Vec<u8>,
    ) -> Result<Option<Self>> {
        let Some(node) = session.lookup(dir, name)? else { return Ok(None) };
        let mut logs = Vec::new();
        for suffix in LOGS {
            logs.extend(session.lookup(dir, &[name, suffix.as_bytes()].concat())?);
        }
        Ok(Some(Self { mount, volume, node, logs }))
    }

    /// Reads the hive and its logs, together at most `cap` bytes, and replays the logs.
    ///
    /// # Errors
    /// When the file cannot be read whole, is too large, or is no hive.
    pub fn open(&self, sessions: &mut Sessions<'_>, cap: usize) -> Result<Opened> {
        let session = sessions.of(self.volume)?;
        let mut left = cap;
        let mut read = |node: &NodeId| {
            let size = session.metadata(node)?.size;
            if usize::try_from(size).map_or(true, |size| size > left) {
                let what =
                    format!("hive and logs of more than {cap} bytes; scan and diff raise it with --max-hive-bytes");
                return Err(Error::budget("registry", what));
            }
            let bytes = fs::read_small(session, node, &Stream::Content, left)?;
            left = left.saturating_sub(bytes.len());
            Ok(bytes)
        };
        let primary = read(&self.node)?;
        let (mut logs, mut faults) = (Vec::new(), Vec::new());
        for log in &self.logs {
            match read(log) {
                Ok(bytes) => logs.push(bytes),
                Err(error) => faults.push(error.into()),
            }
        }
        Ok(Opened { hive: Hive::open(primary, logs)?, faults })
    }
}

impl Machine {
    /// The hive that holds a key, by the key's path in either case, and the path below the hive's root key.
    #[must_use]
    pub fn hive_of<'p>(&self, path: &'p [u8]) -> Option<(&HiveFile, &'p [u8])> {
        self.hives.iter().find_map(|file| Some((file, below(path, &file.mount)?)))
    }
}

/// What follows `mount` in `path`, without the separator between them.
#[must_use]
pub(crate) fn below<'p>(path: &'p [u8], mount: &[u8]) -> Option<&'p [u8]> {
    let (start, rest) = path.split_at_checked(mount.len())?;
    match rest {
        _ if !start.eq_ignore_ascii_case(mount) => None,
        [] => Some(rest),
        [b'\\', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The control set that `CurrentControlSet` means: `Select\Current` of the hive SYSTEM.
///
/// # Errors
/// When it cannot be read, or names a set that is not there.
pub(crate) fn control_set(system: &Hive) -> Result<String> {
    let unknown =
        |found: &str| Error::corrupt("registry", r"Select\Current", format!("a control set expected, {found}"));
    let absent = || unknown("found nothing");
    let select = system.lookup("Select")?.ok_or_else(absent)?;
    let value = system.value(select, "Current")?.ok_or_else(absent)?.whole().map_err(registry::error)?;
    let number = value.data.first_chunk().ok_or_else(|| unknown("found less than 4 bytes"))?;
    let set = format!("ControlSet{:03}", u32::from_le_bytes(*number));
    match system.lookup(&set) {
        Ok(None) => Err(unknown(&format!("found {set}, which is not there"))),
        _ => Ok(set),
    }
}
