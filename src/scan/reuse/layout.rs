//! What disk coordinates mean: only where disks and volumes are what they were do the same numbers name the same
//! places.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::machine::DiskPlace;

/// The disks and volumes of a target, and the files that hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Its disks, in order.
    pub disks: Vec<DiskLayout>,
    /// The volumes on them.
    pub volumes: Vec<VolumeLayout>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayout {
    /// Its size in bytes.
    pub size: u64,
    /// The files that hold it, the one that was named first.
    pub files: Vec<FileState>,
    /// The snapshot inside the first file.
    pub snapshot: Option<SnapshotState>,
}

/// A file of the host, as it was when it was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Its absolute path, all links resolved.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified; of a device nothing is known, nor of a file that was written to a moment ago where
    /// times are too coarse to tell that from the next write.
    pub modified: Option<Timestamp>,
    /// Its inode's number: another file at the path is another file. The time of the inode's change is not kept, since
    /// hypervisors change owners and labels of the images that they use.
    #[serde(default)]
    pub inode: Option<u64>,
}

/// A snapshot inside an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotState {
    /// Its id in the image.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was taken, in seconds since 1970.
    pub seconds: u32,
    /// Nanoseconds behind that.
    #[serde(default)]
    pub nanos: u32,
    /// Where its table of clusters lies in the image: two that were taken one after the other may share id, name and
    /// time.
    #[serde(default)]
    pub table: u64,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeLayout {
    /// What the scan calls it.
    pub id: String,
    /// What it holds.
    pub content: String,
    /// The disk and the byte there where it begins; unknown for one that is assembled from others.
    pub start: Option<(usize, u64)>,
    /// Its size in bytes.
    pub size: u64,
    /// Of one that is assembled from others, the stretches of disks that it lies on, the first [`MAX_STRETCHES`].
    #[serde(default)]
    pub stretches: Vec<DiskPlace>,
    /// Of one behind a key, in hexadecimal: what tells apart what two keys show of the same bytes.
    #[serde(default)]
    pub behind: Option<String>,
}

/// Stretches of an assembled volume that are kept; one in more pieces is told apart by the first of them.
pub const MAX_STRETCHES: usize = 64;

impl Layout {
    /// Why places of `earlier` are not places of this one, in one line; `None` where they are.
    #[must_use]
    pub fn differs(&self, earlier: &Self) -> Option<String> {
        let sizes = |layout: &Self| layout.disks.iter().map(|disk| disk.size).collect::<Vec<_>>();
        let (now, before) = (sizes(self), sizes(earlier));
        if now != before {
            let listed = |sizes: &[u64]| sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Some(format!("the disks have {} bytes, had {} before", listed(&now), listed(&before)));
        }
        if self.volumes.len() != earlier.volumes.len() {
            let (now, before) = (self.volumes.len(), earlier.volumes.len());
            return Some(format!("there are {now} volumes, there were {before}"));
        }
        let other = self.volumes.iter().zip(&earlier.volumes).find(|(now, before)| now != before);
        other.map(|(now, _)| format!("volume {} is not what or where it was", now.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_was_moved_on_its_disks_is_not_where_it_was() {
        let layout = |offset| Layout {
            disks: Vec::new(),
            volumes: vec![VolumeLayout {
                id: "@id".to_owned(),
                content: "xfs".to_owned(),
                start: None,
                size: 4096,
                stretches: vec![DiskPlace { disk: 0, offset, len: 4096, behind: None }],
                behind: None,
            }],
        };
        assert_eq!(layout(0).differs(&layout(0)), None);
        assert_eq!(layout(0).differs(&layout(512)).unwrap(), "volume @id is not what or where it was");
        let mut behind_another_key = layout(0);
        behind_another_key.volumes[0].behind = Some("00".to_owned());
        assert!(layout(0).differs(&behind_another_key).is_some());
    }
}
