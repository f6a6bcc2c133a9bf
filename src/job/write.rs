//! What a night's scan leaves behind: the manifest, beside it the extents, and what changed since the machine's last
//! scan.

use std::fs::File;

use super::{
    coverage,
    difference::{self, Labels, Receiver, Sides},
    scope::Rules,
};
use crate::{
    changelog::{Event, FileProof, Machine, Publish, RECOVERY, ScanRecord, Window},
    error::{Error, Result},
    manifest::{self, Attribute, Differing, Follow, Header, Kept, Lines, Reader, Record, Sorter, Writer},
    policy::EffectivePolicy,
    scan::{
        Seen,
        reuse::{Previous, SideHeader, SideWriter},
    },
};

/// The scan that is to be written down.
pub(super) struct Present<'a> {
    pub(super) seen: Seen,
    /// The policy that it was made under.
    pub(super) policy: &'a EffectivePolicy,
    pub(super) window: Window,
    /// What its contents rested on goes there, where that is known.
    pub(super) extents: Option<(File, SideHeader)>,
}

/// The machine's scan before.
pub(super) struct Past {
    pub(super) manifest: Option<Reader>,
    /// What of it was taken over.
    pub(super) taken: Option<Previous>,
}

/// Writes all of it, with that sorter's memory; says what proves the manifest.
pub(super) fn write(
    sorter: &Sorter,
    publish: &mut Publish<'_, '_>,
    record: &mut ScanRecord,
    present: Present<'_>,
    past: Past,
) -> Result<FileProof> {
    let (out, memory, threaded) = (publish.manifest()?, sorter.memory(), record.threads > 2);
    let Present { seen: Seen { header, records, kept: counts, context, .. }, policy, window, extents } = present;
    let (holding, before) = past.taken.map(Previous::into_holding).unzip();
    // Also where only contents were taken over: scans of two machines may have the same id.
    let old = match (past.manifest, &before) {
        (Some(old), Some(before)) => Some(old.kept_with(before.manifest()).map_err(advised)?),
        (old, _) => old,
    };
    let side = |(file, side): (File, SideHeader)| SideWriter::new(file, &side.within(context), before);
    let mut side = extents.map(side).transpose()?;
    let follow: &mut dyn Follow = match &mut side {
        Some(side) => side,
        None => &mut (),
    };
    let mut compare = |old: Reader, new: Reader| {
        let sides = Sides { old, carried: carried(publish)?, new, untold: [false; 2] };
        let (machine, scan_id, previous) = (&record.machine, record.scan_id, publish.machine().latest());
        let labels = Labels { machine, scan_id, window, clock: None, previous };
        let mut receiver = Written { publish, header: &header, carried: None };
        let summary = difference::events(sides, &labels, sorter.clone(), &mut receiver).map_err(advised)?.summary;
        receiver.finish()?;
        record.carried = summary.carried;
        coverage::hidden(record, &summary.hidden, policy);
        Ok(())
    };
    let written = match (old, holding.flatten()) {
        (None, _) => {
            let lines = Lines::new(records, None, memory)?;
            manifest::write_lines(out, &header, lines, follow, |_| Ok(()))?
        }
        (Some(old), None) => {
            let (lines, old) = (Lines::new(records, None, memory)?, old.ahead()?);
            manifest::write_live(out, &header, lines, follow, |new| compare(old, new))?.0
        }
        (Some(before), Some(holding)) => {
            let access_times = Rules::new(policy, None).any_compares(Attribute::Atime);
            let kept = Kept { before, holding, counts, sorter: sorter.clone(), access_times, threaded };
            let lines = Lines::new(records, Some(kept), memory).map_err(advised)?;
            let compare = |differing: Differing| compare(differing.before, differing.now);
            manifest::write_lines(out, &header, lines, follow, compare).map_err(advised)?
        }
    };
    side.map(|side| side.finish(&written.sha256)).transpose()?;
    Ok(written.out.proof())
}

/// The manifest of the scan before, of which its record says what `proof` says.
pub(super) fn previous(machine: &Machine<'_>, proof: Option<&FileProof>) -> Result<Option<Reader>> {
    let Some(file) = machine.latest_manifest()? else { return Ok(None) };
    const NAME: &str = "the previous manifest";
    let reader = match proof {
        Some(proof) => Reader::proved(NAME, file, &proof.sha256),
        None => Reader::new(NAME, file),
    };
    reader.map(Some).map_err(advised)
}

fn carried(publish: &Publish<'_, '_>) -> Result<Option<Reader>> {
    let file = publish.machine().latest_carried()?;
    file.map(|file| Reader::new("the carried records", file).map_err(advised)).transpose()
}

/// What to do about a state that is damaged: without the previous scan there is nothing to compare with.
fn advised(error: Error) -> Error {
    match error {
        Error::State(what) if what.contains(" is damaged: ") => {
            Error::State(format!("{what}; `snapfim verify` lists what of the state is damaged: {RECOVERY}"))
        }
        other => other,
    }
}

/// Puts events and carried records where they belong.
struct Written<'p, 'm, 's> {
    publish: &'p mut Publish<'m, 's>,
    header: &'p Header,
    carried: Option<Writer<File>>,
}

impl Written<'_, '_, '_> {
    fn finish(self) -> Result<()> {
        match self.carried {
            Some(writer) => writer.finish().map(|_| ()),
            None => Ok(()),
        }
    }
}

impl Receiver for Written<'_, '_, '_> {
    fn event(&mut self, event: Event) -> Result<()> {
        self.publish.event(event)
    }

    fn carry(&mut self, record: Record) -> Result<()> {
        let writer = match &mut self.carried {
            Some(writer) => writer,
            None => self.carried.insert(Writer::new(self.publish.carried()?, self.header)?),
        };
        writer.push(&record)
    }
}
