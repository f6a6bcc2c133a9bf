//! One night's scan of one target into a state directory: due or not, scanned, compared with the machine's last
//! scan, written down. A scan that fails is written down too.

use std::{ffi::OsStr, io::ErrorKind, path::Path, thread};

use jiff::{SignedDuration, Timestamp};

use super::{
    coverage,
    rescan::{self, Begun, Prepared, Rescan},
    write::{self, Past, Present},
};
use crate::{
    changelog::{
        ANEW, Bytes, Coverage, CoverageState, EventFile, MachineName, Publish, ScanId, ScanRecord, State, TargetFile,
        Window, cadence, refuse_inside,
    },
    error::{Error, Result},
    manifest::{Counts, Kind, Sorter},
    policy::{EffectivePolicy, Policy},
    scan::{self, Budgets, Progress},
    target::{self, Opening, Target},
};

/// What a night's scan is told.
pub struct Night<'a> {
    /// The state directory.
    pub state: &'a State,
    /// Where it is.
    pub state_path: &'a Path,
    /// The target as it was typed.
    pub target: &'a OsStr,
    /// How it is opened.
    pub open: target::Options,
    /// The machine's name; from the target's file name when there is none.
    pub machine: Option<&'a str>,
    /// What is monitored.
    pub policy: &'a Policy,
    /// What people call the policy.
    pub policy_name: &'a str,
    /// Scan only when the last scan is that old.
    pub every: Option<SignedDuration>,
    /// When the snapshot was taken.
    pub time: Time,
    /// What may be taken over from the scan before.
    pub rescan: &'a Rescan,
    /// Worker threads.
    pub threads: usize,
    /// Limits.
    pub budgets: Budgets,
    /// For nameless temporary files.
    pub temp: &'a Path,
    /// The clock.
    pub now: &'a dyn Fn() -> Timestamp,
}

/// What a person says of the time of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// When it was taken; else its file's time says.
    pub snapshot: Option<Timestamp>,
    /// Whether one older than the last one is welcome.
    pub allow_older: bool,
}

/// What became of it.
pub enum Outcome {
    /// The last scan is not old enough yet.
    NotDue {
        /// The machine.
        machine: MachineName,
        /// Its last complete scan.
        last: ScanId,
        /// A killed run's leavings that were taken back before.
        taken_back: Option<ScanId>,
    },
    /// It ran to its end.
    Complete {
        /// The proof, as it was written.
        record: Box<ScanRecord>,
        /// What changed, if anything.
        events: Option<EventFile>,
        /// A killed run's leavings that were taken back before.
        taken_back: Option<ScanId>,
    },
    /// It failed, and that is written down.
    Failed {
        /// The proof, as it was written.
        record: Box<ScanRecord>,
        /// Why.
        error: Error,
        /// A killed run's leavings that were taken back before.
        taken_back: Option<ScanId>,
    },
}

/// Scans one target.
///
/// # Errors
/// When not even the failure is written down: a bad name, a busy lock, a state that cannot be written or lies inside
/// the target, a target that does not exist of a machine that the state does not know.
pub fn scan(night: &Night<'_>, progress: &Progress) -> Result<Outcome> {
    refuse_state_inside(night.state_path, night.target)?;
    let start = (night.now)();
    let name = machine_name(night.machine, night.target)?;
    if is_nowhere(night.target) && !night.state.machines()?.contains(&name) {
        // More likely a slip of the pen than a machine: it would be one that is overdue for ever.
        target::open(night.target, &night.open)?;
    }
    let mut machine = night.state.machine(&name, start)?;
    let taken_back = machine.taken_back();
    let last = machine.latest();
    if let (Some(every), Some(last)) = (night.every, last)
        && !cadence::is_due(machine.latest_started(), every, start)
    {
        return Ok(Outcome::NotDue { machine: name, last, taken_back });
    }
    let before = machine.begins_anew_after();
    let mut publish = machine.begin(start)?;
    let mut record = ScanRecord::new(name, publish.scan_id(), start, night.target.display().to_string());
    record.policy = night.policy_name.to_owned();
    record.threads = night.threads as u64;
    record.every_seconds = night.every.map(|every| every.as_secs());
    if let Some(before) = before {
        let why = format!("no manifest of {before} or of any scan before it is there: nothing was compared");
        record.cover(Coverage { state: CoverageState::Note, name: ANEW.to_owned(), why });
    }
    let result = run(night, progress, &mut publish, &mut record);
    record.end((night.now)());
    match result {
        Ok(()) => {
            let (record, events) = publish.commit(record)?;
            Ok(Outcome::Complete { record: Box::new(record), events, taken_back })
        }
        Err(error) => {
            record.error = Some(error.to_string());
            record.exit = error.exit_code();
            // Where both fail, the first is what somebody can do most about.
            let unwritten = |unwritten| Error::State(format!("{error}; that could not be written down: {unwritten}"));
            let record = publish.fail(record).map_err(unwritten)?;
            Ok(Outcome::Failed { record: Box::new(record), error, taken_back })
        }
    }
}

/// Refuses a state directory that lies inside the target, before anything is made there.
///
/// # Errors
/// [`Error::Usage`] when it does.
pub fn refuse_state_inside(state: &Path, target: &OsStr) -> Result<()> {
    target::parse(target).iter().try_for_each(|disk| refuse_inside(state, &disk.path))
}

/// Whether a disk of a target does not exist.
fn is_nowhere(target: &OsStr) -> bool {
    let is_absent = |path: &Path| path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    target::parse(target).iter().any(|disk| is_absent(&disk.path))
}

/// The name of the machine: the given one, else that of its target.
///
/// # Errors
/// When it is no name.
pub fn machine_name(given: Option<&str>, target: &OsStr) -> Result<MachineName> {
    given.map_or_else(|| name_of(target), MachineName::given)
}

/// What of a policy is for a machine.
///
/// # Errors
/// [`Error::Policy`] when no rule is.
pub(super) fn policy_for(policy: &Policy, machine: &MachineName) -> Result<EffectivePolicy> {
    let policy = policy.for_machine(machine.as_str())?;
    if policy.is_empty() {
        return Err(Error::Policy(format!(
            "no rule of the policy is for the machine {machine}: --machine NAME says which machine it is"
        )));
    }
    Ok(policy)
}

/// The name of a machine whose target is called so: that of its first disk.
///
/// # Errors
/// When the file name says nothing.
pub fn name_of(target: &OsStr) -> Result<MachineName> {
    let first = target::parse(target).into_iter().next();
    let path = first.map(|disk| disk.path).unwrap_or_default();
    // `.` and `..` have no file name until they are resolved.
    let path = if path.file_name().is_some() { path } else { path.canonicalize().unwrap_or(path) };
    let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    MachineName::of_target(&name)
}

fn run(night: &Night<'_>, progress: &Progress, publish: &mut Publish<'_, '_>, record: &mut ScanRecord) -> Result<()> {
    let opening = Opening::begin(night.target, &night.open)?;
    thread::scope(|scope| {
        // While the volumes are looked for, what the scan before kept is loaded.
        let begun = rescan::begin(scope, night.rescan, opening.disks(), publish.machine(), record.started);
        scan_opened(night, progress, publish, record, opening.finish()?, begun)
    })
}

fn scan_opened(
    night: &Night<'_>,
    progress: &Progress,
    publish: &mut Publish<'_, '_>,
    record: &mut ScanRecord,
    target: Target,
    begun: Begun<'_>,
) -> Result<()> {
    target.require_filesystem()?;
    describe(record, &target);
    let last = publish.machine().latest_record()?;
    let window = window(&target, night.time, last.as_ref(), record.started)?;
    record.window = Some(window);
    let policy = policy_for(night.policy, &record.machine)?;
    record.policy_sha256 = policy.fingerprint();

    let root = night.open.image_root.as_deref();
    let (machine, proof) = (publish.machine(), last.and_then(|last| last.manifest));
    let old = write::previous(machine, proof.as_ref())?;
    let (reuse, side, said) = match rescan::prepare(night.rescan, root, &target, machine, publish.scan_id(), begun)? {
        Some(Prepared { reuse, header, said }) => (Some(reuse), Some(header), said),
        None => (None, None, None),
    };
    let budgets = night.budgets.for_target(target.bytes_held());
    let options = scan::Options { threads: night.threads, budgets, temp: night.temp, reuse: reuse.as_ref() };
    let seen = scan::see(&target.machine, policy.clone(), &options, progress)?;
    record.bytes = Bytes { read: target.bytes_read(), hashed: progress.bytes(), taken_over: progress.taken_over() };
    count(record, &seen.counts());
    coverage::fill(record, &target, &policy, &seen.faults, &seen.notes);
    coverage::unmonitored(record);
    if let Some(why) = said {
        record.cover(Coverage { state: CoverageState::Note, name: "rescan".to_owned(), why });
    }
    let extents = side.map(|side| Ok((publish.extents()?, side))).transpose()?;
    let past = Past { manifest: old, taken: reuse.and_then(|reuse| reuse.previous) };
    let sorter = Sorter::new(night.temp, night.budgets.memory);
    let proof = write::write(&sorter, publish, record, Present { seen, policy: &policy, window, extents }, past)?;
    publish.prove(proof);
    record.exit = coverage::exit(record, publish.tally().total());
    Ok(())
}

/// The window of a scan that starts now.
fn window(target: &Target, time: Time, last: Option<&ScanRecord>, start: Timestamp) -> Result<Window> {
    let modified = target.modified.and_then(|time| Timestamp::try_from(time).ok());
    let snapshot = cadence::snapshot_time(time.snapshot, modified, start)?;
    cadence::window(last.and_then(|last| last.window), snapshot, time.allow_older)
}

/// What is known of a scan before it reads files, in the form of its proof: the gaps, and the exit code that they give.
///
/// # Errors
/// Those with which the scan would fail before it reads files.
pub fn foresee(
    target: &Target,
    machine: &MachineName,
    policy: &Policy,
    time: Time,
    last: Option<&ScanRecord>,
    start: Timestamp,
) -> Result<ScanRecord> {
    target.require_filesystem()?;
    let mut record = ScanRecord::new(machine.clone(), ScanId::at(start), start, target.given.clone());
    record.window = Some(window(target, time, last, start)?);
    let policy = policy_for(policy, machine)?;
    let (faults, notes) = scan::foresee(&target.machine, policy.clone())?;
    coverage::fill(&mut record, target, &policy, &faults, &notes);
    record.exit = coverage::exit(&record, 0);
    Ok(record)
}

fn describe(record: &mut ScanRecord, target: &Target) {
    record.computer = target.machine.os.host.clone();
    record.os = target.machine.os.name.clone();
    for disk in &target.disks {
        for (path, size) in &disk.files {
            let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
            record.files.push(TargetFile {
                path: path.display().to_string(),
                container: disk.container.to_owned(),
                size: *size,
                disk_size: disk.size,
                modified: modified.and_then(|time| Timestamp::try_from(time).ok()),
            });
        }
    }
}

pub(super) fn count(record: &mut ScanRecord, counts: &Counts) {
    for kind in Kind::ALL {
        match (kind, counts.of(kind)) {
            (_, 0) => {}
            (Kind::Fault, faults) => record.faults = faults,
            (_, number) => {
                record.entities.insert(kind.as_str().to_owned(), number);
            }
        }
    }
}
