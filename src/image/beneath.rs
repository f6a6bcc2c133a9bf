//! Opening what an image names: backing, parent, data and extent files.
//!
//! The name comes from the image, so it may be anything. A named file is opened only beneath the directory of
//! the image that the user named, or beneath the one that `--image-root` names; the kernel enforces it
//! (`openat2`, `RESOLVE_BENEATH`), and where it cannot, a walk that follows no link does. A chain that comes
//! back to a file of its own, or that is longer than [`MAX_DEPTH`], is refused.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{
    ffi::OsStr,
    fs::File,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    image::{Image, Raw, host_file::HostFile, mapped::FileId, probe::FileUsed},
};

/// Files that may stand on one another: a chain this long is no backup scheme, it is an attack.
pub(crate) const MAX_DEPTH: usize = 64;

/// Longest name that is looked at; Linux's own limit of a path.
const MAX_NAME: usize = 4096;

/// A directory beneath which named files may be opened.
struct Root {
    /// Its names: as the user wrote it, made absolute, and with all links resolved.
    names: Vec<PathBuf>,
    directory: OwnedFd,
}

impl Root {
    fn open(path: &Path) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let failed = |source| Error::io("image", format!("the directory {}", path.display()), source);
        let resolved = path.canonicalize().map_err(failed)?;
        let written = normal(&std::path::absolute(path).map_err(failed)?);
        let directory = openat(CWD, &resolved, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| failed(e.into()))?;
        let names = if written == resolved { vec![resolved] } else { vec![resolved, written] };
        Ok(Self { names, directory })
    }

    fn relative<'a>(&self, absolute: &'a Path) -> Option<&'a Path> {
        self.names.iter().find_map(|name| absolute.strip_prefix(name).ok()).filter(|rest| !rest.as_os_str().is_empty())
    }
}

/// Where a file of a chain stands: what it may open, and what has been opened on the way to it.
#[derive(Clone)]
pub(crate) struct Place {
    roots: Arc<Vec<Root>>,
    /// The file's path, absolute where a named file is looked for from it.
    path: PathBuf,
    chain: Vec<(FileId, PathBuf)>,
}

impl Place {
    /// The place of the file that the user named.
    pub(crate) fn of(file: &HostFile, image_root: Option<&Path>) -> Result<Self> {
        let shown = file.raw.path();
        let failed = |source| Error::io("image", shown.display().to_string(), source);
        let resolved = shown.canonicalize().map_err(failed)?;
        let mut roots = vec![Root::open(shown.parent().unwrap_or(Path::new("/")))?];
        let own = roots.first().and_then(|root| root.names.first()).cloned().unwrap_or_default();
        // An image that was named by a link has two directories; the user stands behind both.
        if let Some(parent) = resolved.parent()
            && parent != own
        {
            roots.push(Root::open(parent)?);
        }
        if let Some(root) = image_root {
            roots.push(Root::open(root)?);
        }
        let path = shown.file_name().map_or(resolved, |name| own.join(name));
        Ok(Self { roots: Arc::new(roots), path: path.clone(), chain: vec![(file.id, path)] })
    }

    /// The path of the file that stands here, as messages show it.
    pub(crate) fn shown(&self) -> String {
        self.path.to_string_lossy().escape_debug().to_string()
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that stands here.
    pub(crate) fn id(&self) -> FileId {
        self.chain.last().map_or(FileId { device: 0, inode: 0 }, |(id, _)| *id)
    }

    /// `file`, which stands here, as the list of files shows it.
    pub(crate) fn used(&self, file: &HostFile) -> FileUsed {
        FileUsed { path: self.path.clone(), size: file.len() }
    }

    /// Opens the `role` that the file here calls `name`, which comes from the image and may be anything.
    pub(crate) fn open(&self, layer: &'static str, role: &str, name: &[u8]) -> Result<(HostFile, Self)> {
        let what = || format!("{role} '{}' named by '{}'", String::from_utf8_lossy(name).escape_debug(), self.shown());
        if self.chain.len() >= MAX_DEPTH {
            return Err(Error::budget(layer, format!("{}: the chain is longer than {MAX_DEPTH} files", what())));
        }
        if name.is_empty() || name.len() > MAX_NAME || name.contains(&0) {
            return Err(Error::corrupt(layer, what(), "this is no name of a file"));
        }
        let named = Path::new(OsStr::from_bytes(name));
        let mut missing = None;
        for (root, relative) in self.candidates(named) {
            match open_beneath(&root.directory, &relative) {
                Ok(fd) => return self.step(layer, &what, fd, &root.names, &relative),
                Err(Errno::NOENT | Errno::NOTDIR) => missing = Some(Errno::NOENT),
                // Leaves the directory on the way, by `..` or by a link.
                Err(Errno::XDEV | Errno::LOOP) => {}
                Err(error) => return Err(Error::io(layer, what(), error.into())),
            }
        }
        Err(match missing {
            Some(error) => Error::io(layer, what(), error.into()),
            None => Error::unsupported(
                layer,
                format!(
                    "{} lies outside the image's directory and is not opened; \
                     if it belongs to the image, name its directory with --image-root",
                    what()
                ),
            ),
        })
    }

    /// Whether a file of this name beside the file here can be opened.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let named = Path::new(OsStr::from_bytes(name));
        self.candidates(named).iter().any(|(root, relative)| open_beneath(&root.directory, relative).is_ok())
    }

    /// Where `named` may lie: below each root that holds it, from the naming file's own directory if it is a
    /// relative name, and then from each root itself.
    fn candidates(&self, named: &Path) -> Vec<(&Root, PathBuf)> {
        let absolute = normal(&self.path.parent().unwrap_or(Path::new("/")).join(named));
        let mut candidates: Vec<(&Root, PathBuf)> =
            self.roots.iter().filter_map(|root| Some((root, root.relative(&absolute)?.to_owned()))).collect();
        if named.is_relative() {
            candidates.extend(self.roots.iter().map(|root| (root, named.to_owned())));
        }
        candidates
    }

    fn step(
        &self,
        layer: &'static str,
        what: &dyn Fn() -> String,
        fd: OwnedFd,
        root: &[PathBuf],
        relative: &Path,
    ) -> Result<(HostFile, Self)> {
        let stat = fstat(&fd).map_err(|error| Error::io(layer, what(), error.into()))?;
        // A device or a pipe is never what an image stands on, unless the user says so by naming it.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::unsupported(layer, format!("{} is not a regular file", what())));
        }
        let path = root.first().map(|root| root.join(relative)).unwrap_or_default();
        let file = HostFile::new(Raw::from_file(File::from(fd), &path)?)?;
        if let Some((_, before)) = self.chain.iter().find(|(id, _)| *id == file.id) {
            return Err(Error::corrupt(
                layer,
                what(),
                format!("the chain comes back to '{}'", before.to_string_lossy().escape_debug()),
            ));
        }
        let mut chain = self.chain.clone();
        chain.push((file.id, path.clone()));
        Ok((file, Self { roots: Arc::clone(&self.roots), path: normal(&path), chain }))
    }
}

/// The path without `.` and `..`, by its letters alone; what is opened is checked again by the kernel.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn open_beneath(directory: &OwnedFd, relative: &Path) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(directory, relative, OPEN, Mode::empty(), resolve) {
        // Older kernels do not have the call, and some sandboxes forbid it.
        Err(Errno::NOSYS | Errno::PERM) => walk_beneath(directory, relative),
        // A rename raced with the walk.
        Err(Errno::AGAIN) => openat2(directory, relative, OPEN, Mode::empty(), resolve),
        other => other,
    }
}

/// The same without `openat2`: component by component, no link followed, `..` only as far as the way went down.
fn walk_beneath(directory: &OwnedFd, relative: &Path) -> Result<OwnedFd, Errno> {
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut components = relative.components().filter(|c| *c != Component::CurDir).peekable();
    while let Some(component) = components.next() {
        match component {
            Component::Normal(name) => {
                let flags = if components.peek().is_some() {
                    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
                } else {
                    OPEN | OFlags::NOFOLLOW
                };
                way.push(openat(way.last().unwrap_or(directory), name, flags, Mode::empty())?);
            }
            Component::ParentDir => {
                way.pop().ok_or(Errno::XDEV)?;
            }
            _ => return Err(Errno::XDEV),
        }
    }
    way.pop().ok_or(Errno::XDEV)
}

/// The name of a file as Windows writes it, as this host writes it: backslashes become slashes, a drive or a
/// server at the front makes it absolute, and then only its last part is of use here.
pub(crate) fn from_windows(name: &[u8]) -> Vec<u8> {
    let slashed: Vec<u8> = name.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let drive = slashed.get(1) == Some(&b':') && slashed.first().is_some_and(u8::is_ascii_alphabetic);
    if drive || slashed.starts_with(b"//") {
        return slashed.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    }
    slashed
}

/// The text of UTF-16 code units up to the first NUL, at most as long as a path may be.
pub(crate) fn utf16(units: impl Iterator<Item = u16>) -> String {
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).take(MAX_NAME).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn place(path: &Path, root: Option<&Path>) -> Place {
        Place::of(&HostFile::new(Raw::open(path).unwrap()).unwrap(), root).unwrap()
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("own/top", "top"), ("own/sub/base", "base"), ("beside/other", "other")] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn content(opened: Result<(HostFile, Place)>) -> Result<String, String> {
        let (file, _) = opened.map_err(|e| e.to_string())?;
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
        file.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_named_file_is_opened_beneath_the_image_and_nowhere_else() {
        let dir = tree();
        let own = dir.path().join("own");
        symlink("../beside/other", own.join("out")).unwrap();
        symlink("sub/base", own.join("in")).unwrap();
        let top = place(&own.join("top"), None);
        let open = |name: &str| content(top.open("qcow2", "backing file", name.as_bytes()));

        assert_eq!(open("sub/base").unwrap(), "base");
        assert_eq!(open("./sub/../sub/base").unwrap(), "base");
        assert_eq!(open("in").unwrap(), "base", "a link that stays beneath");
        assert_eq!(open(own.join("sub/base").to_str().unwrap()).unwrap(), "base", "an absolute name beneath");
        for outside in ["/etc/passwd", "../beside/other", "out", "sub/../../beside/other", "/proc/self/exe"] {
            let error = open(outside).unwrap_err();
            assert!(error.contains("outside the image's directory"), "{outside}: {error}");
            assert!(error.contains(&format!("'{outside}'")) && error.contains("own/top'"), "names both: {error}");
        }
        assert!(open("absent").unwrap_err().contains("No such file"));
        assert!(open("sub").unwrap_err().contains("not a regular file"));
        assert!(open("a\0b").unwrap_err().contains("no name of a file"));
    }

    #[test]
    fn image_root_opens_one_more_directory() {
        let dir = tree();
        let top = place(&dir.path().join("own/top"), Some(&dir.path().join("beside")));
        let absolute = dir.path().join("beside/other");
        for name in ["../beside/other", "other", absolute.to_str().unwrap()] {
            assert_eq!(content(top.open("qcow2", "backing file", name.as_bytes())).unwrap(), "other", "{name}");
        }
        assert!(content(top.open("qcow2", "backing file", b"/etc/passwd")).is_err());
    }

    #[test]
    fn loops_and_long_chains_are_refused() {
        let dir = tree();
        let own = dir.path().join("own");
        let top = place(&own.join("top"), None);
        let error = content(top.open("qcow2", "backing file", b"top")).unwrap_err();
        assert!(error.contains("the chain comes back to"), "{error}");

        let mut at = top;
        for depth in 1..MAX_DEPTH {
            fs::write(own.join(depth.to_string()), "layer").unwrap();
            at = at.open("qcow2", "backing file", depth.to_string().as_bytes()).unwrap().1;
        }
        fs::write(own.join("last"), "layer").unwrap();
        let error = content(at.open("qcow2", "backing file", b"last")).unwrap_err();
        assert!(error.contains("longer than 64"), "{error}");
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let dir = tree();
        let own = dir.path().join("own");
        symlink("sub/base", own.join("in")).unwrap();
        symlink("..", own.join("up")).unwrap();
        let root = Root::open(&own).unwrap();
        let open = |name: &str| walk_beneath(&root.directory, Path::new(name));
        assert!(open("sub/base").is_ok() && open("sub/../top").is_ok() && open("./top").is_ok());
        for refused in ["in", "up/beside/other", "../beside/other", "sub/../../beside/other", "/etc/passwd", "."] {
            assert!(open(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn names_of_windows_become_names_of_this_host() {
        assert_eq!(from_windows(br".\sub\base.vhd"), b"./sub/base.vhd");
        assert_eq!(from_windows(br"C:\VMs\base.vhd"), b"base.vhd");
        assert_eq!(from_windows(br"\\server\share\base.vhd"), b"base.vhd");
    }
}
