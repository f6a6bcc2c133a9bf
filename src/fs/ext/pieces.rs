//! Pieces of directories as they are read. Directories that were made one after the other lie side by side: a small
//! piece comes out of a window that all workers share, so that its neighbours cost no reads of their own.

use std::sync::Arc;

use super::{Ext, bytes::len64};
use crate::error::Result;

/// Bytes of a window. On the Debian system of `docs/performance.md`, four directories lie in each, and hardly a byte is
/// read that is in none.
pub(super) const WINDOW: u64 = 1 << 14;
/// Bytes of windows that are kept for all workers together.
pub(super) const WINDOWS: u64 = 1 << 20;

/// The piece that was read last, and where it lies.
#[derive(Default)]
pub(super) struct Pieces {
    own: Vec<u8>,
    /// The window that holds the piece instead, and where it begins there.
    window: Option<(Arc<Vec<u8>>, usize)>,
    last: Option<(u64, usize)>,
}

impl Pieces {
    /// The `len` bytes at `place`, read unless they are there already.
    pub(super) fn read(&mut self, ext: &Ext, place: u64, len: usize) -> Result<&[u8]> {
        if self.last != Some((place, len)) {
            self.last = None;
            self.window = window(ext, place, len);
            if self.window.is_none() {
                self.own.resize(len, 0);
                ext.volume.read_at(place, &mut self.own)?;
            }
            self.last = Some((place, len));
        }
        Ok(match &self.window {
            Some((window, from)) => window.get(*from..from.saturating_add(len)).unwrap_or_default(),
            None => &self.own,
        })
    }
}

/// The window around a piece. `None` where the piece does not fit into one, and where not all of it can be read: one
/// bad sector must not hide the neighbours.
fn window(ext: &Ext, place: u64, len: usize) -> Option<(Arc<Vec<u8>>, usize)> {
    let from = place.checked_rem(WINDOW)?;
    let end = from.checked_add(len64(len))?;
    let start = place.saturating_sub(from);
    let available = ext.volume.image_len().saturating_sub(start).min(WINDOW);
    if end > available {
        return None;
    }
    let read = || {
        let mut bytes = vec![0; usize::try_from(available).unwrap_or(0)];
        ext.volume.read_at(start, &mut bytes).map(|()| bytes)
    };
    let window = ext.directories.get(start, read).ok().filter(|window| end <= len64(window.len()))?;
    Some((window, usize::try_from(from).ok()?))
}
