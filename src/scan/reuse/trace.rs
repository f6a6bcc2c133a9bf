//! What is kept of a record beside its line: what the record rests on, where its content lies, and the content's hash.

use sha2::{Digest as _, Sha256};

use super::{Digest, Fingerprint};
use crate::machine::{Behind, DiskPlace};

const HAS_EVIDENCE: u8 = 1;
const HAS_CONTENT: u8 = 2;

/// What is kept of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::scan) struct Trace {
    /// What all of the record rests on; absent where that cannot be told, or the record is not whole.
    pub(in crate::scan) evidence: Option<Fingerprint>,
    /// The places of the content's bytes, and its hash.
    pub(in crate::scan) content: Option<(Fingerprint, Digest)>,
}

impl Trace {
    /// Appends it as it travels beside its line; nothing at all for a trace that says nothing.
    pub(in crate::scan) fn encode(&self, out: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        let evidence = if self.evidence.is_some() { HAS_EVIDENCE } else { 0 };
        let content = if self.content.is_some() { HAS_CONTENT } else { 0 };
        out.push(evidence | content);
        out.extend_from_slice(self.evidence.as_ref().map_or(&[], |evidence| evidence.as_slice()));
        if let Some((places, digest)) = &self.content {
            out.extend_from_slice(places);
            out.extend_from_slice(digest);
        }
    }

    /// How long a trace is that begins with this byte; `None` where none does.
    pub(super) fn encoded_len(first: u8) -> Option<usize> {
        let evidence = if first & HAS_EVIDENCE == 0 { 0 } else { size_of::<Fingerprint>() };
        let content = if first & HAS_CONTENT == 0 { 0 } else { size_of::<Fingerprint>() + size_of::<Digest>() };
        (first <= HAS_EVIDENCE | HAS_CONTENT).then_some(1 + evidence + content)
    }

    /// Reads an encoded trace of the right length.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, mut rest) = bytes.split_first()?;
        let mut trace = Self::default();
        if first & HAS_EVIDENCE != 0 {
            trace.evidence = Some(take(&mut rest)?);
        }
        if first & HAS_CONTENT != 0 {
            trace.content = Some((take(&mut rest)?, take(&mut rest)?));
        }
        rest.is_empty().then_some(trace)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*array)
}

/// What the fingerprints of one volume's entities have in common, or those of one directory, hashed once.
pub(in crate::scan) struct Basis(Sha256);

impl Basis {
    pub(in crate::scan) fn new(volume: &str, geometry: &[u8]) -> Self {
        let mut hash = Sha256::new();
        update(&mut hash, volume.as_bytes());
        update(&mut hash, geometry);
        Self(hash)
    }

    /// With the path of a directory, for its entries.
    pub(in crate::scan) fn within(&self, dir: &[u8]) -> Self {
        let mut hash = self.0.clone();
        update(&mut hash, dir);
        Self(hash)
    }

    /// What stands for all that an entry's record rests on: which one of the directory it is, the evidence, and where on
    /// the disks its content is stored. What a volume's own metadata maps there may change while the filesystem on it
    /// does not.
    pub(in crate::scan) fn fingerprint(&self, name: &[u8], evidence: &[u8], places: &[DiskPlace]) -> Fingerprint {
        let mut hash = self.0.clone();
        update(&mut hash, name);
        update(&mut hash, evidence);
        for DiskPlace { disk, offset, len, behind } in places {
            hash.update(short(*disk));
            hash.update([u8::from(behind.is_some())]);
            hash.update(offset.to_le_bytes());
            hash.update(len.to_le_bytes());
            if let Some(Behind { key, at }) = behind {
                hash.update(key.to_le_bytes());
                hash.update(at.to_le_bytes());
            }
        }
        first(&hash.finalize().into())
    }
}

fn update(hash: &mut Sha256, part: &[u8]) {
    hash.update(short(part.len()));
    hash.update(part);
}

/// Numbers of disks, and lengths of names and of metadata, are far below 2^32.
fn short(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// The beginning of a SHA-256.
pub(super) fn first(digest: &Digest) -> Fingerprint {
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        let (evidence, content) = (Some([1; 20]), Some(([2; 20], [3; 32])));
        for trace in [
            Trace::default(),
            Trace { evidence, content: None },
            Trace { evidence: None, content },
            Trace { evidence, content },
        ] {
            let mut bytes = vec![9];
            trace.encode(&mut bytes);
            assert_eq!(bytes.remove(0), 9, "it is appended");
            assert_eq!(bytes.is_empty(), trace == Trace::default());
            if let Some(first) = bytes.first() {
                assert_eq!(Trace::encoded_len(*first), Some(bytes.len()));
                assert_eq!(Trace::decode(&bytes), Some(trace));
                assert_eq!(Trace::decode(&bytes[1..]), None);
            }
            assert!(bytes.len() <= crate::manifest::lines::TRACE_MAX);
        }
        assert_eq!((Trace::encoded_len(4), Trace::encoded_len(0)), (None, Some(1)));
    }

    #[test]
    fn evidence_of_another_path_volume_or_place_is_another() {
        let at = |disk, offset, len| DiskPlace { disk, offset, len, behind: None };
        let place = [at(0, 4096, 8192)];
        let mut seen = std::collections::HashSet::new();
        let mut is_new = |volume: &str, [geometry, dir, name, bytes]: [&[u8]; 4], places: &[DiskPlace]| {
            seen.insert(Basis::new(volume, geometry).within(dir).fingerprint(name, bytes, places))
        };
        assert!(is_new("a", [b"g", b"d", b"b", b"c"], &place) && !is_new("a", [b"g", b"d", b"b", b"c"], &place));
        assert!(is_new("ag", [b"", b"d", b"b", b"c"], &place));
        assert!(is_new("a", [b"gd", b"", b"b", b"c"], &place));
        assert!(is_new("a", [b"g", b"db", b"", b"c"], &place));
        assert!(is_new("a", [b"h", b"d", b"b", b"c"], &place));
        assert!(is_new("a", [b"g", b"e", b"b", b"c"], &place));
        assert!(is_new("a", [b"g", b"d", b"bc", b""], &place));
        assert!(is_new("b", [b"g", b"d", b"a", b"c"], &place));
        assert!(is_new("a", [b"g", b"d", b"b", b"d"], &place));
        assert!(is_new("a", [b"g", b"d", b"b", b"c"], &[]));
        assert!(is_new("a", [b"g", b"d", b"b", b"c"], &[at(1, 4096, 8192)]));
        for (key, at) in [(1, 0), (2, 0), (1, 512)] {
            assert!(is_new(
                "a",
                [b"g", b"d", b"b", b"c"],
                &[DiskPlace { behind: Some(Behind { key, at }), ..place[0] }]
            ));
        }
        assert!(is_new("a", [b"g", b"d", b"b", b"c"], &[at(0, 8192, 8192)]));
        assert!(is_new("a", [b"g", b"d", b"b", b"c"], &[at(0, 4096, 4096), at(0, 8192, 4096)]));
    }
}
