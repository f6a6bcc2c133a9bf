//! What is to be recorded: the effective policy, with every rule's own path followed through the links of this
//! machine. Links that are met later, beneath a rule's path, are recorded and not followed.

use std::{borrow::Cow, ops::ControlFlow};

use super::{
    faults::MACHINE,
    note::Note,
    unmounted,
    walk::{interesting, state_at},
};
use crate::{
    error::{Fault, Result},
    fs::{Kind, Listed},
    machine::{Family, Machine, Resolution, Resolver, join, resolve::Place},
    manifest::{Record, attribute::Part},
    policy::{EffectivePolicy, EntityPath, Link, LiteralRoot, Matcher, Root},
};

/// Links that a rule's last, wildcard segment may match in one directory.
const WILDCARD_LINKS: usize = 100_000;

/// Bytes of the paths of links that are followed, and what each takes besides: they stand in a manifest's first line.
const LINK_BYTES: usize = 2 << 20;
const LINK_OVERHEAD: usize = 64;

/// What a scan sets out to do.
pub(super) struct Plan {
    pub(super) policy: EffectivePolicy,
    pub(super) matcher: Matcher,
    /// Rules' paths that could not be followed, monitored volumes that are missing.
    pub(super) faults: Vec<Record>,
    /// Monitored paths that are absent, links that lead nowhere.
    pub(super) notes: Vec<Note>,
    /// Of [`LINK_BYTES`].
    link_bytes: usize,
}

/// Follows the rules' own paths inside the image.
pub(super) fn plan(machine: &Machine, policy: EffectivePolicy) -> Result<Plan> {
    let policy = match &machine.control_set {
        Some(set) => policy.with_control_set(set.as_str()),
        None => policy,
    };
    let matcher = Matcher::new(&policy)?;
    let mut plan = Plan { policy, matcher, faults: Vec::new(), notes: Vec::new(), link_bytes: LINK_BYTES };
    let mut sessions = machine.sessions();
    let mut resolver = Resolver::new(&mut sessions);
    for root in roots(machine) {
        for literal in plan.matcher.literal_roots() {
            if literal.admits(&root) && (!literal.segments.is_empty() || literal.ends_in_wildcard()) {
                plan.follow(&mut resolver, &root, &literal);
            }
        }
    }
    plan.unplaced(machine);
    plan.matcher = Matcher::new(&plan.policy)?;
    plan.notes.extend(unmounted::notes(machine, &plan.policy, &plan.matcher));
    for missing in &machine.missing {
        if interesting(&state_at(&plan.matcher, &EntityPath::parse(&missing.path)?)) {
            let fault = Fault::new(MACHINE, missing.volume.as_str(), missing.why.clone());
            // What lies beneath a mount point is recorded all the same: a line in the mount table must not be enough
            // to hide a directory. So are the users who are known when not all are.
            let is_listed = matches!(missing.path.as_slice(), [b'/', ..] | b"HKU");
            let part = if is_listed { Part::Listing } else { Part::Entity };
            plan.faults.push(Record::fault(missing.path.as_slice(), b"", part, fault));
        }
    }
    Ok(plan)
}

/// The roots that rules' paths may begin at on this machine.
fn roots(machine: &Machine) -> Vec<Root> {
    match machine.os.family {
        Family::None => Vec::new(),
        Family::Linux => vec![Root::Linux],
        Family::Windows => {
            let drives = machine.mounts.iter().filter_map(|mount| match mount.path.as_slice() {
                [letter, b':', b'\\'] => Some(Root::Drive(letter.to_ascii_uppercase())),
                _ => None,
            });
            drives.collect()
        }
    }
}

impl Plan {
    fn follow(&mut self, resolver: &mut Resolver<'_, '_>, root: &Root, literal: &LiteralRoot) {
        let spelled = EntityPath { root: root.clone(), segments: literal.segments.clone() };
        let path = spelled.to_bytes();
        let Some(place) = self.resolve(resolver, &path, &literal.text) else { return };
        self.link(literal.rule, &spelled, &place);
        if literal.needs_container() && place.kind.is_some_and(|kind| kind != Kind::Dir) {
            self.absent(&path, &literal.text, "is not a directory");
        }
        if literal.ends_in_wildcard() && place.kind == Some(Kind::Dir) {
            for name in self.matching_links(resolver, literal.rule, &spelled, &place) {
                let mut spelled = spelled.clone();
                spelled.segments.push(name);
                let path = spelled.to_bytes();
                if let Some(place) = self.resolve(resolver, &path, &literal.text) {
                    self.link(literal.rule, &spelled, &place);
                }
            }
        }
    }

    /// A drive that a rule names and that no volume has, while nobody knows which volume has which letter, may be there.
    fn unplaced(&mut self, machine: &Machine) {
        let Some(why) = machine.unplaced.as_ref().filter(|_| machine.os.family == Family::Windows) else { return };
        for literal in self.matcher.literal_roots() {
            let Some(root) = literal.drive().map(Root::Drive) else { continue };
            if !roots(machine).contains(&root) {
                let path = EntityPath { root, segments: literal.segments }.to_bytes();
                self.faults.push(Record::fault(path, b"", Part::Entity, Fault::new(MACHINE, "", why.as_str())));
            }
        }
    }

    fn resolve(&mut self, resolver: &mut Resolver<'_, '_>, path: &[u8], pattern: &str) -> Option<Place> {
        match resolver.resolve(path) {
            Ok(Resolution::Found(place)) => return Some(place),
            Ok(Resolution::Missing(_))
                if resolver.resolve_link(path).is_ok_and(|r| matches!(r, Resolution::Found(_))) =>
            {
                let shown = shown(path);
                self.notes.push(Note::Other(format!("{shown}: monitored by {pattern}, is a link that leads nowhere")));
            }
            Ok(Resolution::Missing(_)) => self.absent(path, pattern, "is not there"),
            Ok(Resolution::Loop) => {
                let fault = Fault::new(MACHINE, "", "the links on this path lead round in circles");
                self.faults.push(Record::fault(path, b"", Part::Entity, fault));
            }
            Err(error) => self.faults.push(Record::fault(path, b"", Part::Entity, error.into())),
        }
        None
    }

    /// Notes that what a rule names is not there.
    fn absent(&mut self, path: &[u8], pattern: &str, why: &str) {
        self.notes.push(Note::Absent(format!("{}: monitored by {pattern}, {why}", shown(path))));
    }

    fn link(&mut self, rule: usize, spelled: &EntityPath, place: &Place) {
        if let Ok(canonical) = EntityPath::parse(&place.path)
            && !canonical.is_same(spelled)
        {
            let path = spelled.to_bytes();
            let bytes = path.len().saturating_add(place.path.len()).saturating_add(LINK_OVERHEAD);
            match self.link_bytes.checked_sub(bytes) {
                Some(left) => {
                    self.link_bytes = left;
                    self.policy.add_link(rule, Link::new(spelled, &canonical));
                }
                None => {
                    let why =
                        format!("a link that is not followed: more than {LINK_BYTES} bytes of links on rules' paths");
                    self.faults.push(Record::fault(path, b"", Part::Entity, Fault::new(MACHINE, "", why)));
                }
            }
        }
    }

    /// The links in a directory that a rule's last segment names.
    fn matching_links(
        &mut self,
        resolver: &mut Resolver<'_, '_>,
        rule: usize,
        spelled: &EntityPath,
        place: &Place,
    ) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        let Ok(session) = resolver.sessions().of(place.volume) else { return names };
        let mut candidates = Vec::new();
        // What of the listing fails is a fault of the walk, which lists the same directory.
        let _ = session.list(&place.node, &mut |listed| {
            if let Listed::Entry(entry) = listed
                && matches!(entry.kind, None | Some(Kind::Symlink))
            {
                candidates.push((entry.name.to_vec(), entry.node));
            }
            if candidates.len() < WILDCARD_LINKS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let separator = Machine::separator(&place.path);
        if candidates.len() >= WILDCARD_LINKS {
            let fault = Fault::new("scan", "", format!("more than {WILDCARD_LINKS} links in one monitored directory"));
            self.faults.push(Record::fault(place.path.as_slice(), b"", Part::Listing, fault));
        }
        for (name, node) in candidates {
            let is_link = session.metadata(&node).is_ok_and(|metadata| metadata.kind == Some(Kind::Symlink));
            let path = EntityPath::parse(&join(&spelled.to_bytes(), &name, separator));
            if is_link && path.is_ok_and(|path| self.matcher.verdict(&path, None, true).rules.contains(rule)) {
                names.push(name);
            }
        }
        names
    }
}

/// A path for a note. Reports escape what they print; here a backslash stays one.
fn shown(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}
