//! A comparison of two targets or manifests, once, without a state directory.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Seek, SeekFrom},
    path::Path,
};

use jiff::Timestamp;

use super::{
    coverage,
    difference::{self, Difference, Labels, Receiver, Sides},
    input,
    night::{name_of, policy_for},
    scope,
};
use crate::{
    changelog::{
        Event, EventFile, EventWriter, MachineName, Outcome as RunOutcome, ScanId, ScanRecord, Window, cadence,
    },
    error::{Error, Result},
    image::Raw,
    manifest::{Reader, Record, Sorter, read::is_something_else},
    policy::{EffectivePolicy, Policy, RuleSet},
    scan::{self, Budgets, Progress},
    target,
};

/// What a comparison is told.
pub struct Comparison<'a> {
    /// The older target or manifest.
    pub old: &'a OsStr,
    /// The newer target or manifest.
    pub new: &'a OsStr,
    /// How targets are opened.
    pub open: target::Options,
    /// The machine's name; from the newer one's file name when there is none.
    pub machine: Option<&'a str>,
    /// What is compared, of targets; manifests have their own.
    pub policy: &'a Policy,
    /// Whether a person named that policy, so that manifests must have been made under it. What it accepts holds for
    /// them too.
    pub policy_is_named: bool,
    /// What people call the policy.
    pub policy_name: &'a str,
    /// Worker threads.
    pub threads: usize,
    /// Limits.
    pub budgets: Budgets,
    /// For nameless temporary files.
    pub temp: &'a Path,
    /// The clock.
    pub now: &'a dyn Fn() -> Timestamp,
}

/// What a comparison found.
pub struct Compared {
    /// What is known of the run, in the form of a scan's proof, with the coverage of both sides.
    pub record: ScanRecord,
    /// What changed.
    pub events: EventFile,
}

/// One side of a comparison.
pub struct Side {
    reader: Reader,
    /// When the snapshot was taken; of a manifest nobody knows.
    time: Option<Timestamp>,
    /// It was made under a policy that is not the comparison's, and of which nobody knows what people call it.
    is_under_another: bool,
}

/// What a file of ours begins with: the magic number of a Zstandard frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Compares both sides.
///
/// # Errors
/// When a side cannot be opened or read.
pub fn compare(comparison: &Comparison<'_>, progress: &Progress) -> Result<Compared> {
    let start = (comparison.now)();
    // Standard input has no name.
    let named = if input::is_standard(comparison.new) { comparison.old } else { comparison.new };
    let machine = match comparison.machine {
        Some(name) => MachineName::given(name)?,
        // A manifest of a state lies in the folder of its machine.
        None if is_manifest(named) => name_of(named).or_else(|error| {
            let folder = Path::new(named).parent().and_then(Path::file_name);
            folder.map_or(Err(error), |folder| MachineName::of_target(folder.as_encoded_bytes()))
        })?,
        None => name_of(named)?,
    };
    let scan_id = ScanId::at(start);
    let target = format!("{} → {}", comparison.old.display(), comparison.new.display());
    let mut record = ScanRecord::new(machine.clone(), scan_id, start, target);
    record.outcome = RunOutcome::Complete;
    record.threads = comparison.threads as u64;
    let old = side(comparison, comparison.old, &machine, progress, &mut record)?;
    record.entities.clear();
    record.faults = 0;
    let new = side(comparison, comparison.new, &machine, progress, &mut record)?;
    record.computer = new.reader.header().os.host.clone();
    record.os = new.reader.header().os.name.clone();
    // Two files may have been copied in any order: then the window is empty, and says so.
    let to = new.time.unwrap_or(start);
    let window = Window { from: old.time.filter(|from| *from <= to), to };
    record.window = Some(window);
    record.bytes.hashed = progress.bytes();
    let policy = scope::of_header(new.reader.header(), new.reader.name())?;
    record.policy = match new.is_under_another {
        true => policy.names(RuleSet::ALL).join(", "),
        false => comparison.policy_name.to_owned(),
    };
    record.policy_sha256 = policy.fingerprint();
    let mut receiver = Listed(EventWriter::new(temporary(comparison.temp)?, "events"));
    // Those of a target are listed already.
    let untold = [old.time.is_none(), new.time.is_none()];
    let sides = Sides { old: old.reader.ahead()?, carried: None, new: new.reader.ahead()?, untold };
    let labels = Labels { machine: &machine, scan_id, window, clock: Some(start), previous: None };
    let sorter = Sorter::new(comparison.temp, comparison.budgets.memory);
    let Difference { summary, faults } = difference::events(sides, &labels, sorter, &mut receiver)?;
    faults.iter().for_each(|faults| coverage::faults(&mut record, faults));
    coverage::hidden(&mut record, &summary.hidden, &policy);
    let (events, tally) = receiver.0.finish()?;
    if record.entities.is_empty() {
        record.entities.insert("entity".to_owned(), summary.entities_new);
    }
    record.tally(&tally);
    record.exit = coverage::exit(&record, tally.total());
    record.end((comparison.now)());
    Ok(Compared { record, events })
}

struct Listed(EventWriter);

impl Receiver for Listed {
    fn event(&mut self, event: Event) -> Result<()> {
        self.0.write(event)
    }

    /// Nothing comes after this comparison.
    fn carry(&mut self, _record: Record) -> Result<()> {
        Ok(())
    }
}

fn temporary(dir: &Path) -> Result<File> {
    tempfile::tempfile_in(dir).map_err(|error| Error::State(format!("temporary file in {}: {error}", dir.display())))
}

/// Whether a name is that of a manifest. Nothing else is read from standard input: a disk is read at any place.
fn is_manifest(given: &OsStr) -> bool {
    input::is_standard(given) || Raw::begins_with(Path::new(given), &ZSTD_MAGIC)
}

/// Opens a manifest by its name.
///
/// # Errors
/// [`Error::State`] when it cannot be opened or its first line is not a header; [`Error::Target`] when it is something
/// else that is compressed, most likely an image.
pub fn manifest(name: &Path) -> Result<Reader> {
    if input::is_standard(name) {
        return Reader::new(input::shown(name), std::io::stdin());
    }
    if File::open(name).is_ok_and(is_something_else) {
        return Err(Error::Target(format!(
            "{}: neither a manifest nor an image that can be read at any place: unpack it first, unzstd IMAGE",
            name.display()
        )));
    }
    Reader::open(name)
}

fn side(
    comparison: &Comparison<'_>,
    given: &OsStr,
    machine: &MachineName,
    progress: &Progress,
    record: &mut ScanRecord,
) -> Result<Side> {
    if is_manifest(given) {
        let mut reader = manifest(Path::new(given))?;
        let is_under_another = !comparison.policy_is_named || !accept_what_is_named(comparison, machine, &mut reader)?;
        coverage::volumes(record, reader.header(), &scope::of_header(reader.header(), reader.name())?);
        return Ok(Side { reader, time: None, is_under_another });
    }
    let target = target::open(given, &comparison.open)?;
    target.require_filesystem()?;
    let policy = policy_for(comparison.policy, machine)?;
    let budgets = comparison.budgets.for_target(target.bytes_held());
    let options = scan::Options { threads: comparison.threads, budgets, temp: comparison.temp, reuse: None };
    let out = temporary(comparison.temp)?;
    let scanned = scan::scan(&target.machine, policy.clone(), &options, progress, out)?;
    super::night::count(record, &scanned.counts);
    coverage::fill(record, &target, &policy, &scanned.seen.faults, &scanned.seen.notes);
    coverage::unmonitored(record);
    record.bytes.read = record.bytes.read.saturating_add(target.bytes_read());
    let mut file = scanned.out;
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::State(format!("temporary manifest: {error}")))?;
    let modified = target.modified.and_then(|time| Timestamp::try_from(time).ok());
    let time = cadence::snapshot_time(None, modified, record.started)?;
    let reader = Reader::new(given.display().to_string(), file)?;
    Ok(Side { reader, time: Some(time), is_under_another: false })
}

/// Takes the gaps that the named policy accepts for those of a manifest that was made under that policy otherwise. Says
/// whether it was.
///
/// # Errors
/// [`Error::Policy`] when it was made under another one, of which a comparison of two manifests would say nothing.
fn accept_what_is_named(comparison: &Comparison<'_>, machine: &MachineName, reader: &mut Reader) -> Result<bool> {
    let named = policy_for(comparison.policy, machine)?;
    let policy = scope::of_header(reader.header(), reader.name())?;
    let asked = |policy: &EffectivePolicy| EffectivePolicy { accept: Vec::new(), ..policy.clone() }.fingerprint();
    if asked(&named) == asked(&policy) {
        let policy = serde_json::to_value(EffectivePolicy { accept: named.accept, ..policy });
        reader.set_policy(policy.map_err(|error| Error::Bug(format!("policy: {error}")))?);
        return Ok(true);
    }
    if [comparison.old, comparison.new].into_iter().all(is_manifest) {
        return Err(Error::Policy(format!(
            "{}: expected a manifest made under {} as it is for the machine {machine}, found one made under another \
             policy, which cannot be changed afterwards: compare without --policy and --profile, or compare images",
            reader.name(),
            comparison.policy_name
        )));
    }
    Ok(false)
}
