//! What a target may ask of the scanner at most. Each has a flag on the command line.

/// Limits against hostile input. Reaching one is a fault, or an error where nothing sensible is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Bytes of holes hashed in one file.
    pub hole_bytes: u64,
    /// Bytes of holes hashed in all files.
    pub total_hole_bytes: u64,
    /// Bytes hashed in all files besides; [`Budgets::for_target`] says how many where nobody does, else there is no limit.
    pub total_bytes: Option<u64>,
    /// Directories or keys beneath each other.
    pub depth: usize,
    /// Entries of one directory.
    pub entries: u64,
    /// Bytes of one hive.
    pub hive_bytes: usize,
    /// Records of one manifest.
    pub records: u64,
    /// Bytes of memory for sorting records, all workers together.
    pub memory: usize,
}

impl Budgets {
    /// What an honest machine is content with.
    pub const DEFAULT: Self = Self {
        hole_bytes: 64 << 30,
        total_hole_bytes: 1 << 40,
        total_bytes: None,
        depth: 1024,
        entries: 4_000_000,
        hive_bytes: 1 << 30,
        records: 100_000_000,
        memory: 64 << 20,
    };

    /// What all files of a target may come to at least, in bytes: 13 minutes of a core.
    const LEAST_BYTES: u64 = 1 << 40;

    /// How many times what a target holds its files may come to. Blocks that XFS shares, compressed clusters and zeros
    /// that a container does not store make more of them than there is.
    const SHARING: u64 = 64;

    /// For a target that holds so many bytes.
    #[must_use]
    pub fn for_target(self, bytes: u64) -> Self {
        let most = bytes.saturating_mul(Self::SHARING).max(Self::LEAST_BYTES);
        Self { total_bytes: self.total_bytes.or(Some(most)), ..self }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::DEFAULT
    }
}
