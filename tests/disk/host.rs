//! A directory of this host, against what the standard library says about it.

use std::{
    fs::File,
    ops::ControlFlow,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
};

use snapfim::fs::{Extent, FileSystem, HostDir, Kind, NodeId, Place, Sink, Stream};

use crate::support::{read, walk};

fn node(path: &str) -> NodeId {
    NodeId::Path(path.as_bytes().into())
}

#[test]
fn entries_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    std::fs::create_dir_all(top.join("etc/cron.d")).unwrap();
    std::fs::write(top.join("etc/passwd"), b"root\n").unwrap();
    std::fs::set_permissions(top.join("etc/passwd"), std::fs::Permissions::from_mode(0o4711)).unwrap();
    symlink("/etc/passwd", top.join("etc/link")).unwrap();
    symlink("..", top.join("etc/up")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, top.join("pipe"), rustix::fs::Mode::RUSR).unwrap();

    let host = HostDir::open(top, false).unwrap();
    let seen = walk(&host);
    assert_eq!(seen.paths(), ["/etc", "/etc/cron.d", "/etc/link", "/etc/passwd", "/etc/up", "/pipe"]);
    assert_eq!(seen.all_faults(), [] as [String; 0]);
    assert_eq!(seen.entries["/pipe"].kind, Kind::Fifo);
    // printf 'root\n' | sha256sum
    let hash = "53175bcc0524f37b47062fafdda28e3f8eb91d519ca0a184ca71bbebe72f969a";
    assert_eq!(seen.entries["/etc/passwd"].content.as_deref(), Ok(hash));

    let mut session = host.session().unwrap();
    let metadata = session.metadata(&node("etc/passwd")).unwrap();
    let expected = std::fs::metadata(top.join("etc/passwd")).unwrap();
    assert_eq!(metadata.mode, Some(0o4711));
    assert_eq!((metadata.uid, metadata.gid), (Some(expected.uid()), Some(expected.gid())));
    assert_eq!(metadata.nlink, Some(1));
    assert_eq!(metadata.id, Some(expected.ino().to_string()));
    let mtime = metadata.times.mtime.unwrap();
    assert_eq!((mtime.seconds, i64::from(mtime.nanos)), (expected.mtime(), expected.mtime_nsec()));
    let link = session.metadata(&node("etc/link")).unwrap();
    assert_eq!((link.kind, link.target.as_deref()), (Some(Kind::Symlink), Some(b"/etc/passwd".as_slice())));

    let found = session.lookup(&node("etc"), b"passwd").unwrap();
    assert_eq!(found, Some(node("etc/passwd")));
    assert_eq!(session.lookup(&node("etc"), b"PASSWD").unwrap(), None);
    assert_eq!(session.lookup(&node("etc"), b"..").unwrap(), None);
    let extents = session.extents(&node("etc/passwd"), &Stream::Content).unwrap();
    assert_eq!(extents, [Extent { start: 0, len: 5, place: Place::Metadata }]);
    assert!(read(session.as_mut(), &node("pipe")).unwrap_err().contains("not a regular file"));
}

#[test]
fn links_are_never_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"x").unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
    let host = HostDir::open(folder.path(), false).unwrap();
    let mut session = host.session().unwrap();
    for path in ["out/secret", "file", "../secret", "/etc/passwd"] {
        assert!(read(session.as_mut(), &node(path)).is_err(), "{path}");
    }
    assert!(session.list(&node("out"), &mut |_| ControlFlow::Continue(())).is_err());
    assert!(session.metadata(&node("out/secret")).is_err());
}

#[test]
fn names_need_not_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = tempfile::tempdir().unwrap();
    let name = b"caf\xe9\n";
    std::fs::write(folder.path().join(OsStr::from_bytes(name)), b"1").unwrap();
    let host = HostDir::open(folder.path(), false).unwrap();
    let mut session = host.session().unwrap();
    let found = session.lookup(&node(""), name).unwrap().unwrap();
    assert_eq!(found, NodeId::Path(name.as_slice().into()));
    assert_eq!(session.metadata(&found).unwrap().size, 1);
}

#[test]
fn attributes_are_those_that_were_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = File::create(&path).unwrap();
    let set = rustix::fs::fsetxattr(&file, "user.note", b"hello", rustix::fs::XattrFlags::empty());
    if set.is_err() {
        println!("skipped: no user attributes in {}", folder.path().display());
        return;
    }
    let host = HostDir::open(folder.path(), false).unwrap();
    let metadata = host.session().unwrap().metadata(&node("file")).unwrap();
    assert!(
        metadata.xattrs.iter().any(|xattr| (xattr.name.as_slice(), xattr.value.as_slice()) == (b"user.note", b"hello"))
    );
    assert!(metadata.faults.is_empty());
}

/// Does something to the file while it is read, and counts holes.
struct Meddler<F: FnMut()> {
    meddle: F,
    holes: u64,
    len: u64,
}

impl<F: FnMut()> Sink for Meddler<F> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        (self.meddle)();
        self.len += bytes.len() as u64;
        ControlFlow::Continue(())
    }
    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        self.holes += len;
        self.len += len;
        ControlFlow::Continue(())
    }
}

#[test]
fn a_file_that_changes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let change: [fn(&File); 3] = [
        |file| file.set_len(10).unwrap(),
        |file| file.write_all_at(b"x", 5_000_000).unwrap(),
        |file| file.write_all_at(b"x", 100).unwrap(),
    ];
    for change in change {
        std::fs::write(&path, vec![1; 3_000_000]).unwrap();
        let host = HostDir::open(folder.path(), false).unwrap();
        let mut session = host.session().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        // File times move with the clock's tick.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut meddler = Meddler { meddle: || change(&file), holes: 0, len: 0 };
        let error = session.read(&node("file"), &Stream::Content, &mut meddler).unwrap_err().to_string();
        assert!(error.contains("changed while it was read"), "{error}");
    }
}

#[test]
fn holes_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("sparse")).unwrap();
    file.write_all_at(&[1; 4096], 1 << 30).unwrap();
    file.set_len(1 << 31).unwrap();
    let host = HostDir::open(folder.path(), false).unwrap();
    let mut sink = Meddler { meddle: || (), holes: 0, len: 0 };
    host.session().unwrap().read(&node("sparse"), &Stream::Content, &mut sink).unwrap();
    assert_eq!((sink.len, sink.holes), (1 << 31, (1 << 31) - 4096));
    let extents = host.session().unwrap().extents(&node("sparse"), &Stream::Content).unwrap();
    let extents: Vec<_> = extents.iter().map(|extent| (extent.start, extent.len, extent.place)).collect();
    let (half, rest) = (1 << 30, (1 << 30) - 4096);
    let expected = [(0, half, Place::Hole), (half, 4096, Place::Metadata), (half + 4096, rest, Place::Hole)];
    assert_eq!(extents, expected);
}

#[test]
fn other_filesystems_are_not_entered() {
    // /proc is mounted wherever Linux runs; from / it is another filesystem.
    let host = HostDir::open(std::path::Path::new("/"), false).unwrap();
    let mut session = host.session().unwrap();
    let mut entries = 0;
    session
        .list(&node("proc"), &mut |_| {
            entries += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(entries, 0);
    assert_eq!(session.metadata(&node("proc")).unwrap().kind, Some(Kind::Dir));
    assert_eq!(host.late_notes(), ["proc: something else is mounted here; it was not entered"]);

    let crossing = HostDir::open(std::path::Path::new("/"), true).unwrap();
    let mut session = crossing.session().unwrap();
    assert!(session.lookup(&node("proc"), b"self").is_ok_and(|found| found.is_some()));
    // Files of /proc say that they are empty and are not.
    assert!(read(session.as_mut(), &node("proc/version")).is_err());
    assert!(crossing.late_notes().is_empty());
}
