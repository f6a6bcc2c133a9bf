//! How machines stand, and how often something happened, as tables.

use super::human;
use super::style::Role;
use super::table::{Align, Table};
use crate::changelog::MachineStatus;
use crate::changelog::column::Column;
use crate::severity::Severity;

/// One row a machine.
#[must_use]
pub fn machines(rows: &[MachineStatus]) -> Table {
    let mut table = Table::new([
        ("MACHINE", Align::Left),
        ("LAST SCAN (UTC)", Align::Left),
        ("AGE", Align::Right),
        ("ENTITIES", Align::Right),
        ("CHANGES 7D", Align::Right),
        ("GAPS", Align::Right),
        ("STATE", Align::Left),
    ]);
    for row in rows {
        let last = row.last.as_ref();
        let role = match row.overdue || row.problem.is_some() || row.failed.is_some() {
            true => Some(Role::Alarm),
            false => row.stale.then_some(Role::Severity(Severity::Medium)),
        };
        table.row(
            role,
            [
                row.machine.as_str(),
                &last.map_or("never".to_owned(), |last| human::minute(last.started)),
                &row.age.map(human::span).unwrap_or_default(),
                &last.map(|last| human::count(last.entities_total())).unwrap_or_default(),
                &human::count(row.changes),
                &human::count(row.gaps),
                &state(row),
            ],
        );
    }
    table
}

fn state(row: &MachineStatus) -> String {
    let mut words = Vec::new();
    if row.overdue {
        words.push(match (row.last.is_some(), row.every) {
            (false, _) => "never scanned in full".to_owned(),
            (true, Some(every)) => format!("overdue, wanted every {}", human::span(every)),
            (true, None) => "overdue".to_owned(),
        });
    }
    if let Some((scan, why)) = &row.failed {
        words.push(format!("scan {scan} failed: {why}"));
    }
    words.extend(row.problem.clone());
    if words.is_empty() {
        words.push("ok".to_owned());
    }
    if let (true, Some(age)) = (row.stale, row.snapshot_age) {
        words.push(format!("snapshot {} old", human::span(age)));
    }
    words.join("; ")
}

/// One row a group, its count in the last column.
#[must_use]
pub fn groups(columns: &[&Column], groups: &[(Vec<String>, u64)]) -> Table {
    let headings = columns.iter().map(|column| (column.name, Align::Left)).chain([("count", Align::Right)]);
    let mut table = Table::new(headings);
    for (group, count) in groups {
        let count = human::count(*count);
        table.row(None, group.iter().map(String::as_str).chain([count.as_str()]));
    }
    table
}
