//! A regular file's bytes, holes told apart, and whether the file stood still meanwhile.

use std::{fs::File, ops::ControlFlow, os::unix::fs::FileExt};

use rustix::{
    fs::{SeekFrom, Statx, seek},
    io::Errno,
};

use super::{HostDir, LAYER, stat};
use crate::{
    error::Result,
    fs::{Extent, Place, Sink, pieces::PIECE, runs::Places},
};

/// Reads `file`, of which `before` was said when it was opened.
pub(super) fn read(host: &HostDir, node: &[u8], file: &File, before: &Statx, sink: &mut dyn Sink) -> Result<()> {
    let size = before.stx_size;
    let mut buffer = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE)).max(1)];
    let mut offset = 0_u64;
    while offset < size {
        let (hole, end) = run(file, offset, size);
        if hole {
            if sink.hole(end - offset).is_break() {
                return Ok(());
            }
            offset = end;
            continue;
        }
        while offset < end {
            let wanted = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            let piece = &mut buffer[..wanted];
            match file.read_at(piece, offset) {
                Ok(0) => return Err(host.changed(node)),
                Ok(len) => {
                    if sink.data(&buffer[..len]) == ControlFlow::Break(()) {
                        return Ok(());
                    }
                    offset += len as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(host.failed(node, Errno::from_io_error(&error).unwrap_or(Errno::IO))),
            }
        }
    }
    // One byte more: a file that says it is empty and is not (as in /proc) must not pass for empty.
    let longer = matches!(file.read_at(&mut buffer[..1], size), Ok(1..));
    let after = stat(file).map_err(|errno| host.failed(node, errno))?;
    if longer || !same(before, &after) {
        return Err(host.changed(node));
    }
    Ok(())
}

/// Where a file's holes are. Where the host keeps the rest is not known here: it is always read afresh.
pub(super) fn extents(host: &HostDir, node: &[u8], file: &File, size: u64) -> Result<Vec<Extent>> {
    let mut places = Places::new();
    let mut offset = 0_u64;
    while offset < size {
        let (hole, end) = run(file, offset, size);
        if places.push(end - offset, if hole { Place::Hole } else { Place::Metadata }).is_break() {
            break;
        }
        offset = end;
    }
    places.finish(size, LAYER, || host.full_path(node).display().to_string())
}

/// Whether nothing was written in between.
pub(super) fn same(before: &Statx, after: &Statx) -> bool {
    let marks = |stat: &Statx| {
        (
            stat.stx_ino,
            stat.stx_size,
            (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        )
    };
    marks(before) == marks(after)
}

/// Whether a hole is at `offset`, and where what is there ends.
fn run(file: &File, offset: u64, size: u64) -> (bool, u64) {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) if data > offset => (true, data.min(size)),
        Ok(_) => match seek(file, SeekFrom::Hole(offset)) {
            Ok(end) if end > offset => (false, end.min(size)),
            _ => (false, size),
        },
        // No data up to the end; a file that was cut shows when its end is looked at.
        Err(Errno::NXIO) => (true, size),
        Err(_) => (false, size),
    }
}
