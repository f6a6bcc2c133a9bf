//! A diff of two manifests, turned into events and carried records, in one thread: two that find and say what differs
//! take turns at the memory of each small piece, which takes longer than making an event.

use jiff::Timestamp;

use super::scope::{self, Rules, ScopeChange, Severities};
use crate::{
    changelog::{Context, Event, MachineName, ScanId, Window},
    diff::{self, Change, ScanChange, Summary, Which},
    error::{Error, Result},
    manifest::{Attribute, Reader, Record, Sorter, json},
    policy::EffectivePolicy,
    scan::Faults,
};

/// Takes what a difference is made of.
pub(super) trait Receiver {
    /// An event.
    fn event(&mut self, event: Event) -> Result<()>;
    /// The last good record of something that is lost.
    fn carry(&mut self, record: Record) -> Result<()>;
}

/// What is compared.
pub(super) struct Sides {
    pub(super) old: Reader,
    pub(super) carried: Option<Reader>,
    pub(super) new: Reader,
    /// Whether the faults of the old side and of the new one are to be gathered: a scan has told its own.
    pub(super) untold: [bool; 2],
}

/// What a difference comes to besides its events.
pub(super) struct Difference {
    pub(super) summary: Summary,
    /// What could not be read of the old side and of the new one, where that was not told yet.
    pub(super) faults: [Faults; 2],
}

/// What every event has in common.
pub(super) struct Labels<'a> {
    pub(super) machine: &'a MachineName,
    pub(super) scan_id: ScanId,
    pub(super) window: Window,
    /// The start of a run whose window may end by it; see [`Context::clock`].
    pub(super) clock: Option<Timestamp>,
    /// The machine's scan before, if any.
    pub(super) previous: Option<ScanId>,
}

/// Says what a diff finds.
struct Hands<'a, R> {
    receiver: &'a mut R,
    context: &'a Context<'a>,
    policies: [&'a EffectivePolicy; 2],
    untold: [bool; 2],
    faults: [Faults; 2],
}

impl<R: Receiver> diff::Output for Hands<'_, R> {
    fn scan_change(&mut self, change: ScanChange) -> Result<()> {
        self.receiver.event(Event::from_scan_change(&change, self.context))
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.receiver.event(Event::from_change(&change, self.context)?)
    }

    fn fault(&mut self, of: Which, line: &[u8]) -> Result<()> {
        let side = usize::from(of == Which::New);
        if !self.untold[side] {
            return Ok(());
        }
        let record =
            json::decode(line).map_err(|malformed| Error::State(format!("a fault is damaged: {malformed}")))?;
        self.faults[side].add(&record, self.policies[side]);
        Ok(())
    }

    fn carry(&mut self, record: Record) -> Result<()> {
        self.receiver.carry(record)
    }
}

/// Compares two manifests under the policies in their headers.
pub(super) fn events<R: Receiver>(
    sides: Sides,
    labels: &Labels<'_>,
    sorter: Sorter,
    receiver: &mut R,
) -> Result<Difference> {
    let old_policy = scope::of_header(sides.old.header(), sides.old.name())?;
    let new_policy = scope::of_header(sides.new.header(), sides.new.name())?;
    let rules = Rules::new(&new_policy, Some(&old_policy));
    let change = ScopeChange::between(&old_policy, &new_policy)?;
    let computer = sides.new.header().os.host.clone().unwrap_or_else(|| labels.machine.to_string());
    let severities = Severities::new(&old_policy, &new_policy)?;
    let in_old = |record: &Record| change.as_ref().is_none_or(|change| change.in_old(record));
    let in_new = |record: &Record| change.as_ref().is_none_or(|change| change.in_new(record));
    let untold = sides.untold;
    let input = diff::Input {
        old: sides.old,
        carried: sides.carried,
        new: sides.new,
        compared: &|names| rules.compared(names),
        access_times: rules.any_compares(Attribute::Atime),
        policy: change.as_ref().map(|change| change.policy_diff(&in_old, &in_new)),
        sorter,
    };
    let severity = |record: &Record| severities.of(record);
    let context = Context {
        machine: labels.machine,
        computer: &computer,
        scan_id: labels.scan_id,
        window: labels.window,
        clock: labels.clock,
        previous: labels.previous,
        severity: &severity,
    };
    let policies = [&old_policy, &new_policy];
    let mut hands = Hands { receiver, context: &context, policies, untold, faults: Default::default() };
    let summary = diff::run(input, &mut hands)?;
    Ok(Difference { summary, faults: hands.faults })
}
