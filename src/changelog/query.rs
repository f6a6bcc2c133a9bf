//! Reading the change log: which events, in which order. Files are read one line at a time; memory does not grow
//! with the log.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::column::Column;
use super::event_file::Line;
use super::path_filter::PathFilter;
use super::state::{CHANGES, EVENTS};
use super::{ChangeType, EntityType, Event, EventFile, MachineName, Problem, ScanId, ScanRef, State, in_order};
use crate::error::{Error, Result};
use crate::severity::Severity;

/// How many problems of one reading are listed; the rest is counted.
const MAX_PROBLEMS: usize = 100;

/// How many groups a count may have.
const MAX_GROUPS: usize = 1_000_000;

/// How many files are held open at once while events of many of them are handed out in turn.
const MAX_OPEN: usize = 128;

/// Which events are wanted; what is not set lets all pass.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of this machine.
    pub machine: Option<MachineName>,
    /// Of computers whose name contains this, without case.
    pub computer: Option<String>,
    /// About these.
    pub entities: Vec<EntityType>,
    /// Of these types.
    pub types: Vec<ChangeType>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Up to this time, itself included.
    pub until: Option<Timestamp>,
    /// About these paths.
    pub path: Option<PathFilter>,
    /// Of this severity and above.
    pub severity: Option<Severity>,
}

/// The values of some columns, and how many events have them.
pub type Group = (Vec<String>, u64);

/// In which order events are handed out, by the column `TimeGenerated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As a log is read.
    NewestFirst,
    /// As a story is told.
    OldestFirst,
}

/// What went wrong while the rest was read. With problems, the answer is not the whole truth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Damage, at most 100 lines of it.
    pub problems: Vec<Problem>,
    /// Problems that are not listed.
    pub unlisted: u64,
    /// What is worth knowing, for people.
    pub notes: Vec<String>,
}

impl Reading {
    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}

impl Query {
    /// Whether an event is wanted.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        let time = event.time_generated;
        self.machine.as_ref().is_none_or(|machine| machine.as_str() == event.ext.machine)
            && self.computer.as_ref().is_none_or(|part| contains_folded(&event.computer, part))
            && (self.entities.is_empty() || self.entities.contains(&event.monitored_entity_type))
            && (self.types.is_empty() || self.types.contains(&event.change_type))
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
            && self.severity.is_none_or(|severity| event.ext.severity >= severity)
            && self.path.as_ref().is_none_or(|path| path.matches(event))
    }

    /// Whether no event of this event's scan can be early enough.
    fn is_too_late(&self, event: &Event) -> bool {
        let window = event.ext.window;
        match (self.until, window.from) {
            (Some(until), Some(from)) => from.min(window.to) > until,
            _ => false,
        }
    }
}

fn contains_folded(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

impl State {
    /// Hands out the events that are wanted, in order, until `each` breaks.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be read, and what `each` returns. Damaged lines and files are in
    /// the [`Reading`], and the rest is handed out all the same.
    pub fn log(
        &self,
        query: &Query,
        order: Order,
        each: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
    ) -> Result<Reading> {
        let mut reading = Reading::default();
        let mut scans = self.wanted(query, &mut reading)?;
        if order == Order::NewestFirst {
            scans.reverse();
        }
        let mut first_pass = true;
        let mut open: BTreeMap<usize, EventFile> = BTreeMap::new();
        in_order(
            |_: &(i128, usize, u64)| 32,
            |take| {
                for (index, scan) in scans.iter().enumerate() {
                    let Some(file) = self.opened(scan, first_pass, &mut reading) else { continue };
                    each_event(&file, first_pass, &mut reading, &mut |offset, event| {
                        if query.is_too_late(event) {
                            return ControlFlow::Break(());
                        }
                        if query.matches(event) {
                            let time = event.time_generated.as_nanosecond();
                            take((if order == Order::NewestFirst { -time } else { time }, index, offset));
                        }
                        ControlFlow::Continue(())
                    });
                }
                first_pass = false;
                Ok(())
            },
            |(_, index, offset)| {
                if open.len() >= MAX_OPEN && !open.contains_key(&index) {
                    open.clear();
                }
                if let std::collections::btree_map::Entry::Vacant(slot) = open.entry(index) {
                    let file = match scans.get(index) {
                        Some(scan) => self.events(scan)?,
                        None => None,
                    };
                    slot.insert(file.ok_or_else(|| Error::State("events: a file went away while it was read".into()))?);
                }
                match open.get(&index) {
                    Some(file) => each(file.event_at(offset)?.into_owned()),
                    None => Ok(ControlFlow::Continue(())),
                }
            },
        )?;
        Ok(reading)
    }

    /// Counts the events that are wanted by the values of some columns, the most frequent first. What an event
    /// has no value for is empty.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be read; [`Error::Usage`] when there are more than a million groups.
    pub fn count_by(&self, query: &Query, columns: &[&Column]) -> Result<(Vec<Group>, Reading)> {
        let mut reading = Reading::default();
        let mut groups: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for scan in self.wanted(query, &mut reading)? {
            let Some(file) = self.opened(&scan, true, &mut reading) else { continue };
            each_event(&file, true, &mut reading, &mut |_, event| {
                if query.is_too_late(event) {
                    return ControlFlow::Break(());
                }
                if query.matches(event) {
                    let group = columns.iter().map(|c| (c.get)(event).unwrap_or_default().into_owned()).collect();
                    let count = groups.entry(group).or_default();
                    *count = count.saturating_add(1);
                }
                if groups.len() > MAX_GROUPS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if groups.len() > MAX_GROUPS {
                let columns = columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",");
                return Err(Error::Usage(format!(
                    "counting by {columns} gives more than {MAX_GROUPS} groups; count by fewer columns, or narrow \
                     what is counted"
                )));
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(_, one), (_, other)| other.cmp(one));
        Ok((groups, reading))
    }

    /// Every recorded change of one path or key, and when it could not be seen, oldest first.
    ///
    /// # Errors
    /// As [`State::log`].
    pub fn history(
        &self,
        path: PathFilter,
        machine: Option<MachineName>,
        each: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
    ) -> Result<Reading> {
        let query = Query { machine, path: Some(path), ..Query::default() };
        self.log(&query, Order::OldestFirst, each)
    }

    /// The scans whose files may hold wanted events, oldest first. An event is never later than its scan, so days
    /// before `since` need not be looked at. A scan that is not complete has not happened.
    fn wanted(&self, query: &Query, reading: &mut Reading) -> Result<Vec<ScanRef>> {
        let mut scans = self.listed(CHANGES, EVENTS, query.since)?;
        scans.retain(|scan| query.machine.as_ref().is_none_or(|machine| *machine == scan.machine));
        let mut latest: BTreeMap<MachineName, Option<ScanId>> = BTreeMap::new();
        for scan in &scans {
            if !latest.contains_key(&scan.machine) {
                let newest = self.latest(&scan.machine).unwrap_or_else(|error| {
                    reading.problem(whole_file(format!("machines/{}/latest", scan.machine), &error));
                    None
                });
                latest.insert(scan.machine.clone(), newest);
            }
        }
        scans.retain(|scan| match latest.get(&scan.machine) {
            Some(Some(newest)) if scan.scan_id > *newest => {
                reading.notes.push(format!(
                    "{} {} is under way or was killed; its changes are not shown",
                    scan.machine, scan.scan_id
                ));
                false
            }
            _ => true,
        });
        Ok(scans)
    }

    fn opened(&self, scan: &ScanRef, report: bool, reading: &mut Reading) -> Option<EventFile> {
        match self.events(scan) {
            Ok(file) => file,
            Err(error) => {
                if report {
                    reading.problem(whole_file(scan.events_label(), &error));
                }
                None
            }
        }
    }
}

fn whole_file(file: String, error: &Error) -> Problem {
    Problem { file, line: 0, what: error.to_string() }
}

/// Hands out a file's events; damage goes to the reading when `report` says so, which is once.
fn each_event(
    file: &EventFile,
    report: bool,
    reading: &mut Reading,
    each: &mut dyn FnMut(u64, &Event) -> ControlFlow<()>,
) {
    let read = file.read(&mut |offset, line| {
        Ok(match line {
            Line::Event(event) => each(offset, event),
            Line::Problem(problem) => {
                if report {
                    reading.problem(problem.clone());
                }
                ControlFlow::Continue(())
            }
        })
    });
    if let Err(error) = read
        && report
    {
        reading.problem(whole_file(file.label().to_owned(), &error));
    }
}
