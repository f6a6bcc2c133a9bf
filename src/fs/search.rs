//! Finding a name in a directory by listing it, where a filesystem has no quicker way.

use std::ops::ControlFlow;

use super::{Listed, NodeId, Session};
use crate::error::{Error, Fault, Result};

/// The first node of a directory whose name fits; `name` is what messages call it.
///
/// # Errors
/// As [`Session::lookup`].
pub(super) fn find<S: Session + ?Sized>(
    session: &mut S,
    dir: &NodeId,
    name: &[u8],
    fits: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<Option<NodeId>> {
    let mut search = Search::default();
    session.list(dir, &mut |listed| search.see(listed, &mut *fits))?;
    search.end(name)
}

/// A search for a name through a listing.
#[derive(Default)]
pub(super) struct Search {
    found: Option<NodeId>,
    damage: Option<Fault>,
}

impl Search {
    /// Takes what the listing hands out; it need not go on when the name is found.
    pub(super) fn see(&mut self, listed: Listed<'_>, fits: impl FnOnce(&[u8]) -> bool) -> ControlFlow<()> {
        match listed {
            Listed::Entry(entry) if fits(entry.name) => {
                self.found = Some(entry.node);
                return ControlFlow::Break(());
            }
            Listed::Entry(_) => {}
            Listed::Fault(fault) => {
                self.damage.get_or_insert(fault);
            }
        }
        ControlFlow::Continue(())
    }

    /// What was found. Nothing, in a directory that cannot be read in full, means that nobody knows.
    pub(super) fn end(self, name: &[u8]) -> Result<Option<NodeId>> {
        match (self.found, self.damage) {
            (None, Some(fault)) => {
                let name = name.escape_ascii();
                Err(Error::corrupt("directory", format!("looking for {name}"), fault.to_string()))
            }
            (found, _) => Ok(found),
        }
    }
}
