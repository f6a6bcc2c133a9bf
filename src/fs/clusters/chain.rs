//! The content of a file: runs of neighbouring clusters, as far as its length says.

use std::ops::ControlFlow;

use super::Table;
use crate::{
    error::{Error, Result},
    fs::{Extent, Place, Sink, pieces, runs::Places},
};

/// Where a file's bytes are.
#[derive(Debug, Clone, Copy)]
pub(in crate::fs) struct Chain {
    pub(in crate::fs) first: u32,
    /// The file's length in bytes.
    pub(in crate::fs) len: u64,
    /// How many of them have been written; the others read as zeros.
    pub(in crate::fs) written: u64,
    /// The clusters follow one another on disk, and the table says nothing of them.
    pub(in crate::fs) contiguous: bool,
}

impl Chain {
    /// For each run its offset on the volume and its length in bytes. What is there is handed out before an error.
    fn runs(&self, table: &mut Table<'_>, each: &mut dyn FnMut(u64, u64) -> Result<ControlFlow<()>>) -> Result<()> {
        let mut left = self.len;
        if left == 0 {
            return Ok(());
        }
        let heap = table.heap();
        if self.contiguous {
            let _ = each(heap.run(self.first, left)?, left)?;
            return Ok(());
        }
        let mut cluster = self.first;
        let mut run: (u64, u64) = (heap.offset(cluster)?, 0);
        // Brent: the mark moves to every cluster whose number in the chain is a power of two.
        let (mut mark, mut steps, mut limit) = (cluster, 0_u64, 1_u64);
        let mut clusters = 0_u64;
        loop {
            clusters = clusters.saturating_add(1);
            let here = heap.cluster_size.min(left);
            run.1 = run.1.saturating_add(here);
            left = left.saturating_sub(here);
            if left == 0 {
                let _ = each(run.0, run.1)?;
                return check_end(table, cluster, clusters);
            }
            let next = table.follow(cluster).map_err(|error| match error {
                Error::Corrupt { layer, at, what } => {
                    Error::Corrupt { layer, at, what: format!("{what}; {left} bytes are missing") }
                }
                other => other,
            });
            let next = next.and_then(|next| match next {
                None => Err(heap.corrupt(cluster, format!("the chain ends here; {left} bytes are missing"))),
                Some(next) if next == mark => {
                    Err(heap.corrupt(next, format!("the chain leads back to it; {left} bytes are missing")))
                }
                Some(next) => Ok(next),
            });
            let next = match next {
                Ok(next) => next,
                Err(error) => {
                    let _ = each(run.0, run.1)?;
                    return Err(error);
                }
            };
            steps = steps.saturating_add(1);
            if steps == limit {
                (mark, steps, limit) = (next, 0, limit.saturating_mul(2));
            }
            let start = heap.offset(next)?;
            if start != run.0.saturating_add(run.1) {
                if each(run.0, run.1)?.is_break() {
                    return Ok(());
                }
                run = (start, 0);
            }
            cluster = next;
        }
    }

    /// The map of the file.
    pub(in crate::fs) fn extents(&self, table: &mut Table<'_>) -> Result<Vec<Extent>> {
        let layer = table.heap().layer;
        let mut places = Places::new();
        let mut start = 0_u64;
        self.runs(table, &mut |offset, len| {
            let data = self.data(start, len);
            start = start.saturating_add(len);
            let flow = places.push(data, Place::Volume(offset));
            let zeros = len.saturating_sub(data);
            Ok(if flow.is_continue() { places.push(zeros, Place::Unwritten) } else { flow })
        })?;
        places.finish(self.len, layer, || format!("the file that begins at cluster {:#x}", self.first))
    }

    /// Of a run that begins at byte `start` of the file, the bytes that have been written.
    fn data(&self, start: u64, len: u64) -> u64 {
        self.written.saturating_sub(start).min(len)
    }
}

/// Hands out the bytes of a file.
pub(in crate::fs) fn read(chain: &Chain, table: &mut Table<'_>, sink: &mut dyn Sink) -> Result<()> {
    let image = table.image();
    let mut buffer = Vec::new();
    let mut start = 0_u64;
    chain.runs(table, &mut |offset, len| {
        let data = chain.data(start, len);
        let zeros = len.saturating_sub(data);
        start = start.saturating_add(len);
        let read = |offset, buf: &mut [u8]| image.read_at(offset, buf);
        let flow = pieces::hand_out(read, offset, data, &mut buffer, sink)?;
        Ok(if flow.is_continue() && zeros > 0 { sink.hole(zeros) } else { flow })
    })
}

/// A chain may be longer than its file, but whether the last of `clusters` clusters lies in a loop, which the file
/// may have gone through several times, shows only further on.
fn check_end(table: &mut Table<'_>, last: u32, clusters: u64) -> Result<()> {
    let mut cluster = last;
    for _ in 0..clusters {
        match table.follow(cluster) {
            Ok(Some(next)) if next == last => return Err(table.heap().corrupt(last, "the chain leads back to it")),
            Ok(Some(next)) => cluster = next,
            Ok(None) | Err(_) => break,
        }
    }
    Ok(())
}
