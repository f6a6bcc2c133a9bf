//! Volumes in which nothing is recognised: whether they are all zeros, and otherwise where their bytes begin. What these
//! are is never shown: a key may lie there.

use super::State;
use crate::{
    error::Result,
    field::wide,
    image::{Image, RunKind},
};

/// A volume is looked at so far. Holes count too: what follows must not depend on the container.
pub(in super::super) const MAX_LOOKED: u64 = 64 << 30;

/// One that shares its bytes with others, so that all of them together cost no more than is sane.
pub(in super::super) const MAX_LOOKED_SHARED: u64 = 1 << 30;

/// Read at once.
const PIECE: u64 = 1 << 20;

enum Blank {
    Zeros,
    /// Something else from here on.
    Data {
        offset: u64,
    },
    /// Zeros as far as was looked.
    Unknown {
        looked: u64,
    },
}

/// What follows for a volume without a signature: zeros from end to end are a note, all else is a gap.
/// No more than `most` bytes of it are looked at.
pub(in super::super) fn unrecognised(image: &dyn Image, most: u64) -> State {
    match look(image, most) {
        Ok(Blank::Zeros) => State::Note("empty: all zeros".to_owned()),
        Ok(Blank::Data { offset }) => {
            let len = image.len();
            State::Gap(format!("not recognised: {len} bytes without a known signature, not zero from {offset:#x} on"))
        }
        Ok(Blank::Unknown { looked }) => {
            State::Gap(format!("not recognised; zeros in its first {looked} bytes, and not looked at further"))
        }
        Err(error) => State::Gap(format!("not recognised: {error}")),
    }
}

fn look(image: &dyn Image, most: u64) -> Result<Blank> {
    let mut offset = 0_u64;
    let mut piece = Vec::new();
    while offset < image.len() {
        if offset >= most {
            return Ok(Blank::Unknown { looked: most });
        }
        let run = image.run_at(offset)?;
        // A short hole is read with what follows it, so that the steps are few.
        if run.kind == RunKind::Hole && run.len >= PIECE {
            offset = offset.saturating_add(run.len);
            continue;
        }
        let len = PIECE.min(image.len().saturating_sub(offset));
        piece.resize(usize::try_from(len).unwrap_or_default(), 0);
        image.read_at(offset, &mut piece)?;
        if let Some(at) = piece.iter().position(|&byte| byte != 0) {
            let offset = offset.saturating_add(wide(at));
            if offset >= most {
                return Ok(Blank::Unknown { looked: most });
            }
            return Ok(Blank::Data { offset });
        }
        offset = offset.saturating_add(len);
    }
    // A hole may have led past the limit.
    if image.len() > most { Ok(Blank::Unknown { looked: most }) } else { Ok(Blank::Zeros) }
}
