//! A partition as its table describes it, and what a table says as a whole.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

/// More partitions than this on one disk are not read; the rest is a gap.
pub const MAX_PARTITIONS: usize = 1024;

/// Which kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// GUID partition table.
    Gpt,
    /// Master boot record, with logical partitions.
    Mbr,
}

impl TableKind {
    /// As people and `blkid` call it, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "mbr",
        }
    }
}

/// One entry of a partition table. Offsets and lengths are in bytes, as the table claims them: the end may lie
/// past the end of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The number in device names (`sda1`): the slot in a GPT; 1 to 4, and from 5 for logical ones, in an MBR.
    pub number: u32,
    /// The table it stands in.
    pub table: TableKind,
    /// The type: a lower-case GUID, or two hexadecimal digits.
    pub kind: String,
    /// The name that a GPT keeps (PARTLABEL).
    pub name: Option<String>,
    /// PARTUUID as `blkid` prints it: a lower-case GUID, or `<disk signature>-<number>` in hexadecimal.
    pub uuid: Option<String>,
    /// Where it begins on the disk.
    pub start: u64,
    /// Its length.
    pub len: u64,
}

impl Partition {
    /// Where it ends on the disk.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Whether this byte of the disk belongs to it.
    pub(super) fn covers(&self, at: u64) -> bool {
        (self.start..self.end()).contains(&at)
    }

    /// How messages call it.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} partition {} at {:#x}", self.table.name(), self.number, self.start)
    }
}

/// A part of the disk that could not be read or made sense of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins on the disk, in bytes.
    pub start: u64,
    /// Its length in bytes; 0 where that is not known.
    pub len: u64,
    /// What it is.
    pub why: String,
}

impl Gap {
    /// A reason, and behind it what could not be read besides.
    pub(super) fn list<'g>(why: String, gaps: impl IntoIterator<Item = &'g Self>) -> String {
        gaps.into_iter().fold(why, |why, gap| why + "; " + &gap.why)
    }
}

/// What was learned from one partition table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) partitions: Vec<Partition>,
    pub(super) notes: Vec<String>,
    pub(super) gaps: Vec<Gap>,
}

impl Table {
    pub(super) fn gap(&mut self, start: u64, len: u64, why: impl Into<String>) {
        self.gaps.push(Gap { start, len, why: why.into() });
    }

    /// Records which partitions of this table lie over each other; all of them are read all the same.
    pub(super) fn record_overlaps(&mut self) {
        let mut sorted: Vec<&Partition> = self.partitions.iter().collect();
        sorted.sort_by_key(|partition| (partition.start, partition.number));
        let mut gaps = Vec::new();
        let mut widest: Option<&Partition> = None;
        for partition in sorted {
            if let Some(before) = widest
                && before.end() > partition.start
            {
                gaps.push(Gap {
                    start: partition.start,
                    len: before.end().min(partition.end()).saturating_sub(partition.start),
                    why: format!("{} overlaps {}", partition.describe(), before.describe()),
                });
            }
            if widest.is_none_or(|before| partition.end() > before.end()) {
                widest = Some(partition);
            }
        }
        self.gaps.append(&mut gaps);
    }
}
