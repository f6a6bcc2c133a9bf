//! A state must not lie inside what it is about: it would see itself change, and would end with the machine.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses a state directory that lies in a target, or will once it is made: in a directory, or on a filesystem of a
/// block device. To be asked before anything is made there: nothing ever writes to a target.
///
/// # Errors
/// [`Error::Usage`] when it does.
pub fn refuse_inside(state: &Path, target: &Path) -> Result<()> {
    let Ok(metadata) = fs::metadata(target) else { return Ok(()) };
    let Some(state) = resolved(state) else { return Ok(()) };
    let inside = if metadata.is_dir() {
        fs::canonicalize(target).is_ok_and(|target| state.starts_with(target))
    } else if metadata.file_type().is_block_device() {
        let above = state.ancestors().find_map(|above| fs::metadata(above).ok());
        above.is_some_and(|above| is_on(above.dev(), metadata.rdev()))
    } else {
        false
    };
    if inside {
        return Err(Error::Usage(format!(
            "the state directory lies inside the target {}; keep it elsewhere",
            target.display()
        )));
    }
    Ok(())
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

/// Whether a filesystem's device is a disk or a partition of it, by the kernel's tree of devices.
fn is_on(filesystem: u64, disk: u64) -> bool {
    let node = |device: u64| {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))
    };
    filesystem == disk || matches!((node(filesystem), node(disk)), (Ok(part), Ok(whole)) if part.starts_with(&whole))
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
}
