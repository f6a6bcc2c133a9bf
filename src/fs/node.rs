//! What filesystems say about a node: its name in a directory, its kind, and what is known of it besides its content.

use std::sync::Arc;

use super::Timestamp;
use crate::error::Fault;

/// What a node is called inside its filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeId {
    /// An inode number, an MFT reference with its sequence number in the upper 16 bits, or the byte offset of a
    /// directory entry of FAT or exFAT.
    Number(u64),
    /// A path from the root of the volume, for filesystems without numbers (a directory of this host).
    Path(Arc<[u8]>),
}

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// An NTFS reparse point that is neither a symbolic link nor a junction.
    Reparse,
}

/// One name in a directory.
#[derive(Debug, Clone)]
pub struct DirEntry<'a> {
    /// The name's exact bytes (NTFS, FAT, exFAT: WTF-8). Not checked: it may be empty, or hold `/` or NUL.
    pub name: &'a [u8],
    /// What the name leads to.
    pub node: NodeId,
    /// The kind as the directory itself states it, where it does; [`Metadata::kind`] decides.
    pub kind: Option<Kind>,
    /// What belongs to this link and not to the node (NTFS `$FILE_NAME`).
    pub link: Option<Link>,
}

/// What a filesystem keeps for each link of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its times.
    pub times: Times,
    /// The 8.3 name beside it, where there is one.
    pub short_name: Option<String>,
}

/// What a directory listing hands out: entries, and faults in between (a directory block that does not parse).
#[derive(Debug, Clone)]
pub enum Listed<'a> {
    /// A name. `.` and `..` are never handed out.
    Entry(DirEntry<'a>),
    /// A part of the directory that could not be read; the listing goes on behind it.
    Fault(Fault),
}

/// The four times of a node; what a filesystem does not keep is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Last change of the content.
    pub mtime: Option<Timestamp>,
    /// Last change of the inode (NTFS: of the MFT record).
    pub ctime: Option<Timestamp>,
    /// Creation.
    pub crtime: Option<Timestamp>,
    /// Last access.
    pub atime: Option<Timestamp>,
}

/// What is known about a node besides its content.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// What the node is.
    pub kind: Option<Kind>,
    /// Length of the content in bytes; of a directory, of its own blocks.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky (07777); no type bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Number of names.
    pub nlink: Option<u64>,
    /// Identity of the node that survives a rename: `inode:generation`, or `record:sequence` on NTFS.
    pub id: Option<String>,
    /// Its times.
    pub times: Times,
    /// Where a symbolic link leads, as exact bytes (NTFS: WTF-8, the print name where there is one).
    pub target: Option<Vec<u8>>,
    /// Device number (major, minor) of a device node.
    pub rdev: Option<(u32, u32)>,
    /// Extended attributes with full names (`user.x`, `security.selinux`, `system.posix_acl_access`), in the
    /// form in which Linux `getxattr(2)` gives them.
    pub xattrs: Vec<Xattr>,
    /// Inode flags as `FS_IOC_GETFLAGS` gives them.
    pub flags: Option<u32>,
    /// What only NTFS knows.
    pub windows: Option<Box<Windows>>,
    /// What could not be read about this node; the rest of this structure still holds.
    pub faults: Vec<Fault>,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// The full name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// What NTFS keeps besides.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    /// `FILE_ATTRIBUTE_*` bits of `$STANDARD_INFORMATION`.
    pub attributes: u32,
    /// The self-relative security descriptor, shared between nodes with the same one.
    pub descriptor: Option<Arc<[u8]>>,
    /// The reparse tag and the data after the tag, length and reserved fields.
    pub reparse: Option<(u32, Vec<u8>)>,
    /// Named data streams (the unnamed one is the content).
    pub streams: Vec<NamedStream>,
    /// The name by which Windows follows a symbolic link or junction, as `\??\C:\Users`; what it shows, the print
    /// name, is [`Metadata::target`] and may say anything.
    pub substitute: Option<Vec<u8>>,
}

/// A named data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStream {
    /// The name in WTF-8, without colon or type.
    pub name: Vec<u8>,
    /// Length in bytes.
    pub size: u64,
}
