//! Volumes. In comes the [`Image`] of a whole disk, out come its partitions, each with its place, its id and what is
//! in it; of the volumes of all disks, what lies on several of them is put together. This room knows how to tell
//! filesystems by their magic, and not how to read them.
//!
//! To add a partition table: a file here, and a line in [`discover`]. To add a kind of content: a row in
//! `content/signature.rs`. What makes volumes out of volumes (LVM2, MD, LUKS) takes those whose
//! [`Content::claims`](content::Content::claims) name it, and has a line in [`assemble()`]; a volume that it makes is
//! a [`Volume::assembled`].
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod assemble;
pub mod content;
mod crypt;
mod gpt;
mod lvm;
mod mbr;
mod md;
mod partition;
mod partitioned;
mod reasons;
mod segmented;

use std::{collections::BTreeSet, sync::Arc};

pub use self::assemble::assemble;
pub use self::crypt::{KeyLimits, Keys, MAX_KEY_FILE};
pub use self::partition::{Gap, MAX_PARTITIONS, Partition, TableKind};
use self::{content::Content, gpt::Gpt, mbr::Mbr, partition::Table};
use crate::{
    error::{Error, Result},
    image::{Image, Memory, Slice},
};

const LAYER: &str = "volume";

/// A disk as its partition tables describe it.
pub struct Disk {
    /// The disk's GUID in its GPT, in lower case.
    pub guid: Option<String>,
    /// The disk's signature in its MBR; Windows names partitions by it and their offset.
    pub signature: Option<u32>,
    /// The unit of its tables in bytes: 512 or 4096.
    pub sector_size: u64,
    /// Its volumes, by number; the whole disk when it has no partition table.
    pub volumes: Vec<Volume>,
    /// What is worth knowing and sets nothing.
    pub notes: Vec<String>,
    /// What could not be read or made sense of.
    pub gaps: Vec<Gap>,
}

/// A place that may hold a filesystem: a partition, a disk without partitions, or what was assembled from others.
#[derive(Clone)]
pub struct Volume {
    /// What the volume is called where nothing places it: `@` with the GUID of its GPT entry, else the id of what
    /// is in it, else its byte offset. Unique on its disk.
    pub id: String,
    /// Its bytes. Shorter than the partition when the image ends before it.
    pub image: Arc<dyn Image>,
    /// Where it begins on the disk, in bytes; `None` for one that was assembled from others.
    pub start: Option<u64>,
    /// The entry of the partition table.
    pub partition: Option<Partition>,
    /// What is in it.
    pub content: Content,
    /// Names of one that was assembled, beneath `/dev/`: `vg/lv`, `mapper/vg-lv`, `md0`.
    pub names: Vec<String>,
    /// What it is a part of, where that could be assembled.
    pub part_of: Option<String>,
    /// It is not to be read as a filesystem, whatever it looks like: its state says why.
    pub closed: bool,
    /// Of one behind a key: what tells apart what two keys show of the same bytes.
    pub behind: Option<[u8; 32]>,
    /// Its bytes lie in a pool, and anywhere else in it tomorrow.
    pub is_pooled: bool,
    /// Of a disk that is a member of an array as a whole: the partitions that it shows.
    shows: Option<Shown>,
    /// It is one of those, and nothing is made of it while the array may still be found.
    waits: bool,
}

/// The partitions that a member of an array shows, as the array's begin where the member begins.
#[derive(Clone)]
struct Shown {
    /// So many of the volumes behind the member in the list are these.
    partitions: usize,
    /// What their table does not give.
    gaps: Vec<Gap>,
}

impl Volume {
    /// What lies at `start` of a disk; zeros are looked for in its first `most` bytes.
    fn new(image: Arc<dyn Image>, start: u64, partition: Option<Partition>, most: u64) -> Self {
        let content = content::classify_within(image.as_ref(), partition.as_ref(), most);
        let guid = partition.as_ref().filter(|partition| partition.table == TableKind::Gpt);
        let guid = guid.and_then(|partition| partition.uuid.clone());
        let name = guid.or_else(|| content.id.clone()).unwrap_or_else(|| start.to_string());
        Self { start: Some(start), partition, ..Self::bare(format!("@{name}"), image, content) }
    }

    fn bare(id: String, image: Arc<dyn Image>, content: Content) -> Self {
        Self {
            id,
            image,
            start: None,
            partition: None,
            content,
            names: Vec::new(),
            part_of: None,
            closed: false,
            behind: None,
            is_pooled: false,
            shows: None,
            waits: false,
        }
    }

    /// A volume that was made out of others, as a logical volume; `uuid` is its own id there.
    #[must_use]
    pub fn assembled(image: Arc<dyn Image>, uuid: &str) -> Self {
        let content = content::classify(image.as_ref(), None);
        let name = content.id.clone().unwrap_or_else(|| uuid.to_owned());
        Self::bare(format!("@{name}"), image, content)
    }

    /// Takes the bytes behind the key in place of its own.
    fn reveal(&mut self, image: Arc<dyn Image>) {
        let opened = match self.start {
            Some(start) => Self::new(image, start, self.partition.take(), content::MAX_LOOKED_SHARED),
            None => Self::assembled(image, self.id.trim_start_matches('@')),
        };
        let ambiguous = self.content.ambiguous.take();
        *self = Self { start: self.start, names: std::mem::take(&mut self.names), ..opened };
        if let Some(why) = ambiguous {
            self.content.ambiguous.get_or_insert_default().push_str(&why);
        }
    }

    /// A volume that is known to be there and cannot be assembled: it has no bytes, and a gap in their place.
    fn refused(uuid: &str, why: String) -> Self {
        let mut volume = Self::assembled(Arc::new(Memory(Vec::new())), uuid);
        volume.id = format!("@{uuid}");
        volume.content.state = content::State::Gap(why);
        volume.closed = true;
        volume
    }

    /// Whether it may be such a part, as far as is known, and belongs to nothing yet.
    fn is_open(&self, claim: &str) -> bool {
        self.part_of.is_none() && !self.closed && !self.waits && self.content.claims.contains(&claim)
    }

    /// Gives up an id that came from its content, for what was assembled to have it.
    fn rename_by_place(&mut self) {
        let own = self.partition.as_ref().is_some_and(|p| p.table == TableKind::Gpt && p.uuid.is_some());
        if let (Some(start), false) = (self.start, own) {
            self.id = format!("@{start}");
        }
    }
}

/// Finds the volumes of one disk.
///
/// Where the disk carries both an MBR with partitions of its own and a GPT, the volumes of both are found.
///
/// # Errors
/// When the first sector cannot be read.
pub fn discover(image: &Arc<dyn Image>) -> Result<Disk> {
    if image.is_empty() {
        return Err(Error::corrupt(LAYER, "offset 0", "the disk has no bytes"));
    }
    let gpt = gpt::read(image.as_ref()).filter(|gpt| !is_of_array(image.as_ref(), gpt));
    let (mbr, mbr_unit) = match &gpt {
        Some(gpt) => (mbr::read(image.as_ref(), gpt.sector_size)?, gpt.sector_size),
        None => read_mbr(image)?,
    };
    let mut disk = Disk {
        guid: gpt.as_ref().and_then(|gpt| gpt.disk.clone()),
        signature: mbr.as_ref().and_then(|mbr| mbr.signature),
        sector_size: mbr_unit,
        volumes: Vec::new(),
        notes: Vec::new(),
        gaps: Vec::new(),
    };
    let has_table = gpt.is_some() || mbr.is_some();
    let table = merge(gpt, mbr);
    disk.notes = table.notes;
    disk.gaps = table.gaps;
    let claimed = table.partitions.iter().fold(0_u64, |sum, partition| sum.saturating_add(partition.len));
    let most = if claimed > image.len() { content::MAX_LOOKED_SHARED } else { content::MAX_LOOKED };
    for partition in table.partitions {
        disk.push(image, partition, most)?;
    }
    disk.look_at_whole(image, has_table);
    disk.make_ids_unique();
    Ok(disk)
}

/// Whether a table is the end of that of an array of which the disk is a member: its header says that it stands as many
/// bytes earlier as the array begins behind the member's beginning. Then it is read where the array is.
fn is_of_array(image: &dyn Image, gpt: &Gpt) -> bool {
    gpt.moved
        .filter(|moved| *moved > 0)
        .is_some_and(|moved| md::place(image).is_some_and(|member| member.data == moved))
}

/// Reads an MBR whose unit is not known: 512 bytes, unless only 4096 leads to something that is recognised.
fn read_mbr(image: &Arc<dyn Image>) -> Result<(Option<Mbr>, u64)> {
    const UNITS: [u64; 2] = [512, 4096];
    let mut first = None;
    for unit in UNITS {
        let Some(mbr) = mbr::read(image.as_ref(), unit)? else { return Ok((None, unit)) };
        let recognised = mbr
            .table
            .partitions
            .iter()
            .any(|partition| slice(image, partition).is_ok_and(|slice| !content::claims(&slice).is_empty()));
        if recognised {
            return Ok((Some(mbr), unit));
        }
        first.get_or_insert((Some(mbr), unit));
    }
    Ok(first.unwrap_or((None, 512)))
}

/// One list of partitions out of two tables, which may contradict each other.
fn merge(gpt: Option<Gpt>, mbr: Option<Mbr>) -> Table {
    let (gpt, mbr) = match (gpt, mbr) {
        (None, None) => return Table::default(),
        (Some(gpt), None) => {
            let mut table = gpt.table;
            table.notes.push("gpt: no protective mbr in sector 0".to_owned());
            return table;
        }
        (None, Some(mbr)) => {
            let mut table = mbr.table;
            if mbr.protective {
                table.gap(0, 0, "mbr: it protects a gpt, and there is none");
            }
            return table;
        }
        (Some(gpt), Some(mbr)) => (gpt, mbr),
    };
    let mbr_rules = !mbr.protective && !mbr.table.partitions.is_empty();
    if mbr_rules && !(gpt.holds && gpt.primary_signed) {
        let mut table = mbr.table;
        table.notes.push("gpt: remains of one, which the mbr does not protect; it was not used".to_owned());
        return table;
    }
    let mut table = gpt.table;
    table.notes.extend(mbr.table.notes);
    table.gaps.extend(mbr.table.gaps);
    for partition in mbr.table.partitions {
        let same = |other: &Partition| (other.start, other.len) == (partition.start, partition.len);
        if !table.partitions.iter().any(same) {
            table.notes.push(format!("{}: it is not in the gpt; both tables were read", partition.describe()));
            table.partitions.push(partition);
        }
    }
    table
}

/// What the image holds of a partition.
fn slice(image: &Arc<dyn Image>, partition: &Partition) -> Result<Slice> {
    let len = image.len().saturating_sub(partition.start).min(partition.len);
    Slice::new(Arc::clone(image), partition.start, len)
}

impl Disk {
    fn push(&mut self, image: &Arc<dyn Image>, partition: Partition, most: u64) -> Result<()> {
        let missing = partition.end().saturating_sub(image.len()).min(partition.len);
        if missing > 0 {
            let why = format!(
                "{}: {missing} of its {} bytes lie past the end of the image",
                partition.describe(),
                partition.len
            );
            self.gaps.push(Gap { start: partition.end().saturating_sub(missing), len: missing, why });
        }
        if missing < partition.len {
            let slice = slice(image, &partition)?;
            self.volumes.push(Volume::new(Arc::new(slice), partition.start, Some(partition), most));
        }
        Ok(())
    }

    /// A disk without partitions is a volume itself; one with partitions should not look like one.
    fn look_at_whole(&mut self, image: &Arc<dyn Image>, has_table: bool) {
        let claims = content::claims(image.as_ref());
        let starts_at_zero = self.volumes.iter().any(|volume| volume.start == Some(0));
        if self.volumes.is_empty() {
            if !has_table || !claims.is_empty() {
                self.volumes.push(Volume::new(Arc::clone(image), 0, None, content::MAX_LOOKED));
            } else if self.gaps.is_empty() {
                self.notes.push("the partition table is empty".to_owned());
                self.record_content_without_partition(image);
            }
        } else if !starts_at_zero {
            self.look_over_partitions(image, claims);
        }
    }

    /// What the disk seems to be besides the partitions on it.
    fn look_over_partitions(&mut self, image: &Arc<dyn Image>, mut claims: Vec<&'static str>) {
        let member = if claims.contains(&md::MEMBER) { md::place(image.as_ref()) } else { None };
        let is_part = |at: u64| self.volumes.iter().filter_map(|v| v.partition.as_ref()).any(|p| p.covers(at));
        // The superblock of a member that ends with its disk stands where the disk's own would.
        if member.as_ref().is_some_and(|member| is_part(member.superblock)) {
            claims.retain(|&claim| claim != md::MEMBER);
        } else if member.as_ref().is_some_and(|member| member.data == 0) && claims == [md::MEMBER] {
            return self.wait_for_array(image);
        }
        if let Some(kind) = claims.first() {
            let why =
                format!("the disk has partitions and, over them, the signature of {kind}; the partitions were read");
            self.gaps.push(Gap { start: 0, len: image.len(), why });
        }
    }

    /// The disk is a member of an array, whose partition table it shows.
    fn wait_for_array(&mut self, image: &Arc<dyn Image>) {
        for volume in &mut self.volumes {
            volume.waits = true;
        }
        let mut member = Volume::new(Arc::clone(image), 0, None, content::MAX_LOOKED);
        member.shows = Some(Shown { partitions: self.volumes.len(), gaps: std::mem::take(&mut self.gaps) });
        self.volumes.insert(0, member);
    }

    fn record_content_without_partition(&mut self, image: &Arc<dyn Image>) {
        // A GPT takes 34 sectors at the beginning and 33 at the end; an MBR one sector.
        let (before, behind) = if self.guid.is_some() { (34, 33) } else { (1, 0) };
        let start = self.sector_size.saturating_mul(before);
        let end = image.len().saturating_sub(self.sector_size.saturating_mul(behind));
        let Some(len) = end.checked_sub(start).filter(|&len| len > 0) else { return };
        let Ok(rest) = Slice::new(Arc::clone(image), start, len) else { return };
        if let content::State::Gap(why) = content::unrecognised(&rest, content::MAX_LOOKED) {
            self.gaps.push(Gap { start, len, why: format!("no partition covers it: {why}") });
        }
    }

    /// Copies of a volume carry the same id; the later ones are called by their place.
    fn make_ids_unique(&mut self) {
        let mut seen = BTreeSet::new();
        for volume in &mut self.volumes {
            if !seen.insert(volume.id.clone()) {
                let by_place = format!("@{}", volume.start.unwrap_or(0));
                self.notes.push(format!(
                    "{} is the id of several volumes; the one at {} is called {by_place}",
                    volume.id,
                    volume.start.unwrap_or(0)
                ));
                seen.insert(by_place.clone());
                volume.id = by_place;
            }
        }
    }
}
