//! Volumes in which nothing is recognised: whether they are all zeros, and otherwise how they begin.

use std::fmt::Write;

use super::State;
use crate::{
    error::Result,
    image::{Image, RunKind, field::wide},
};

/// Data that is read at most to find out whether a volume is all zeros; holes cost nothing.
const MAX_READ: u64 = 64 << 20;

/// Runs of data and holes that are asked for at most.
const MAX_RUNS: usize = 100_000;

/// Read at once.
const PIECE: u64 = 1 << 20;

/// Bytes that are shown of what is not recognised.
const SHOWN: usize = 16;

enum Blank {
    Zeros,
    Data {
        offset: u64,
        first: Vec<u8>,
    },
    /// Zeros as far as was looked.
    Unknown {
        looked: u64,
    },
}

/// What follows for a volume without a signature: zeros from end to end are a note, all else is a gap.
pub(in super::super) fn unrecognised(image: &dyn Image) -> State {
    match look(image) {
        Ok(Blank::Zeros) => State::Note("empty: all zeros".to_owned()),
        Ok(Blank::Data { offset, first }) => {
            let mut hex = String::new();
            for byte in first {
                // Writing into a String does not fail.
                let _ = write!(hex, "{byte:02x}");
            }
            State::Gap(format!("not recognised; its first bytes that are not zero, at {offset:#x}: {hex}"))
        }
        Ok(Blank::Unknown { looked }) => {
            State::Gap(format!("not recognised; zeros in its first {looked} bytes, and not looked at further"))
        }
        Err(error) => State::Gap(format!("not recognised: {error}")),
    }
}

fn look(image: &dyn Image) -> Result<Blank> {
    let mut offset = 0_u64;
    let mut read = 0_u64;
    let mut piece = Vec::new();
    for _ in 0..MAX_RUNS {
        if offset >= image.len() {
            return Ok(Blank::Zeros);
        }
        let run = image.run_at(offset)?;
        let len = run.len.max(1);
        if run.kind == RunKind::Hole {
            offset = offset.saturating_add(len);
            continue;
        }
        if read >= MAX_READ {
            break;
        }
        let len = len.min(PIECE).min(image.len().saturating_sub(offset));
        piece.resize(usize::try_from(len).unwrap_or_default(), 0);
        image.read_at(offset, &mut piece)?;
        if let Some(at) = piece.iter().position(|&byte| byte != 0) {
            let first = piece.get(at..).unwrap_or_default().iter().copied().take(SHOWN).collect();
            return Ok(Blank::Data { offset: offset.saturating_add(wide(at)), first });
        }
        offset = offset.saturating_add(len);
        read = read.saturating_add(len);
    }
    Ok(Blank::Unknown { looked: offset })
}
