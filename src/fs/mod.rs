//! Filesystems. In comes an [`Image`](crate::image::Image) of one volume, out come directory entries, metadata
//! and bytes, behind two traits: [`FileSystem`], shared by all workers, and [`Session`], one worker's own reader.
//! This room knows nothing of policy, and a foreign crate's types never leave their adapter.
//!
//! To add a filesystem: a folder here that implements both traits, and a row of `READERS` in `probe`.

mod claims;
mod clusters;
mod evidence;
mod exfat;
pub mod ext;
mod fat;
mod host;
pub mod memory;
mod node;
pub mod ntfs;
mod pieces;
mod probe;
mod runs;
mod search;
mod timestamp;
mod unix;
mod upcase;
mod wtf8;
pub mod xfs;

use std::ops::ControlFlow;

pub use evidence::Evidence;
pub use exfat::ExFat;
pub use fat::Fat;
pub use host::HostDir;
pub use node::{DirEntry, Kind, Link, Listed, Metadata, NamedStream, NodeId, Times, Windows, Xattr};
pub use probe::{Probed, probe};
pub use timestamp::Timestamp;

use search::{Search, find};

use crate::error::{Error, Result};

/// Which of a node's streams is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stream {
    /// The content.
    #[default]
    Content,
    /// A named data stream, by its name in WTF-8.
    Named(Vec<u8>),
}

impl Stream {
    /// That the content is meant, for a filesystem without named streams.
    fn only_content(&self, layer: &'static str) -> Result<()> {
        match self {
            Self::Content => Ok(()),
            Self::Named(_) => Err(Error::unsupported(layer, "it has no named streams")),
        }
    }
}

/// A piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the stream, in bytes.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Where its bytes are.
    pub place: Place,
}

/// Where the bytes of an [`Extent`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the volume at this byte offset, as they are.
    Volume(u64),
    /// On the volume at this byte offset, `len` bytes there, compressed or otherwise transformed.
    Encoded {
        /// Byte offset on the volume.
        offset: u64,
        /// Bytes taken on the volume.
        len: u64,
    },
    /// Inside metadata (inline data, resident attributes), or served from a journal: read it afresh.
    Metadata,
    /// Nowhere: reads as zeros.
    Hole,
    /// Allocated and never written: reads as zeros.
    Unwritten,
}

/// Takes a stream's bytes in order.
pub trait Sink {
    /// The next bytes, in pieces as large as the reader likes.
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()>;
    /// The next `len` bytes are zeros that are stored nowhere.
    fn hole(&mut self, len: u64) -> ControlFlow<()>;
}

/// What a volume says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The filesystem as users call it: `ext4`, `ext2`, `vfat`, `exfat`, `ntfs`, `xfs`.
    pub fs: &'static str,
    /// The filesystem's own id in the form in which `blkid` prints it as UUID.
    pub id: Option<String>,
    /// The label.
    pub label: Option<String>,
    /// Size of the filesystem in bytes.
    pub size: u64,
    /// What is worth knowing and sets nothing: a journal or log that was replayed, one of NTFS that should have been.
    pub notes: Vec<String>,
    /// What could not be read of the volume as a whole, while the rest could.
    pub gaps: Vec<String>,
    /// Which of these gaps are a journal or log that could not be replayed, or not in full: what it knew is missing
    /// anywhere on the volume, names too.
    pub unreplayed: Option<String>,
}

/// A recognised filesystem: shared by all workers, holds only immutable state.
pub trait FileSystem: Send + Sync {
    /// What the volume says about itself.
    fn info(&self) -> &VolumeInfo;

    /// A reader for one worker.
    ///
    /// # Errors
    /// When the volume cannot be read at all.
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// Whether names match without case (NTFS, FAT, exFAT).
    fn folds_case(&self) -> bool {
        false
    }

    /// What only the walk brings to light and sets nothing: places that were not entered. Asked after it.
    fn late_notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One worker's own reader; it need not be `Send`, and hands out only owned values or short borrows.
pub trait Session {
    /// The root directory.
    fn root(&self) -> NodeId;

    /// Hands out the entries of a directory in on-disk order, without `.` and `..`.
    ///
    /// # Errors
    /// When the directory as a whole cannot be read; damage inside it is handed out as [`Listed::Fault`].
    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()>;

    /// The directory that a directory names as its parent; the root names itself. `None` where the filesystem
    /// does not keep it. A name that leads to a directory of another parent is a hostile or damaged link: the
    /// walk uses this to stay a tree, whatever order the directories are visited in.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        let _ = dir;
        Ok(None)
    }

    /// What is known about a node. Damage to a part (an ACL, an attribute block) is in [`Metadata::faults`].
    ///
    /// # Errors
    /// When nothing can be said about the node.
    fn metadata(&mut self, node: &NodeId) -> Result<Metadata>;

    /// What of the volume's geometry says how the evidence of its nodes is read.
    fn geometry(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What a node's record rests on, for filesystems that can tell without making it: the kind, with the rest in
    /// `evidence`. `None` where anything cannot be read, where the content has no place of its own on the volume, and
    /// for files of several names.
    fn evidence(&mut self, node: &NodeId, evidence: &mut Evidence) -> Option<Kind> {
        let _ = (node, evidence);
        None
    }

    /// The node behind a name of a directory: byte for byte, or without case where the filesystem folds it.
    ///
    /// # Errors
    /// As [`Session::list`], and when it is not found in a directory that cannot be read in full: then nobody
    /// knows whether it is there. A name that is not there is `Ok(None)`.
    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        find(self, dir, name, &mut |stored| stored == name)
    }

    /// The node as [`Session::lookup`] finds it, with its name as the directory stores it: where case is folded, a
    /// path may spell it otherwise.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    fn lookup_stored(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<(NodeId, Vec<u8>)>> {
        let Some(node) = self.lookup(dir, name)? else { return Ok(None) };
        let mut stored = None;
        self.list(dir, &mut |listed| match listed {
            Listed::Entry(entry) if entry.node == node => {
                stored = Some(entry.name.to_vec());
                if entry.name == name { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        })?;
        Ok(Some((node, stored.unwrap_or_else(|| name.to_vec()))))
    }

    /// Where a stream's bytes lie on the volume, in file order, without gaps, up to the stream's length.
    ///
    /// # Errors
    /// When the map cannot be read in full.
    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>>;

    /// The stream's bytes, in order, in large pieces, exactly as many as its length says; holes are told apart
    /// from data. Ends early without an error when the sink breaks.
    ///
    /// # Errors
    /// When a part cannot be read; what was handed out before stands.
    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()>;
}

/// Reads a whole small stream into memory.
///
/// # Errors
/// As [`Session::read`], and [`Error::Budget`] when it is longer than `cap` bytes.
pub fn read_small(session: &mut dyn Session, node: &NodeId, stream: &Stream, cap: usize) -> Result<Vec<u8>> {
    struct Collect {
        bytes: Vec<u8>,
        cap: usize,
        over: bool,
    }
    impl Collect {
        fn room(&mut self, more: u64) -> bool {
            let fits = usize::try_from(more).is_ok_and(|more| more <= self.cap.saturating_sub(self.bytes.len()));
            self.over |= !fits;
            fits
        }
    }
    impl Sink for Collect {
        fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            if !self.room(bytes.len() as u64) {
                return ControlFlow::Break(());
            }
            self.bytes.extend_from_slice(bytes);
            ControlFlow::Continue(())
        }
        fn hole(&mut self, len: u64) -> ControlFlow<()> {
            if !self.room(len) {
                return ControlFlow::Break(());
            }
            let end = self.bytes.len().saturating_add(usize::try_from(len).unwrap_or(0));
            self.bytes.resize(end, 0);
            ControlFlow::Continue(())
        }
    }
    let mut sink = Collect { bytes: Vec::new(), cap, over: false };
    session.read(node, stream, &mut sink)?;
    if sink.over {
        return Err(Error::budget("fs", format!("a file that must be read whole is longer than {cap} bytes")));
    }
    Ok(sink.bytes)
}
