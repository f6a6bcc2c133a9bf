//! What is in a volume, told by magic: filesystems, and what is none (swap, parts of a RAID, ciphertext, zeros).
//!
//! All signatures are looked for, not only the first that fits: a volume that could be two things at once says
//! so, because the machine may use the other one.

mod blank;
mod encrypted;
mod fat;
mod filesystem;
mod member;
mod signature;
mod swap;

pub(super) use self::blank::{MAX_LOOKED, MAX_LOOKED_SHARED, unrecognised};
use self::signature::{Class, Found, View};
use super::Partition;
use crate::image::Image;

/// What is in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// As `blkid` calls it: `ext4`, `vfat`, `swap`, `LVM2_member`, `crypto_LUKS`; `unknown` where nothing fits.
    pub kind: &'static str,
    /// The id that the format keeps, in the form in which `blkid` prints it.
    pub id: Option<String>,
    /// The label that the format keeps.
    pub label: Option<String>,
    /// What follows from it for the coverage of a scan.
    pub state: State,
    /// Everything that the volume could be, as `blkid` calls it.
    pub claims: Vec<&'static str>,
    /// Why it could be something else as well; a gap.
    pub ambiguous: Option<String>,
}

/// What follows from a volume's content for the coverage of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A filesystem: it is read where there is a reader, and is a gap where there is none.
    Filesystem,
    /// Nothing in it can be monitored; says why.
    Note(String),
    /// Something in it may have to be monitored, and cannot be read as it lies; says why.
    Gap(String),
}

/// GPT types whose partitions hold no files (UEFI 2.10, 5.3.3; Microsoft, "Partition types"; GRUB manual, 3.4).
const WITHOUT_FILES: [(&str, &str); 3] = [
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved partition"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot partition"),
    ("9e1a2d38-c612-4316-aa26-8b49521e5a8b", "PReP boot partition"),
];

/// GPT types whose partitions are parts of what this program does not assemble (Microsoft, "Partition types").
const MANAGED: [(&str, &str); 3] = [
    ("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "database of Windows dynamic disks"),
    ("af9b60a0-1431-4f62-bc68-3311714a69ad", "part of a Windows dynamic disk"),
    ("e75caf8f-f680-4cee-afa3-b001e56efc2d", "part of Windows Storage Spaces"),
];

/// Everything that the bytes could be, as `blkid` calls it.
pub(super) fn claims(image: &dyn Image) -> Vec<&'static str> {
    View::read(image).map(|view| signature::find(&view).iter().map(|found| found.kind).collect()).unwrap_or_default()
}

/// Tells what is in a volume, looking for zeros in its first GiB.
#[must_use]
pub fn classify(image: &dyn Image, partition: Option<&Partition>) -> Content {
    classify_within(image, partition, MAX_LOOKED_SHARED)
}

/// The same, looking for zeros in its first `most` bytes.
pub(super) fn classify_within(image: &dyn Image, partition: Option<&Partition>, most: u64) -> Content {
    let unknown =
        |state| Content { kind: "unknown", id: None, label: None, state, claims: Vec::new(), ambiguous: None };
    let view = match View::read(image) {
        Ok(view) => view,
        Err(error) => return unknown(State::Gap(error.to_string())),
    };
    let found = signature::find(&view);
    let claims = found.iter().map(|found| found.kind).collect();
    let ambiguous = ambiguity(&found);
    match found.into_iter().next() {
        Some(first) => Content {
            kind: first.kind,
            id: first.id,
            label: first.label,
            state: match first.class {
                Class::Filesystem => State::Filesystem,
                Class::Harmless => State::Note(first.what),
                Class::Managed | Class::Encrypted => State::Gap(first.what),
            },
            claims,
            ambiguous,
        },
        None => unknown(by_partition_type(partition).unwrap_or_else(|| unrecognised(image, most))),
    }
}

fn by_partition_type(partition: Option<&Partition>) -> Option<State> {
    let kind = partition?.kind.as_str();
    let says =
        |list: &[(&str, &'static str)]| list.iter().find(|(guid, _)| *guid == kind).map(|(_, what)| (*what).to_owned());
    says(&WITHOUT_FILES).map(State::Note).or_else(|| says(&MANAGED).map(State::Gap))
}

/// A second signature that could hide files. Swap hides none; a RAID-1 member whose superblock stands at its end
/// holds the very filesystem that it seems to hold.
fn ambiguity(found: &[Found]) -> Option<String> {
    let (first, others) = found.split_first()?;
    let others: Vec<&str> = others
        .iter()
        .filter(|found| found.class != Class::Harmless && !found.transparent)
        .map(|found| found.kind)
        .collect();
    (!others.is_empty()).then(|| format!("it has the signatures of {} and of {}", first.kind, others.join(" and ")))
}
