//! A state must not lie inside what it is about: it would see itself change, and would end with the machine.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Where the kernel tells what a block device is made of.
const DEVICES: &str = "/sys/dev/block";

/// Devices and files of loop devices that may lie beneath each other.
const DEPTH: usize = 32;

/// Refuses a state directory that lies in a target, or will once it is made: in a directory, on a filesystem of a
/// block device, or on one that a loop device shows of an image file. To be asked before anything is made there:
/// nothing ever writes to a target.
///
/// # Errors
/// [`Error::Usage`] when it does.
pub fn refuse_inside(state: &Path, target: &Path) -> Result<()> {
    let Ok(metadata) = fs::metadata(target) else { return Ok(()) };
    let asked = Asked { target: Identity::of(&metadata), devices: Path::new(DEVICES) };
    if resolved(state).is_some_and(|state| asked.holds(&state, DEPTH)) {
        return Err(Error::Usage(format!(
            "the state directory lies inside the target {}; keep it elsewhere",
            target.display()
        )));
    }
    Ok(())
}

/// What a target is, whatever it is called: a directory has another name behind a bind mount, a disk has several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// A directory or a file: its filesystem's device and its inode there.
    Inode(u64, u64),
    /// A block device.
    Device(u64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        if metadata.file_type().is_block_device() {
            Self::Device(metadata.rdev())
        } else {
            Self::Inode(metadata.dev(), metadata.ino())
        }
    }
}

/// The question whether what is written to a place is written to a target.
struct Asked<'a> {
    target: Identity,
    /// What a folder for each block device is in, by number.
    devices: &'a Path,
}

impl Asked<'_> {
    /// Whether a path without links leads into the target: through one of the directories above it, or through the
    /// device that it is on.
    fn holds(&self, path: &Path, depth: usize) -> bool {
        let mut there = path.ancestors().filter_map(|above| fs::metadata(above).ok()).peekable();
        let device = there.peek().map(|it| if it.file_type().is_block_device() { it.rdev() } else { it.dev() });
        there.any(|above| Identity::of(&above) == self.target)
            || device.is_some_and(|device| self.carries(device, depth))
    }

    /// Whether a block device is the target, or rests on it: as a partition, by the device mapper, or as a loop
    /// device of a file.
    fn carries(&self, device: u64, depth: usize) -> bool {
        if self.target == Identity::Device(device) {
            return true;
        }
        let Some(depth) = depth.checked_sub(1) else { return false };
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let Ok(node) = fs::canonicalize(self.devices.join(format!("{major}:{minor}"))) else { return false };
        let whole = node.parent().filter(|_| node.join("partition").exists());
        let parts = fs::read_dir(node.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut beneath = whole.map(Path::to_owned).into_iter().chain(parts);
        beneath.any(|node| number(&node).is_some_and(|device| self.carries(device, depth)))
            || backing_file(&node).is_some_and(|file| self.holds(&file, depth))
    }
}

/// The number of the block device that a folder of the kernel's tree is about.
fn number(node: &Path) -> Option<u64> {
    let text = fs::read_to_string(node.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The file that a loop device shows.
fn backing_file(node: &Path) -> Option<PathBuf> {
    let mut path = fs::read(node.join("loop/backing_file")).ok()?;
    path.pop_if(|last| *last == b'\n');
    Some(OsString::from_vec(path).into())
}

/// The path without links and `..`, as it will be once what is missing of it is made.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut at = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        if component == Component::ParentDir {
            at.pop();
            continue;
        }
        at.push(component);
        if let Ok(real) = fs::canonicalize(&at) {
            at = real;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_inside_a_directory_target_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (target, state) = (dir.path().join("root"), dir.path().join("root/var/state"));
        fs::create_dir(&target).unwrap();
        assert_eq!(refuse_inside(&state, &target).unwrap_err().exit_code(), 2);
        assert!(refuse_inside(&target, &target).is_err());
        assert!(refuse_inside(&dir.path().join("root2"), &target).is_ok());
        assert!(refuse_inside(dir.path(), &target).is_ok());
        std::os::unix::fs::symlink(&target, dir.path().join("link")).unwrap();
        assert!(refuse_inside(&dir.path().join("link/state"), &target).is_err());
        assert!(refuse_inside(&state, &dir.path().join("link")).is_err());
        // Directories that are to be made on the way count as if they were there.
        assert!(refuse_inside(&dir.path().join("absent/../root/state"), &target).is_err());
        assert!(refuse_inside(&target.join("absent/../../state"), &target).is_ok());
        fs::write(dir.path().join("disk.raw"), b"x").unwrap();
        assert!(refuse_inside(dir.path(), &dir.path().join("disk.raw")).is_ok());
    }

    #[test]
    fn a_state_is_refused_behind_another_name_of_the_target() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        // Nothing is known here of how the target is called, as behind a bind mount.
        let asked = |path: &Path| Asked {
            target: Identity::of(&fs::metadata(path).unwrap()),
            devices: Path::new("/nonexistent"),
        };
        assert!(asked(&tree).holds(&tree.join("absent/state"), DEPTH));
        assert!(!asked(&tree).holds(&dir.path().join("absent/state"), DEPTH));
    }

    #[test]
    fn a_state_on_a_loop_device_of_the_target_is_refused() {
        let (on, sys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (image, other) = (sys.path().join("lp.img"), sys.path().join("other.img"));
        for file in [&image, &other] {
            fs::write(file, b"x").unwrap();
        }
        // The kernel's tree, as if the device that the state is to be on were the first partition of a loop device.
        let device = fs::metadata(on.path()).unwrap().dev();
        let name = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        for (node, number) in [("loop7", "7:7"), ("loop7/loop7p1", name.as_str())] {
            fs::create_dir_all(sys.path().join(node)).unwrap();
            fs::write(sys.path().join(node).join("dev"), format!("{number}\n")).unwrap();
            std::os::unix::fs::symlink(node, sys.path().join(number)).unwrap();
        }
        fs::write(sys.path().join("loop7/loop7p1/partition"), b"1\n").unwrap();
        fs::create_dir(sys.path().join("loop7/loop")).unwrap();
        fs::write(sys.path().join("loop7/loop/backing_file"), format!("{}\n", image.display())).unwrap();

        let is_inside = |target| Asked { target, devices: sys.path() }.holds(&on.path().join("absent/state"), DEPTH);
        assert!(is_inside(Identity::of(&fs::metadata(&image).unwrap())));
        assert!(!is_inside(Identity::of(&fs::metadata(&other).unwrap())));
        assert!(is_inside(Identity::Device(rustix::fs::makedev(7, 7))), "the whole loop device");
        // What a loop device shows of a file in a directory is written to that directory.
        assert!(is_inside(Identity::of(&fs::metadata(sys.path()).unwrap())));
    }
}
