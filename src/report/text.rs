//! A scan for a person: a line that says whose and from when to when, the changes, the gravest first, what could
//! not be read, and the counts. Nothing is left out, however much there is; memory does not grow with it.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;

use super::describe::{Sort, details, findings, subject};
use super::escape::escaped;
use super::human;
use super::style::{Role, Style};
use crate::changelog::event_file::Line;
use crate::changelog::{ABSENT, CoverageState, EntityType, Event, EventFile, Outcome, Problem, ScanRecord, in_order};
use crate::error::{Error, Result};
use crate::severity::Severity;

/// The widest column of paths; longer ones push what follows aside, and do not widen it for all.
const MAX_PATH: usize = 48;

/// So many monitored paths that are not there are shown, and the rest is counted.
const ABSENT_SHOWN: usize = 4;

/// How a list of events stands in the report: by severity, the scan's own events first, then by path.
type Place = (Reverse<Severity>, bool, String, u64);

/// Writes a scan's report. Damaged lines of `events` are returned, and the rest is shown.
///
/// # Errors
/// [`Error::Io`] when `out` cannot be written, [`Error::State`] when `events` cannot be read.
pub fn write(
    out: &mut dyn Write,
    record: &ScanRecord,
    events: Option<&EventFile>,
    style: Style,
) -> Result<Vec<Problem>> {
    let written = |result: io::Result<()>| result.map_err(|error| Error::io("report", "write", error));
    written(write_header(out, record, style))?;
    let mut problems = Vec::new();
    let mut counts = BTreeMap::new();
    if let Some(events) = events {
        let is_empty = Cell::new(true);
        let width = Cell::new(0);
        let mut first = true;
        in_order(
            |place: &Place| place.2.len(),
            |take| {
                events.read(&mut |offset, line| {
                    match line {
                        Line::Event(event) => {
                            take(place(event, offset));
                            if first {
                                let len = subject(event).chars().count();
                                width.set(if len <= MAX_PATH { len.max(width.get()) } else { width.get() });
                                let count = counts.entry(Sort::of(event)).or_insert(0_u64);
                                *count = count.saturating_add(1);
                            }
                        }
                        Line::Problem(problem) if first => problems.push(problem.clone()),
                        Line::Problem(_) => {}
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                first = false;
                Ok(())
            },
            |(.., offset)| {
                let event = events.event_at(offset)?;
                if is_empty.replace(false) {
                    written(writeln!(out))?;
                }
                written(write_change(out, &event, width.get(), style))?;
                Ok(ControlFlow::Continue(()))
            },
        )?;
    }
    written(write_coverage(out, record, style))?;
    written(write_counts(out, &counts))?;
    Ok(problems)
}

fn place(event: &Event, offset: u64) -> Place {
    let is_entity = event.monitored_entity_type != EntityType::Scan;
    (Reverse(event.ext.severity), is_entity, event.path(), offset)
}

/// Writes the line that says whose scan it is, from when to when, and how it went.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_header(out: &mut dyn Write, record: &ScanRecord, style: Style) -> io::Result<()> {
    // The host name inside the image is shown beside the machine's own name, never instead of it.
    let machine = match record.computer.as_deref() {
        Some(computer) if computer != record.machine.as_str() => format!("{} ({})", record.machine, escaped(computer)),
        _ => record.machine.to_string(),
    };
    let mut parts = vec![style.paint(Role::Strong, machine).to_string()];
    parts.extend(record.window.map(|window| match window.from {
        Some(from) => format!("{} → {} UTC", human::minute(from), human::minute(window.to)),
        None => format!("{} UTC", human::minute(window.to)),
    }));
    parts.push(match record.outcome {
        Outcome::Failed => {
            let why = record.error.as_deref().unwrap_or("for an unknown reason");
            style.paint(Role::Alarm, format!("failed: {}", escaped(why))).to_string()
        }
        Outcome::Complete => {
            let changes = match record.changes_total() {
                0 if record.is_anew() => "a new baseline, compared with nothing".to_owned(),
                0 if record.is_baseline() => "first scan, nothing to compare with yet".to_owned(),
                0 => "no changes".to_owned(),
                changes => human::counted(changes, "change", "changes"),
            };
            let entities = human::counted(record.entities_total(), "entity", "entities");
            format!("{entities}, {changes}, {}", coverage(record, style))
        }
    });
    writeln!(out, "{}", parts.join("   "))
}

fn coverage(record: &ScanRecord, style: Style) -> String {
    let accepted = match record.coverage_count(CoverageState::Accepted) {
        0 => String::new(),
        accepted => format!(" but for {}", human::counted(accepted, "accepted gap", "accepted gaps")),
    };
    match record.coverage_count(CoverageState::Gap) {
        0 => format!("coverage complete{accepted}"),
        gaps => style.paint(Role::Alarm, human::counted(gaps, "coverage gap", "coverage gaps")).to_string(),
    }
}

fn write_change(out: &mut dyn Write, event: &Event, width: usize, style: Style) -> io::Result<()> {
    let severity = event.ext.severity;
    let severity = style.paint(Role::Severity(severity), format!("{:<8}", severity.as_str())).to_string();
    writeln!(out, "  {severity}{}", change(event, width, style))
}

/// The letter, what it is about in a column of `width`, the details and the findings.
fn change(event: &Event, width: usize, style: Style) -> String {
    let mut line = format!("{}  {:<width$}", Sort::of(event).letter(), subject(event));
    for detail in details(event) {
        line.push_str(&format!("  {detail}"));
    }
    let end = line.trim_end().len();
    line.truncate(end);
    for finding in findings(event) {
        line.push_str(&format!("   {}", style.paint(Role::Alarm, finding)));
    }
    line
}

/// Writes an event as one line that stands for itself, as in a log of many machines and scans.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_log_line(out: &mut dyn Write, event: &Event, style: Style) -> io::Result<()> {
    let time = event.time_generated.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let severity = event.ext.severity;
    writeln!(
        out,
        "{}  {:<16}  {}{}",
        style.paint(Role::Faint, time),
        escaped(&event.ext.machine),
        style.paint(Role::Severity(severity), format!("{:<8}", severity.as_str())),
        change(event, 0, style)
    )
}

/// Writes what is not covered, and what is worth knowing besides, behind an empty line where there is any.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_coverage(out: &mut dyn Write, record: &ScanRecord, style: Style) -> io::Result<()> {
    if record.coverage.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut rows: Vec<_> = record.coverage.iter().collect();
    rows.sort_by_key(|row| row.state);
    // A profile may name hundreds of paths that a machine does not have: the scan record lists them all.
    let mut absent = 0_usize;
    rows.retain(|row| {
        absent += usize::from(row.name == ABSENT);
        row.name != ABSENT || absent <= ABSENT_SHOWN
    });
    let widths = rows.iter().map(|row| escaped(&row.name).chars().count());
    let width = widths.filter(|width| *width <= MAX_PATH).max().unwrap_or(0);
    for row in rows {
        let role = if row.state == CoverageState::Gap { Role::Alarm } else { Role::Faint };
        let state = style.paint(role, format!("{:<8}", row.state.as_str())).to_string();
        writeln!(out, "  {state}   {:<width$}  {}", escaped(&row.name), escaped(&row.why))?;
    }
    if let more @ 1.. = absent.saturating_sub(ABSENT_SHOWN) {
        let paths = human::counted(more as u64, "more monitored path is", "more monitored paths are");
        writeln!(out, "  and {paths} not there")?;
    }
    match record.coverage_unlisted() {
        0 => Ok(()),
        more => writeln!(out, "  and {} more, which the manifest lists", human::count(more)),
    }
}

fn write_counts(out: &mut dyn Write, counts: &BTreeMap<Sort, u64>) -> io::Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let count = |sort: &Sort| counts.get(sort).copied().unwrap_or(0);
    let words: Vec<String> = Sort::COUNTED
        .iter()
        .filter(|(sort, _)| *sort != Sort::Unreadable || count(sort) > 0)
        .map(|(sort, word)| format!("{word} {}", human::count(count(sort))))
        .collect();
    writeln!(out, "\n  {}", words.join("   "))
}
