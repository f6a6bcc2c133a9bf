//! Extended attributes and inode flags, as the host gives them.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::fs::Xattr;

/// Linux gives no longer list and no longer value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const MAX_BYTES: usize = 65536;

/// Where attributes are asked for: by an open file, or by its path where it may not be opened.
pub(super) enum Place<'a> {
    Fd(BorrowedFd<'a>),
    Path(&'a std::path::Path),
}

/// All extended attributes, and what could not be read of them.
pub(super) fn xattrs(place: &Place<'_>) -> (Vec<Xattr>, Vec<String>) {
    let mut buffer = vec![0; MAX_BYTES];
    let listed = match place {
        Place::Fd(fd) => rustix::fs::flistxattr(fd, &mut buffer[..]),
        Place::Path(path) => rustix::fs::llistxattr(*path, &mut buffer[..]),
    };
    let names = match listed {
        Ok(len) => buffer.get(..len).unwrap_or_default().to_vec(),
        Err(Errno::NOTSUP) => return (Vec::new(), Vec::new()),
        Err(errno) => return (Vec::new(), vec![format!("extended attributes cannot be listed: {errno}")]),
    };
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let got = match place {
            Place::Fd(fd) => rustix::fs::fgetxattr(fd, name, &mut buffer[..]),
            Place::Path(path) => rustix::fs::lgetxattr(*path, name, &mut buffer[..]),
        };
        match got {
            Ok(len) => {
                let value = buffer.get(..len).unwrap_or_default().to_vec();
                found.push(Xattr { name: name.to_vec(), value });
            }
            Err(errno) => faults.push(format!("extended attribute {}: {errno}", String::from_utf8_lossy(name))),
        }
    }
    (found, faults)
}

/// Inode flags; `None` where the filesystem keeps none.
pub(super) fn flags(fd: BorrowedFd<'_>) -> Result<Option<u32>, Errno> {
    match rustix::fs::ioctl_getflags(fd) {
        Ok(flags) => Ok(Some(flags.bits())),
        Err(Errno::NOTTY | Errno::NOTSUP | Errno::INVAL | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}
