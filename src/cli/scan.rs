//! `snapfim scan`: all targets are tried, one after the other; the exit code is the worst of theirs.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use jiff::Timestamp;

use super::{
    args::{ReportFormat, ScanArgs},
    dry_run::DryRun,
    output::Output,
    progress::Follow,
    settings::{NamedPolicy, option, standard_input_once},
    throttle,
};
use crate::{
    changelog::{
        CoverageState, EventFile, MachineName, ScanRecord, State, UNMONITORED, cadence, event_file::Line,
        machine_name::can_be_of_one_machine,
    },
    error::{Error, Result},
    job::{self, FULL_SCAN, Night, Outcome, Time},
    report::{human, ndjson, text},
    scan::Progress,
    target,
};

pub(super) fn run(args: &ScanArgs, output: &mut Output) -> Result<u8> {
    if args.machine.is_some() && args.targets.len() > 1 {
        return Err(Error::Usage("--machine names one machine, and there are several targets".to_owned()));
    }
    if !args.rescan.changed.is_empty() && args.targets.len() > 1 {
        return Err(Error::Usage("--changed is about one target, and there are several".to_owned()));
    }
    let lists = args.rescan.changed.iter().map(|path| path.as_os_str());
    standard_input_once(lists.chain(args.open.files()).chain(args.policy.files()))?;
    let rescan = args.rescan.rescan();
    rescan.check()?;
    let open = args.open.options(Some(&args.work))?;
    let NamedPolicy { policy, name } = args.policy.policy("recommended")?;
    let now = Timestamp::now();
    let every = option("--every", args.every.as_deref(), cadence::parse_span)?;
    let snapshot = option("--snapshot-time", args.snapshot_time.as_deref(), |text| cadence::parse_time(text, now))?;
    // Before anything of a target is touched: a slip of the pen makes no machine that failed.
    cadence::snapshot_time(snapshot, None, now)?;
    let time = Time { snapshot, allow_older: args.allow_older };
    for target in &args.targets {
        job::refuse_state_inside(&args.state, target)?;
    }
    if args.dry_run {
        let dry = DryRun { args, open: &open, policy: &policy, every, time, now };
        let mut codes = Codes::default();
        for target in chosen(args, every.is_some(), output, &mut codes) {
            codes.add(dry.print(target, output).unwrap_or_else(|error| {
                output.error(&prefixed(target, error.to_string()));
                error.exit_code()
            }));
        }
        return Ok(codes.code());
    }
    if !output.is_watched {
        throttle::yield_to_others();
    }
    let state = State::create(&args.state)?;
    let mut codes = Codes::default();
    for target in chosen(args, every.is_some(), output, &mut codes) {
        let night = Night {
            state: &state,
            state_path: &args.state,
            target,
            open: open.clone(),
            machine: args.machine.as_deref(),
            policy: &policy,
            policy_name: &name,
            every,
            time,
            rescan: &rescan,
            threads: args.work.threads(),
            budgets: args.work.budgets(),
            temp: &args.state,
            now: &Timestamp::now,
        };
        let progress = Arc::new(Progress::default());
        let outcome = {
            let _follow = Follow::start(&target.display().to_string(), &progress, output.progress);
            job::scan(&night, &progress)
        };
        match outcome {
            Ok(outcome) => codes.add(report(target, outcome, args, output)?),
            Err(error) => {
                output.error(&prefixed(target, error.to_string()));
                codes.add(error.exit_code());
            }
        }
    }
    Ok(codes.code())
}

/// Whose disk a target is by its name, and where it lies. `None` for what has no name: that is an error, which the scan
/// itself gives.
fn origin(target: &OsString) -> Option<(MachineName, PathBuf)> {
    let name = job::name_of(target).ok()?;
    let path = target::parse(target).into_iter().next()?.path;
    Some((name, path.canonicalize().unwrap_or(path)))
}

/// The targets to scan, in their order. Not those that by their names would be one machine, though by their paths they
/// are no snapshots of one: into one history they must not go, and each is an error. And with `--every`, of several
/// snapshots of one machine only the newest, since the older ones would take its turn.
fn chosen<'a>(args: &'a ScanArgs, every: bool, output: &mut Output, codes: &mut Codes) -> Vec<&'a OsString> {
    let origins: Vec<_> = args.targets.iter().map(origin).collect();
    let mut left_out = BTreeSet::new();
    let mut newest: HashMap<&MachineName, (usize, Option<SystemTime>)> = HashMap::new();
    for (at, (target, origin)) in args.targets.iter().zip(&origins).enumerate() {
        let Some((name, path)) = origin else { continue };
        let poses = |other: &Option<(MachineName, PathBuf)>| {
            other.as_ref().is_some_and(|(same, on)| same == name && !can_be_of_one_machine(on, path))
        };
        if let Some(other) = origins.iter().position(poses).and_then(|other| args.targets.get(other)) {
            let what = format!(
                "it would be the machine {name}, and so would {}: scan each by itself with --machine",
                other.display()
            );
            let error = Error::Usage(what);
            output.error(&prefixed(target, error.to_string()));
            codes.add(error.exit_code());
            left_out.insert(at);
        } else if every {
            let disks = target::parse(target);
            let time = disks.iter().filter_map(|disk| disk.path.metadata().and_then(|it| it.modified()).ok()).max();
            let best = newest.get(name).filter(|(_, best)| *best > time);
            let older = if best.is_some() { Some(at) } else { newest.insert(name, (at, time)).map(|(at, _)| at) };
            if let Some(older) = older {
                let target = args.targets.get(older).unwrap_or(target).display();
                output.note(&format!(
                    "{target}: a newer snapshot of the same machine is among the targets; this one is left out"
                ));
                left_out.insert(older);
            }
        }
    }
    args.targets.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, target)| target).collect()
}

/// With several targets it must be clear whose error it is.
fn prefixed(target: &OsStr, message: String) -> Error {
    let target = &target.display().to_string();
    if message.contains(target) { Error::Target(message) } else { Error::Target(format!("{target}: {message}")) }
}

/// The exit code of several targets: the largest that is no verdict if there is one, else the union of the bits.
#[derive(Default)]
struct Codes {
    bits: u8,
    no_verdict: u8,
}

impl Codes {
    fn add(&mut self, code: u8) {
        if code >= 64 || code == 2 {
            self.no_verdict = self.no_verdict.max(code);
        } else {
            self.bits |= code;
        }
    }

    fn code(&self) -> u8 {
        if self.no_verdict > 0 { self.no_verdict } else { self.bits }
    }
}

fn report(target: &OsStr, outcome: Outcome, args: &ScanArgs, output: &mut Output) -> Result<u8> {
    let (machine, taken_back) = match &outcome {
        Outcome::NotDue { machine, taken_back, .. } => (machine, taken_back),
        Outcome::Failed { record, taken_back, .. } | Outcome::Complete { record, taken_back, .. } => {
            (&record.machine, taken_back)
        }
    };
    if let Some(scan) = taken_back {
        output.note(&format!("{machine}: took back what the unfinished scan {scan} had left"));
    }
    match outcome {
        Outcome::NotDue { machine, last, .. } => {
            output.note(&format!("{machine}: not due, last scanned {last}"));
            Ok(0)
        }
        Outcome::Failed { record, error, .. } => {
            output.error(&prefixed(target, error.to_string()));
            Ok(record.exit)
        }
        Outcome::Complete { record, events, .. } => {
            if record.is_anew() {
                output.warning(&format!(
                    "{}: the scans before have lost their manifests: this is a new baseline, and nothing was compared",
                    record.machine
                ));
            } else if record.is_baseline() {
                output.note(&format!(
                    "{}: first scan, the baseline is written; changes show from the next one on",
                    record.machine
                ));
            }
            for row in record.coverage.iter().filter(|row| row.name == "rescan") {
                if row.why.starts_with(FULL_SCAN) || output.verbose > 0 {
                    output.note(&format!("{}: {}", record.machine, row.why));
                }
            }
            print(&record, events.as_ref(), args.format, output)?;
            Ok(if args.exit_zero { record.exit & !1 } else { record.exit })
        }
    }
}

/// Prints what one scan or comparison found.
pub(super) fn print(
    record: &ScanRecord,
    events: Option<&EventFile>,
    format: ReportFormat,
    output: &mut Output,
) -> Result<()> {
    let style = output.style();
    for row in record.coverage.iter().filter(|row| row.name == UNMONITORED) {
        output.note(&format!("{}: {}", record.machine, row.why));
    }
    if output.verbose > 0 {
        let (read, hashed) = (human::size(record.bytes.read), human::size(record.bytes.hashed));
        let taken_over = human::size(record.bytes.taken_over);
        let (threads, ms) = (record.threads, record.duration_ms);
        output.note(&format!(
            "{}: read {read}, hashed {hashed}, taken over {taken_over}, {threads} threads, {ms} ms",
            record.machine
        ));
    }
    match format {
        // cron mails whatever is printed.
        ReportFormat::Text if output.quiet && record.exit == 0 => {}
        ReportFormat::Text => {
            output.part();
            let problems = text::write(output, record, events, style)?;
            output.problems(&problems, 0);
        }
        ReportFormat::Ndjson => {
            if let Some(events) = events {
                events.read(&mut |_, line| {
                    if let Line::Event(event) = line {
                        ndjson::write(output, event).map_err(|error| Error::io("report", "write", error))?;
                    }
                    Ok(std::ops::ControlFlow::Continue(()))
                })?;
            }
            // A program reads the events; a person still wants to know what is not covered.
            for row in record.coverage.iter().filter(|row| row.state == CoverageState::Gap) {
                output.note(&format!("{}: gap: {}: {}", record.machine, row.name, row.why));
            }
        }
    }
    Ok(())
}
