//! A change as it waits to be handed out: bytes that an external sorter can hold.

use super::{
    change::{Change, ChangeKind},
    cover::Parts,
    finding,
    outbox::{head_key, waited},
};
use crate::{
    error::{Error, Result},
    manifest::{
        AttributeSet,
        json::{self, Head, Raw},
    },
};

/// A change before its records are decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub(super) kind: ChangeKind,
    pub(super) fields: AttributeSet,
    /// What the new side's faults leave unknown.
    pub(super) parts: Parts,
    /// Of a renamed entity: its place among those that others may move along with.
    pub(super) owner: Option<u32>,
    pub(super) old: Option<&'a [u8]>,
    pub(super) new: Option<&'a [u8]>,
    /// The fault on the new side that cost the entity a part.
    pub(super) fault: Option<&'a [u8]>,
    /// Of a stream or value: when its file or key last changed.
    pub(super) owner_changed: Option<&'a [u8]>,
}

const KINDS: [ChangeKind; 5] =
    [ChangeKind::Created, ChangeKind::Modified, ChangeKind::Renamed, ChangeKind::Deleted, ChangeKind::Unreadable];

/// Stands for no owner and for no line.
const NONE: u32 = u32::MAX;

impl<'a> Draft<'a> {
    pub(super) fn new(kind: ChangeKind, old: Option<&'a [u8]>, new: Option<&'a [u8]>) -> Self {
        Self {
            kind,
            fields: AttributeSet::EMPTY,
            parts: Parts::NONE,
            owner: None,
            old,
            new,
            fault: None,
            owner_changed: None,
        }
    }

    /// Replaces `out` by the draft's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[self.kind as u8, self.parts.0]);
        out.extend_from_slice(&self.fields.bits().to_le_bytes());
        out.extend_from_slice(&self.owner.unwrap_or(NONE).to_le_bytes());
        for line in [self.old, self.fault, self.owner_changed] {
            let len = |line: &[u8]| u32::try_from(line.len()).unwrap_or(NONE);
            out.extend_from_slice(&line.map_or(NONE, len).to_le_bytes());
            out.extend_from_slice(line.unwrap_or_default());
        }
        // No line is empty.
        out.extend_from_slice(self.new.unwrap_or_default());
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self> {
        Self::parse(bytes).ok_or_else(|| Error::Bug("a change that waited is damaged".to_owned()))
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let ([kind, parts], rest) = bytes.split_first_chunk()?;
        let (fields, rest) = rest.split_first_chunk()?;
        let (owner, rest) = rest.split_first_chunk()?;
        let (old, rest) = line(rest)?;
        let (fault, rest) = line(rest)?;
        let (owner_changed, new) = line(rest)?;
        Some(Self {
            kind: *KINDS.get(usize::from(*kind))?,
            fields: AttributeSet::of_bits(u64::from_le_bytes(*fields)),
            parts: Parts(*parts),
            owner: Some(u32::from_le_bytes(*owner)).filter(|owner| *owner != NONE),
            old,
            new: (!new.is_empty()).then_some(new),
            fault,
            owner_changed,
        })
    }

    /// The record that says what it is about: the new one, else the old one.
    pub(super) fn raw(&self) -> Result<Raw<'a>> {
        Raw::of(self.new.or(self.old).unwrap_or_default()).map_err(waited)
    }

    /// Appends the key by which changes go out: that of the new side, else of the old.
    pub(super) fn output_key(&self, out: &mut Vec<u8>) -> Result<()> {
        let line = match self.kind {
            // The new side may be the fault of a directory above.
            ChangeKind::Unreadable => self.old,
            _ => self.new.or(self.old),
        };
        Head::of(line.unwrap_or_default()).and_then(|head| head_key(&head, out)).map_err(waited)
    }

    /// The change, with how many entities moved along.
    pub(super) fn finish(&self, moved_along: u64) -> Result<Change> {
        let decode = |line: &[u8]| json::decode(line).map_err(waited);
        let [old, new, fault] = [self.old, self.new, self.fault].map(|line| line.map(decode).transpose());
        let (old, new) = (old?, new?);
        let findings = finding::findings(self.kind, old.as_ref(), new.as_ref());
        let owner_changed = self.owner_changed.map(|time| String::from_utf8_lossy(time).into_owned());
        let (fields, fault) = (self.fields.iter().collect(), fault?.map(Box::new));
        Ok(Change { kind: self.kind, old, new, fields, findings, fault, owner_changed, moved_along })
    }
}

/// A line that may be absent, led by its length, and what follows it.
fn line(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    match u32::from_le_bytes(*len) {
        NONE => Some((None, rest)),
        len => rest.split_at_checked(usize::try_from(len).ok()?).map(|(line, rest)| (Some(line), rest)),
    }
}
