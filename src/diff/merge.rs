//! The one pass through both manifests.

use super::{
    change::{ChangeKind, ScanChange},
    compare::{Compared, compare, overlay},
    cover::{Cover, Faults},
    cursor::{Cursor, JoinKey},
    draft::Draft,
    group::{Group, pair},
    input::{Input, Output, PolicyDiff, Summary, Which},
    outbox::{Outbox, waited},
    owner::Owner,
    rename::Candidates,
    unreplayed::Unreplayed,
    volumes::{Standing, Volumes, machine_changed},
};
use crate::{
    error::Result,
    manifest::{
        Attribute, AttributeSet, Class, Kind, Reader,
        json::{self, Malformed, Raw},
    },
};

/// Into how many parts the memory is divided: what may wait at the same time.
const SHARES: usize = 8;

/// Finds what is different between two scans.
///
/// # Errors
/// [`Error::State`](crate::error::Error::State) when a manifest is damaged or a temporary file fails, and whatever
/// `out` returns. What was handed out before an error must not be believed.
pub fn run(input: Input<'_>, out: &mut dyn Output) -> Result<Summary> {
    let (old_header, new_header) = (input.old.header().clone(), input.new.header().clone());
    let share = input.sorter.share(SHARES);
    let mut merge = Merge {
        volumes: Volumes::new(&old_header, &new_header),
        unreplayed: Unreplayed::new(&new_header),
        compared: Compared::new(input.compared),
        access_times: input.access_times,
        policy: input.policy,
        cover: Cover::default(),
        owner: Owner::default(),
        old_faults: Faults::default(),
        candidates: Candidates::new(&share),
        outbox: Outbox::new(&share),
        summary: Summary::default(),
        entered: 0,
        left: 0,
    };
    merge.run(input.old.ahead()?, input.carried, input.new.ahead()?, out)?;

    if let Some(change) = machine_changed(&old_header, &new_header) {
        out.scan_change(change)?;
    }
    if let Some(PolicyDiff { what, sha256, .. }) = merge.policy {
        let (entered, left) = (merge.entered, merge.left);
        out.scan_change(ScanChange::PolicyChanged { what, sha256, entered, left })?;
    }
    for change in merge.volumes.changes() {
        out.scan_change(change)?;
    }
    let (others, moved_along) = merge.candidates.finish(&share, &mut merge.compared, &mut merge.outbox)?;
    merge.outbox.finish(others, &moved_along, share.memory(), out, &mut merge.summary)?;
    merge.summary.hidden = merge.volumes.hidden();
    Ok(merge.summary)
}

/// An entity of the old side.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// Its last good record.
    line: &'a [u8],
    /// Whether that was carried.
    carried: bool,
    /// Where it was: what the previous scan itself could read at this path.
    shadow: Option<&'a [u8]>,
}

impl<'a> Known<'a> {
    fn plain(line: &'a [u8]) -> Self {
        Self { line, carried: false, shadow: None }
    }
}

struct Merge<'a> {
    volumes: Volumes<'a>,
    unreplayed: Unreplayed,
    compared: Compared<'a>,
    access_times: bool,
    policy: Option<PolicyDiff<'a>>,
    cover: Cover,
    owner: Owner,
    old_faults: Faults,
    candidates: Candidates,
    outbox: Outbox,
    summary: Summary,
    entered: u64,
    left: u64,
}

impl Merge<'_> {
    fn run(&mut self, old: Reader, carried: Option<Reader>, new: Reader, out: &mut dyn Output) -> Result<()> {
        let mut old = Cursor::new(old)?;
        let mut carried = carried.map(Cursor::new).transpose()?;
        let mut new = Cursor::new(new)?;
        let mut key = JoinKey::first();
        let [mut old_group, mut carried_group, mut new_group] = [(); 3].map(|()| Group::default());
        loop {
            let carries = carried.as_ref().is_some_and(Cursor::live);
            if !carries && old.live() && new.live() && self.equal(old.line(), new.line()) && new.kind()? != Kind::Fault
            {
                if self.cover.active()
                    && let Some(key) = new.key()?
                {
                    self.cover.present(key);
                }
                self.summary.entities_old += 1;
                self.summary.entities_new += 1;
                old.advance()?;
                new.advance()?;
                continue;
            }
            if let Some(fault) = old.key()?.filter(|key| key.class == Class::Fault) {
                key.assign(fault);
                self.old_faults.add(&key, old.line()).map_err(waited)?;
                out.fault(Which::Old, old.line())?;
                old.advance()?;
                continue;
            }
            if let Some(carried) = &mut carried
                && carried.key()?.is_some_and(|key| key.class == Class::Fault)
            {
                carried.advance()?;
                continue;
            }
            let carried_key = carried.as_mut().map(Cursor::key).transpose()?.flatten();
            let known_key = least(old.key()?, carried_key);
            let new_key = new.key()?;
            let Some(next) = least(known_key, new_key) else { return Ok(()) };
            key.assign(next);
            if key.class == Class::Fault {
                self.cover.fault(&key, new.line()).map_err(waited)?;
                self.candidates.fault(new.line())?;
                out.fault(Which::New, new.line())?;
                new.advance()?;
                continue;
            }
            old_group.take(&mut old, &key)?;
            carried_group.clear();
            if let Some(carried) = &mut carried {
                carried_group.take(carried, &key)?;
            }
            new_group.take(&mut new, &key)?;
            self.group(&key, old_group.lines(), carried_group.lines(), new_group.lines())?;
        }
    }

    /// Whether two lines of the same place in both manifests say the same, as far as anybody asks.
    fn equal(&self, old: &[u8], new: &[u8]) -> bool {
        old == new || (!self.access_times && json::differ_only_in(Attribute::Atime, old, new))
    }

    /// All records of one key.
    fn group(&mut self, key: &JoinKey, old: &[Vec<u8>], carried: &[Vec<u8>], new: &[Vec<u8>]) -> Result<()> {
        if let Some(line) = new.first() {
            let is_known = carried.first().or(old.first());
            if self.cover.active()
                && is_known.map(|known| are_two(known, line)).transpose().map_err(waited)? == Some(true)
            {
                self.cover.replaced(key);
            } else {
                self.cover.present(key);
            }
            self.owner.see(key, line);
        }
        if let ([old], [], [new]) = (old, carried, new) {
            self.summary.entities_old += 1;
            self.summary.entities_new += 1;
            return self.both(key, Known::plain(old), new);
        }
        let mut known = Vec::with_capacity(old.len().max(carried.len()));
        for (carried_at, at) in pair(carried, old).map_err(waited)? {
            let plain = at.map(|at| old[at].as_slice());
            match (carried_at, plain) {
                (Some(at), shadow) => known.push(Known { line: &carried[at], carried: true, shadow }),
                (None, Some(line)) => known.push(Known::plain(line)),
                (None, None) => {}
            }
        }
        self.summary.entities_old += known.len() as u64;
        self.summary.entities_new += new.len() as u64;
        for (known_at, new_at) in pair(&known, new).map_err(waited)? {
            match (known_at.map(|at| known[at]), new_at.map(|at| new[at].as_slice())) {
                (Some(known), Some(new)) => self.both(key, known, new)?,
                (Some(known), None) => self.gone(key, known)?,
                (None, Some(new)) => self.fresh(key, new)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// An entity that both sides have.
    fn both(&mut self, key: &JoinKey, known: Known<'_>, line: &[u8]) -> Result<()> {
        let (old, new) = (Raw::of(known.line).map_err(waited)?, Raw::of(line).map_err(waited)?);
        let volume = old.get(Attribute::Volume);
        let standing = self.volumes.standing(volume, &key.path, known.carried);
        if standing == Standing::Lost && self.volumes.is_underneath(volume, new.get(Attribute::Volume)) {
            self.volumes.hide(volume);
            self.outbox.carry(&old.decode().map_err(waited)?)?;
            return known.shadow.map_or(Ok(()), |shadow| self.both(key, Known::plain(shadow), line));
        }
        if known.carried && standing == Standing::Restored {
            self.volumes.count(volume);
        }
        let parts = self.cover.parts(key);
        let set = self.compared.of(&old, &new).map_err(waited)?;
        let comparison = compare((&old, self.old_faults.at(key)), (&new, parts), set);
        if !comparison.missing.is_empty() {
            self.outbox.carry(&overlay(&old, &new, parts).map_err(waited)?)?;
            let fields = match known.shadow {
                _ if !known.carried || standing == Standing::Restored => comparison.missing,
                Some(shadow) => {
                    let shadow = Raw::of(shadow).map_err(waited)?;
                    comparison.missing.iter().filter(|attribute| shadow.get(*attribute).is_some()).collect()
                }
                None => AttributeSet::EMPTY,
            };
            if !fields.is_empty() {
                let draft = Draft::new(ChangeKind::Unreadable, Some(known.line), Some(line));
                self.outbox.change(&Draft { fields, fault: self.cover.reason(key, fields), ..draft })?;
            }
        }
        if comparison.is_change() {
            let changed = self.owner.changed(key).map_err(waited)?;
            let draft = Draft::new(ChangeKind::Modified, Some(known.line), Some(line));
            let fields = comparison.fields;
            self.outbox.change(&Draft { fields, owner_changed: changed.as_deref(), ..draft })?;
        }
        Ok(())
    }

    /// An entity that only the old side has.
    fn gone(&mut self, key: &JoinKey, known: Known<'_>) -> Result<()> {
        let old = Raw::of(known.line).map_err(waited)?;
        if let Some(policy) = &self.policy
            && !(policy.new_scope)(&old.decode().map_err(waited)?)
        {
            self.left += 1;
            return Ok(());
        }
        let volume = old.get(Attribute::Volume);
        let standing = self.volumes.standing(volume, &key.path, known.carried);
        if standing == Standing::Lost {
            self.volumes.hide(volume);
            self.outbox.carry(&old.decode().map_err(waited)?)?;
            // What that volume was mounted over is an entity of its own.
            return match known.shadow {
                Some(shadow) if Raw::of(shadow).map_err(waited)?.get(Attribute::Volume) != volume => {
                    self.gone(key, Known::plain(shadow))
                }
                _ => Ok(()),
            };
        }
        if known.carried && standing == Standing::Restored {
            self.volumes.count(volume);
        }
        if !known.carried && self.volumes.is_astray(volume, &key.path) {
            return Ok(());
        }
        let fault = self.cover.hides(key, known.carried).or_else(|| self.unreplayed.hides(volume, &key.path));
        if let Some(fault) = fault {
            // It was said when it was lost, and is said once.
            if !known.carried || known.shadow.is_some() || standing == Standing::Restored {
                self.outbox.change(&Draft::new(ChangeKind::Unreadable, Some(known.line), Some(fault)))?;
            }
            return self.outbox.carry(&old.decode().map_err(waited)?);
        }
        let changed = self.owner.changed(key).map_err(waited)?;
        let draft = Draft::new(ChangeKind::Deleted, Some(known.line), None);
        self.candidates.push(&Draft { owner_changed: changed.as_deref(), ..draft })
    }

    /// An entity that only the new side has.
    fn fresh(&mut self, key: &JoinKey, line: &[u8]) -> Result<()> {
        if self.volumes.is_astray(Raw::of(line).map_err(waited)?.get(Attribute::Volume), &key.path) {
            return Ok(());
        }
        if let Some(policy) = &self.policy
            && !(policy.old_scope)(&json::decode(line).map_err(waited)?)
        {
            self.entered += 1;
            return Ok(());
        }
        let parts = self.cover.parts(key);
        // If it was renamed, it may lack what it had: most likely its content.
        let reason = |lost| self.cover.reason(key, AttributeSet::from_iter([lost]));
        let fault = reason(Attribute::Sha256).or_else(|| reason(Attribute::Mode));
        let changed = self.owner.changed(key).map_err(waited)?;
        let draft = Draft::new(ChangeKind::Created, None, Some(line));
        self.candidates.push(&Draft { parts, fault, owner_changed: changed.as_deref(), ..draft })
    }
}

impl AsRef<[u8]> for Known<'_> {
    fn as_ref(&self) -> &[u8] {
        self.line
    }
}

fn least<'k>(one: Option<&'k JoinKey>, other: Option<&'k JoinKey>) -> Option<&'k JoinKey> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether two records of one path are of two entities, by their ids.
fn are_two(one: &[u8], other: &[u8]) -> Result<bool, Malformed> {
    let [one, other] = [Raw::of(one)?.get(Attribute::Id), Raw::of(other)?.get(Attribute::Id)];
    match (one, other) {
        (Some(one), Some(other)) => Ok(one.text()? != other.text()?),
        _ => Ok(false),
    }
}
