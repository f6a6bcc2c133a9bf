//! `snapfim status` and `snapfim verify`: how the machines are doing, and whether the state is whole.

use jiff::Timestamp;

use super::{
    args::{ReportFormat, StatusArgs, VerifyArgs},
    output::Output,
    settings::option,
};
use crate::{
    changelog::{State, cadence},
    error::{Error, Result},
    manifest::Reader,
    report::{ndjson, status},
};

pub(super) fn run(args: &StatusArgs, output: &mut Output) -> Result<u8> {
    let state = State::open(&args.state)?;
    let every = option("--every", args.every.as_deref(), cadence::parse_span)?;
    let rows = state.status(every, Timestamp::now())?;
    let style = output.style();
    let unwritten = |error| Error::io("report", "write", error);
    match args.format {
        ReportFormat::Text => status::machines(&rows).write(output, style).map_err(unwritten)?,
        ReportFormat::Ndjson => {
            for row in &rows {
                let last = row.last.as_ref();
                let row = serde_json::json!({
                    "machine": row.machine.as_str(),
                    "last": last.map(|record| record.scan_id.to_string()),
                    "age_seconds": row.age.map(|age| age.as_secs()),
                    "snapshot": last.and_then(|record| record.window).map(|window| window.to.to_string()),
                    "snapshot_age_seconds": row.snapshot_age.map(|age| age.as_secs()),
                    "stale": row.stale,
                    "entities": last.map(|record| record.entities_total()),
                    "changes_7d": row.changes,
                    "gaps": row.gaps,
                    "overdue": row.overdue,
                    "failed": row.failed.as_ref().map(|(_, why)| why),
                    "problem": row.problem,
                });
                ndjson::write(output, &row).map_err(unwritten)?;
            }
        }
    }
    if rows.iter().any(|row| row.problem.is_some()) {
        return Ok(74);
    }
    Ok(u8::from(rows.iter().any(|row| row.overdue)))
}

pub(super) fn verify(args: &VerifyArgs, output: &mut Output) -> Result<u8> {
    let state = State::open(&args.state)?;
    let verified = state.verify(&mut |file| Reader::new("manifest", file)?.ahead()?.verify())?;
    for note in &verified.notes {
        output.note(&note.to_string());
    }
    let code = output.problems(&verified.problems, 0);
    output.line(&format!(
        "{} manifests and {} carried files whole, {} scans, {} events, {} problems",
        verified.manifests,
        verified.carried,
        verified.scans,
        verified.events,
        verified.problems.len()
    ));
    Ok(code.unwrap_or(0))
}
