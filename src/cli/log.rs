//! `snapfim log` and `snapfim history`: reading the change log.

use std::{ffi::OsStr, ops::ControlFlow, os::unix::ffi::OsStrExt};

use jiff::Timestamp;

use super::{
    args::{HistoryArgs, LogArgs, LogFormat},
    output::Output,
    settings::option,
};
use crate::{
    changelog::{
        ChangeType, EntityType, Event, MachineName, State, cadence,
        column::{self, Column},
        path_filter::PathFilter,
        query::{Order, Query, Reading},
    },
    error::{Error, Result},
    report::{csv, escape, ndjson, status, text},
    severity::Severity,
};

/// Under what the number of events stands.
const COUNT: &str = "Count";

/// How many machines are named to who names another.
const MAX_MACHINES: usize = 5;

pub(super) fn run(args: &LogArgs, output: &mut Output) -> Result<u8> {
    let state = State::open(&args.state)?;
    let query = query(args, &state)?;
    if !args.count_by.is_empty() {
        return count(&state, &query, args, output);
    }
    let reading = print(output, args.format, |each| state.log(&query, Order::NewestFirst, each))?;
    Ok(end(output, &reading))
}

pub(super) fn history(args: &HistoryArgs, output: &mut Output) -> Result<u8> {
    let state = State::open(&args.state)?;
    let machine = known(&state, args.machine.as_deref())?;
    let path = meant(&state, args.path.as_os_str(), machine.as_ref())?;
    let reading = print(output, args.format, |each| state.history(path, machine, each))?;
    Ok(end(output, &reading))
}

/// What is meant by a path: itself, else what the log spells so, else the value that the log prints so; the first of
/// them of which anything is on record.
fn meant(state: &State, path: &OsStr, machine: Option<&MachineName>) -> Result<PathFilter> {
    let spelled = path.to_str().and_then(escape::unescaped);
    let names = || [Some(path.as_bytes()), spelled.as_deref()].into_iter().flatten();
    let readings: Vec<_> = names().map(PathFilter::exact).chain(names().flat_map(PathFilter::values)).collect();
    for reading in readings.iter().filter(|_| readings.len() > 1) {
        let mut any = false;
        state.history(reading.clone(), machine.cloned(), &mut |event| {
            // What happened to a volume says nothing of what is on it.
            any |= event.monitored_entity_type != EntityType::Scan;
            Ok(if any { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if any {
            return Ok(reading.clone());
        }
    }
    Ok(PathFilter::exact(path.as_bytes()))
}

/// The machine of that name, which the state must know: a misspelled one has no changes, and looks well.
fn known(state: &State, name: Option<&str>) -> Result<Option<MachineName>> {
    let Some(name) = name.map(MachineName::given).transpose()? else { return Ok(None) };
    let machines = state.machines()?;
    // Whose folder was removed may still have a log.
    if machines.contains(&name) || !state.scans(Some(&name), None)?.is_empty() {
        return Ok(Some(name));
    }
    let shown: Vec<_> = machines.iter().take(MAX_MACHINES).map(MachineName::as_str).collect();
    let there = match machines.len().saturating_sub(shown.len()) {
        _ if machines.is_empty() => "it has none".to_owned(),
        0 => format!("it has {}", shown.join(", ")),
        more => format!("it has {} and {more} more, see snapfim status", shown.join(", ")),
    };
    Err(Error::Usage(format!("--machine {name}: the state has no such machine; {there}")))
}

fn query(args: &LogArgs, state: &State) -> Result<Query> {
    let now = Timestamp::now();
    let since = option("--since", args.since.as_deref(), |text| cadence::parse_time(text, now))?;
    let until = option("--until", args.until.as_deref(), |text| cadence::parse_end(text, now))?;
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Error::Usage(format!(
            "--since {since} is later than --until {until}: no change lies between them"
        )));
    }
    let unknown = |flag: &str, text: &str, known: Vec<&str>| {
        Error::Usage(format!("{flag} {text}: no such one; there are {}", known.join(", ")))
    };
    let entity = |text: &String| {
        let known = || EntityType::ALL.into_iter().map(EntityType::as_str).collect();
        EntityType::by_name(text).ok_or_else(|| unknown("--entity", text, known()))
    };
    let change = |text: &String| {
        let known = || ChangeType::ALL.iter().copied().map(ChangeType::as_str).collect();
        ChangeType::by_name(text).ok_or_else(|| unknown("--type", text, known()))
    };
    let severity = |text: &str| {
        let known = || Severity::ALL.into_iter().map(Severity::as_str).collect();
        Severity::by_name(text).ok_or_else(|| unknown("--severity", text, known()))
    };
    Ok(Query {
        machine: known(state, args.machine.as_deref())?,
        computer: args.computer.clone(),
        entities: args.entity.iter().map(entity).collect::<Result<_>>()?,
        types: args.types.iter().map(change).collect::<Result<_>>()?,
        since,
        until,
        path: args.path.as_deref().map(PathFilter::glob).transpose()?,
        severity: args.severity.as_deref().map(severity).transpose()?,
    })
}

/// Prints events as they come.
fn print(
    output: &mut Output,
    format: LogFormat,
    read: impl FnOnce(&mut dyn FnMut(Event) -> Result<ControlFlow<()>>) -> Result<Reading>,
) -> Result<Reading> {
    let style = output.style();
    let unwritten = |error| Error::io("report", "write", error);
    if format == LogFormat::Csv {
        csv::write_header(output).map_err(unwritten)?;
    }
    read(&mut |event| {
        match format {
            LogFormat::Text => text::write_log_line(output, &event, style),
            LogFormat::Ndjson => ndjson::write(output, &event),
            LogFormat::Csv => csv::write(output, &event),
        }
        .map_err(unwritten)?;
        Ok(if output.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// A column to count by.
fn counted(name: &str) -> Result<&'static Column> {
    if name.eq_ignore_ascii_case(COUNT) {
        return Err(Error::Usage(format!(
            "--count-by {name}: how often something happened is called so; how many moved along with a rename, which \
             this column holds, cannot be counted by"
        )));
    }
    column::by_name(name).ok_or_else(|| {
        let known: Vec<_> = column::COLUMNS.iter().map(|column| column.name).filter(|name| *name != COUNT).collect();
        Error::Usage(format!("--count-by {name}: no such column; there are {}", known.join(", ")))
    })
}

fn count(state: &State, query: &Query, args: &LogArgs, output: &mut Output) -> Result<u8> {
    let columns = args.count_by.iter().map(|name| counted(name)).collect::<Result<Vec<_>>>()?;
    let (groups, reading) = state.count_by(query, &columns)?;
    let style = output.style();
    let unwritten = |error| Error::io("report", "write", error);
    match args.format {
        LogFormat::Text => status::groups(&columns, &groups).write(output, style).map_err(unwritten)?,
        LogFormat::Ndjson => {
            for (values, count) in &groups {
                let mut row = serde_json::Map::new();
                for (column, value) in columns.iter().zip(values) {
                    row.insert(column.name.to_owned(), value.clone().into());
                }
                row.insert(COUNT.to_owned(), (*count).into());
                ndjson::write(output, &row).map_err(unwritten)?;
            }
        }
        LogFormat::Csv => {
            let heads = columns.iter().map(|column| column.name).chain([COUNT]);
            csv::write_row(output, heads).map_err(unwritten)?;
            for (values, count) in &groups {
                let count = count.to_string();
                csv::write_row(output, values.iter().map(String::as_str).chain([count.as_str()])).map_err(unwritten)?;
            }
        }
    }
    Ok(end(output, &reading))
}

fn end(output: &mut Output, reading: &Reading) -> u8 {
    for note in &reading.notes {
        output.note(note);
    }
    output.problems(&reading.problems, reading.unlisted).unwrap_or(0)
}
