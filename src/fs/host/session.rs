//! One worker's reader of a directory of this host.

use std::{
    fs::File,
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::fs::{Dir, FileType, OFlags, Statx, StatxFlags, StatxTimestamp};

use super::{
    HostDir, LAYER,
    attributes::{self, Place as AttributePlace},
    content, stat,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{DirEntry, Extent, Kind, Listed, Metadata, NodeId, Session, Sink, Stream, Times, Timestamp},
};

pub(super) struct HostSession<'a> {
    host: &'a HostDir,
}

impl<'a> HostSession<'a> {
    pub(super) fn new(host: &'a HostDir) -> Self {
        Self { host }
    }

    /// Looks at a node without opening it for reading.
    fn stat(&self, node: &[u8]) -> Result<(OwnedFd, Statx)> {
        let fd = self.host.open_node(node, OFlags::PATH)?;
        let stat = stat(&fd).map_err(|errno| self.host.failed(node, errno))?;
        Ok((fd, stat))
    }

    /// Opens a node that was looked at, and makes sure that it is still the one that was seen.
    fn reopen(&self, node: &[u8], seen: &Statx, flags: OFlags) -> Result<(OwnedFd, Statx)> {
        let fd = self.host.open_readable(node, flags)?;
        let now = stat(&fd).map_err(|errno| self.host.failed(node, errno))?;
        if now.stx_ino != seen.stx_ino || kind(&now) != kind(seen) {
            return Err(self.host.changed(node));
        }
        Ok((fd, now))
    }

    fn regular(&self, node: &[u8]) -> Result<(OwnedFd, Statx)> {
        let (_, seen) = self.stat(node)?;
        if kind(&seen) != Some(Kind::File) {
            return Err(Error::unsupported(
                LAYER,
                format!("{}: not a regular file", self.host.full_path(node).display()),
            ));
        }
        self.reopen(node, &seen, OFlags::empty())
    }
}

fn path(node: &NodeId) -> Result<&[u8]> {
    match node {
        NodeId::Path(path) => Ok(path),
        NodeId::Number(_) => Err(Error::Bug("a number was given to the reader of host directories".to_owned())),
    }
}

fn kind_of(file_type: FileType) -> Option<Kind> {
    Some(match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        _ => return None,
    })
}

fn kind(stat: &Statx) -> Option<Kind> {
    kind_of(FileType::from_raw_mode(u32::from(stat.stx_mode)))
}

fn time(stamp: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
}

impl Session for HostSession<'_> {
    fn root(&self) -> NodeId {
        NodeId::Path(Arc::from([].as_slice()))
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        let dir = path(dir)?;
        let (_, seen) = self.stat(dir)?;
        if !self.host.may_enter(dir, &seen) {
            return Ok(());
        }
        let (fd, _) = self.reopen(dir, &seen, OFlags::DIRECTORY)?;
        for entry in Dir::new(fd).map_err(|errno| self.host.failed(dir, errno))? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    let fault = Fault::from(self.host.failed(dir, errno));
                    let _ = each(Listed::Fault(fault));
                    return Ok(());
                }
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut node = dir.to_vec();
            if !node.is_empty() {
                node.push(b'/');
            }
            node.extend_from_slice(name);
            let node = NodeId::Path(Arc::from(node));
            let entry = DirEntry { name, node, kind: kind_of(entry.file_type()), link: None };
            if each(Listed::Entry(entry)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let node = path(node)?;
        let (looked, seen) = self.stat(node)?;
        let kind = kind(&seen);
        let mut metadata = Metadata {
            kind,
            size: seen.stx_size,
            mode: Some(u32::from(seen.stx_mode) & 0o7777),
            uid: Some(seen.stx_uid),
            gid: Some(seen.stx_gid),
            nlink: Some(u64::from(seen.stx_nlink)),
            id: Some(seen.stx_ino.to_string()),
            times: Times {
                mtime: Some(time(seen.stx_mtime)),
                ctime: Some(time(seen.stx_ctime)),
                crtime: (seen.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(seen.stx_btime)),
                atime: Some(time(seen.stx_atime)),
            },
            ..Metadata::default()
        };
        match kind {
            Some(Kind::Char | Kind::Block) => metadata.rdev = Some((seen.stx_rdev_major, seen.stx_rdev_minor)),
            Some(Kind::Symlink) => match rustix::fs::readlinkat(&looked, c"", Vec::new()) {
                Ok(target) => metadata.target = Some(target.into_bytes()),
                Err(errno) => metadata.faults.push(self.host.failed(node, errno).into()),
            },
            _ => {}
        }
        let opened = match kind {
            // Opening what is mounted elsewhere could mount it in the first place.
            Some(Kind::File | Kind::Dir) if self.host.may_enter(node, &seen) => {
                // Without this, flags that nobody could look at would be flags that are not set.
                self.reopen(node, &seen, OFlags::empty()).map_err(|error| metadata.faults.push(error.into())).ok()
            }
            _ => None,
        };
        let fault = |error: String| Fault::new(LAYER, self.host.full_path(node).display().to_string(), error);
        let full_path = self.host.full_path(node);
        let place = match &opened {
            Some((fd, _)) => AttributePlace::Fd(fd.as_fd()),
            None => AttributePlace::Path(&full_path),
        };
        let (xattrs, faults) = attributes::xattrs(&place);
        metadata.xattrs = xattrs;
        metadata.faults.extend(faults.into_iter().map(fault));
        if let Some((fd, _)) = &opened {
            match attributes::flags(fd.as_fd()) {
                Ok(flags) => metadata.flags = flags,
                Err(errno) => metadata.faults.push(fault(format!("inode flags: {errno}"))),
            }
        }
        Ok(metadata)
    }

    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        let dir = path(dir)?;
        if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
            return Ok(None);
        }
        let (_, seen) = self.stat(dir)?;
        if !self.host.may_enter(dir, &seen) {
            return Ok(None);
        }
        let node = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
        match self.stat(&node) {
            Ok(_) => Ok(Some(NodeId::Path(Arc::from(node)))),
            Err(Error::Io { source, .. })
                if matches!(source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        stream.only_content(LAYER)?;
        let node = path(node)?;
        let (fd, seen) = self.regular(node)?;
        content::extents(self.host, node, &File::from(fd), seen.stx_size)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        stream.only_content(LAYER)?;
        let node = path(node)?;
        let (fd, before) = self.regular(node)?;
        content::read(self.host, node, &File::from(fd), &before, sink)
    }
}
