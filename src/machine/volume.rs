//! A volume of a machine: what is known of it by its disk, and the filesystem on it.

use std::sync::Arc;

use super::DiskPlace;
use crate::{fs::FileSystem, image::Image};

/// A volume of one of the machine's disks, as far as it is understood.
pub struct Volume {
    /// `@` and the partition's GUID, else the filesystem's id, else the byte offset.
    pub id: String,
    /// What the volume holds: `ext4`, `vfat`, `swap`, `unknown`.
    pub content: String,
    /// The filesystem's or container's own id.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// The partition's GUID, or disk signature and number, as `blkid` prints PARTUUID.
    pub part_uuid: Option<String>,
    /// The partition's name in a GPT.
    pub part_label: Option<String>,
    /// The partition's type: a lower-case GUID, or two hexadecimal digits.
    pub part_kind: Option<String>,
    /// Names by which the system may call it besides: `mapper/vg-lv`, `vg/lv`, `md0`, without `/dev/`.
    pub device_names: Vec<String>,
    /// Which of the machine's disks it lies on, counted from 0, and the partition's number.
    pub place: Option<(usize, u32)>,
    /// Where it begins on that disk, in bytes.
    pub offset: u64,
    /// The disk and the byte there where it begins; `None` for one that was assembled from others.
    pub start: Option<(usize, u64)>,
    /// Its bytes; `None` for a directory or a file of this host.
    pub image: Option<Arc<dyn Image>>,
    /// Its size in bytes.
    pub size: u64,
    /// The identity of its disk in the partition table: a GPT disk GUID or an MBR signature.
    pub disk_id: Option<String>,
    /// Of one behind a key: what tells apart what two keys show of the same bytes.
    pub behind: Option<[u8; 32]>,
    /// Its bytes lie in a pool, and anywhere else in it tomorrow.
    pub is_pooled: bool,
    /// Whether it was read.
    pub state: State,
    /// What of it is not covered although it was read: another signature, a journal that could not be replayed.
    pub gaps: Vec<String>,
    /// The filesystem, where it is one that can be read.
    pub fs: Option<Arc<dyn FileSystem>>,
}

impl Volume {
    /// A volume that lies on no disk: all that is known of it is its filesystem.
    #[must_use]
    pub fn alone(id: &str, fs: Arc<dyn FileSystem>) -> Self {
        let info = fs.info();
        Self {
            id: id.to_owned(),
            content: info.fs.to_owned(),
            uuid: info.id.clone(),
            label: info.label.clone(),
            part_uuid: None,
            part_label: None,
            part_kind: None,
            device_names: Vec::new(),
            place: None,
            offset: 0,
            start: None,
            image: None,
            size: 0,
            disk_id: None,
            behind: None,
            is_pooled: false,
            state: State::Read,
            gaps: Vec::new(),
            fs: Some(fs),
        }
    }

    /// Where the bytes from `offset` on lie on a disk. `None` where they lie on none.
    #[must_use]
    pub fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        self.image.as_ref()?.disk_place(offset)
    }
}

/// Whether a volume was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is a filesystem and can be read.
    Read,
    /// It is known for what it is, and holds no files: swap, an empty partition.
    Note(String),
    /// It could not be read, and why.
    Gap(String),
}
