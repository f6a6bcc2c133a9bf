//! What both formats of a member's superblock say.

use crate::guid;

/// What a member is in its array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The member with this number.
    Active(u16),
    /// Nothing: a spare, or one that failed.
    Idle,
}

/// A member's superblock.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    /// The array's id, in the order of bytes in which it is printed.
    pub(super) array: [u8; 16],
    /// Where it stands on its member, in bytes.
    pub(super) at: u64,
    /// `0.90`, `1.0`, `1.1`, `1.2`.
    pub(super) version: &'static str,
    /// `HOST:NAME`, `NAME`, or nothing.
    pub(super) name: String,
    /// The minor number of the array, in the format 0.90.
    pub(super) minor: Option<u32>,
    pub(super) level: i32,
    /// Members when the array is whole.
    pub(super) members: u32,
    /// What each member gives to an array with redundancy, in bytes.
    pub(super) size: u64,
    /// Where the data begin on this member, in bytes.
    pub(super) data_offset: u64,
    /// The room for data on this member, in bytes.
    pub(super) data_size: u64,
    /// Data are dealt in chunks of so many bytes; 0 where that has no meaning.
    pub(super) chunk: u64,
    /// Grows with every change of the array's state.
    pub(super) events: u64,
    /// The number under which `roles` knows this member.
    pub(super) number: usize,
    /// The role of each member, as this one knows it.
    pub(super) roles: Vec<Role>,
    /// Why it does not hold all that the array holds.
    pub(super) unsound: Option<&'static str>,
    /// Its layout is being changed.
    pub(super) reshaping: bool,
}

impl Superblock {
    /// The array's id, as `blkid` prints it.
    pub(super) fn array_id(&self) -> Option<String> {
        guid::given(self.array).map(guid::uuid)
    }
}
