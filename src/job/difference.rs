//! A diff of two manifests, turned into events and carried records.

use super::scope::{self, Rules, ScopeChange, Severities};
use crate::{
    changelog::{Context, Event, MachineName, ScanId, Window},
    diff::{self, Change, ScanChange, Summary},
    error::Result,
    manifest::{Attribute, Reader, Record, Sorter},
};

/// Takes what a difference is made of.
pub(super) trait Receiver {
    /// An event.
    fn event(&mut self, event: &Event) -> Result<()>;
    /// The last good record of something that is lost.
    fn carry(&mut self, record: Record) -> Result<()>;
}

/// What is compared.
pub(super) struct Sides {
    pub(super) old: Reader,
    pub(super) carried: Option<Reader>,
    pub(super) new: Reader,
}

/// What every event has in common.
pub(super) struct Labels<'a> {
    pub(super) machine: &'a MachineName,
    pub(super) scan_id: ScanId,
    pub(super) window: Window,
}

struct Events<'a, R> {
    context: Context<'a>,
    receiver: &'a mut R,
}

impl<R: Receiver> diff::Output for Events<'_, R> {
    fn scan_change(&mut self, change: ScanChange) -> Result<()> {
        self.receiver.event(&Event::from_scan_change(&change, &self.context))
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.receiver.event(&Event::from_change(&change, &self.context)?)
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
) -> Result<Summary> {
    let old_policy = scope::of_header(sides.old.header(), sides.old.name())?;
    let new_policy = scope::of_header(sides.new.header(), sides.new.name())?;
    let rules = Rules::new(&new_policy, Some(&old_policy));
    let change = ScopeChange::between(&old_policy, &new_policy)?;
    let computer = sides.new.header().os.host.clone().unwrap_or_else(|| labels.machine.to_string());
    let severities = Severities::new([&old_policy, &new_policy])?;
    let severity = |record: &Record| severities.of(record);
    let context = Context {
        machine: labels.machine,
        computer: &computer,
        scan_id: labels.scan_id,
        window: labels.window,
        severity: &severity,
    };
    let in_old = |record: &Record| change.as_ref().is_none_or(|change| change.in_old(record));
    let in_new = |record: &Record| change.as_ref().is_none_or(|change| change.in_new(record));
    let input = diff::Input {
        old: sides.old,
        carried: sides.carried,
        new: sides.new,
        compared: &|names| rules.compared(names),
        access_times: rules.any_compares(Attribute::Atime),
        policy: change.as_ref().map(|change| change.policy_diff(&in_old, &in_new)),
        sorter,
    };
    diff::run(input, &mut Events { context, receiver })
}
