//! What the filesystems of Unix have in common: what an inode is, and how a damaged directory is told of.

use std::ops::ControlFlow;

use super::{Kind, Listed};
use crate::error::Fault;

/// So many faults of one directory are handed out one by one.
const MAX_FAULTS: u32 = 256;

/// The bits of a mode that say what an inode is, and three of their values.
pub(super) const S_IFMT: u16 = 0o170_000;
pub(super) const S_IFREG: u16 = 0o100_000;
pub(super) const S_IFDIR: u16 = 0o040_000;
pub(super) const S_IFLNK: u16 = 0o120_000;

/// What a mode says that an inode is.
pub(super) fn kind_of_mode(mode: u16) -> Option<Kind> {
    Some(match mode & S_IFMT {
        S_IFREG => Kind::File,
        S_IFDIR => Kind::Dir,
        S_IFLNK => Kind::Symlink,
        0o020_000 => Kind::Char,
        0o060_000 => Kind::Block,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        _ => return None,
    })
}

/// What a directory entry's type stands for: `EXT4_FT_*`, `XFS_DIR3_FT_*`.
pub(super) fn kind_of_entry(file_type: u8) -> Option<Kind> {
    Some(match file_type {
        1 => Kind::File,
        2 => Kind::Dir,
        3 => Kind::Char,
        4 => Kind::Block,
        5 => Kind::Fifo,
        6 => Kind::Socket,
        7 => Kind::Symlink,
        _ => return None,
    })
}

/// Faults of one directory: the first ones one by one, the others as one.
#[derive(Default)]
pub(super) struct DirFaults(u32);

impl DirFaults {
    /// Whether there were none.
    pub(super) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Hands out the next fault of the directory that `at` names.
    pub(super) fn hand_out(
        &mut self,
        fault: Fault,
        layer: &'static str,
        at: impl FnOnce() -> String,
        each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.0 = self.0.saturating_add(1);
        match self.0 {
            ..MAX_FAULTS => each(Listed::Fault(fault)),
            MAX_FAULTS => {
                let what = format!("more than {MAX_FAULTS} faults in this directory, the others are not listed");
                each(Listed::Fault(Fault::new(layer, at(), what)))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
