//! Which container a file is, by magic, and how it is opened. A raw image is what nothing else claims.
//!
//! To add a container: a row in `CONTAINERS`; its reader stands in `layer`.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Image, Raw,
    host_file::HostFile,
    layer::{self, Findings, Format},
    mapped::Layered,
    qcow2::{self, Snapshot},
    split::Split,
};
use crate::{
    error::{Error, Result},
    field::{be32, byte, has, le32, le64},
};

const LAYER: &str = "image";

/// How much of a file's beginning is looked at: up to the volume descriptor of ISO 9660 at 0x8000.
const HEAD: u64 = 0x9000;

/// How much of a file's end is looked at: the footers of VHD and DMG are one sector.
const TAIL: u64 = 512;

/// What the user says besides the name of the file.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Backing, parent, data and extent files are opened beneath this folder; without it, beneath the image's own.
    pub image_root: Option<PathBuf>,
    /// The snapshot inside the image that is meant, as in `disk.qcow2@nightly`.
    pub snapshot: Option<String>,
}

/// A file that was opened to read an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUsed {
    /// Its name, as opened.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// An image that was recognised and opened.
pub struct Opened {
    /// The disk's bytes.
    pub image: Arc<dyn Image>,
    /// The same disk, where it can say where its bytes come from, for `changed::changed_since`; a split image cannot.
    pub layered: Option<Arc<dyn Layered>>,
    /// What it was in: `raw`, `split raw`, `block device`, `qcow2`, …
    pub container: &'static str,
    /// All files that hold the disk's bytes, the one that was named first.
    pub files: Vec<FileUsed>,
    /// What is worth knowing and sets nothing.
    pub notes: Vec<String>,
    /// What the container cannot deliver, while the rest can be read.
    pub gaps: Vec<String>,
    /// The snapshots inside the container, which `IMAGE@SNAPSHOT` names.
    pub snapshots: Vec<Snapshot>,
    /// The one of them that was opened.
    pub snapshot: Option<Snapshot>,
}

/// What is done with a file of a known container.
enum Opener {
    /// It is read as this format.
    Read(Format),
    /// It is not read; says what to do instead.
    Refuse(&'static str),
}

/// A known container: what people call it, where its magic stands, how it is opened.
struct Container {
    name: &'static str,
    magic: &'static [Magic],
    opener: Opener,
}

/// Bytes at an offset from the file's beginning or before its end.
enum Magic {
    Head(usize, &'static [u8]),
    /// Bytes before the end of the file, and what stands there.
    Tail(usize, &'static [u8]),
}

const QEMU_IMG: &str = "convert it: qemu-img convert -O raw IMAGE disk.raw";

/// What to do with a compressed image: nothing in it can be read without all that is before it.
macro_rules! unpack {
    ($command:literal) => {
        Opener::Refuse(concat!("unpack it first, ", $command, ": a compressed image cannot be read at any place"))
    };
}

/// Every container that is told apart from a raw image, most specific first.
static CONTAINERS: &[Container] = &[
    // QEMU, docs/interop/qcow2.txt, "Header".
    Container {
        name: "qcow2",
        magic: &[Magic::Head(0, b"QFI\xfb\0\0\0\x02"), Magic::Head(0, b"QFI\xfb\0\0\0\x03")],
        opener: Opener::Read(Format::Qcow2),
    },
    Container { name: "qcow", magic: &[Magic::Head(0, b"QFI\xfb")], opener: Opener::Refuse(QEMU_IMG) },
    // [MS-VHDX] 2.2.1 "File Type Identifier".
    Container { name: "vhdx", magic: &[Magic::Head(0, b"vhdxfile")], opener: Opener::Read(Format::Vhdx) },
    // Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"; dynamic disks carry a copy first.
    Container {
        name: "vhd",
        magic: &[Magic::Head(0, b"conectix"), Magic::Tail(512, b"conectix"), Magic::Tail(511, b"conectix")],
        opener: Opener::Read(Format::Vhd),
    },
    // Virtual Disk Format 5.0, "Hosted Sparse Extent Header", "The Descriptor File", "ESXi Host Sparse Extents".
    Container {
        name: "vmdk",
        magic: &[
            Magic::Head(0, b"KDMV"),
            Magic::Head(0, b"# Disk DescriptorFile"),
            Magic::Head(0, b"COWD"),
            Magic::Head(0, b"\xbe\xba\xfe\xca\0\0\0\0"),
        ],
        opener: Opener::Read(Format::Vmdk),
    },
    // libewf, "Expert Witness Compression Format", 3 "Segment file"; EWF 2 is `EVF2`, logical evidence is `LVF`.
    Container { name: "ewf", magic: &[Magic::Head(0, b"EVF\x09\x0d\x0a\xff\0")], opener: Opener::Read(Format::Ewf) },
    Container {
        name: "ewf 2",
        magic: &[Magic::Head(0, b"EVF2\x0d\x0a\x81\0")],
        opener: Opener::Refuse("export it as raw with the tool that made it"),
    },
    Container {
        name: "ewf logical evidence",
        magic: &[Magic::Head(0, b"LVF\x09\x0d\x0a\xff\0"), Magic::Head(0, b"LEF2\x0d\x0a\x81\0")],
        opener: Opener::Refuse("it holds files, not a disk"),
    },
    // VirtualBox, VDICore.h, "VDI_IMAGE_SIGNATURE", after 64 bytes of text.
    Container { name: "vdi", magic: &[Magic::Head(0x40, b"\x7f\x10\xda\xbe")], opener: Opener::Refuse(QEMU_IMG) },
    // QEMU, docs/interop/qed_spec.txt.
    Container { name: "qed", magic: &[Magic::Head(0, b"QED\0")], opener: Opener::Refuse(QEMU_IMG) },
    // QEMU, docs/interop/parallels.txt.
    Container {
        name: "parallels",
        magic: &[Magic::Head(0, b"WithoutFreeSpace"), Magic::Head(0, b"WithouFreSpacExt")],
        opener: Opener::Refuse(QEMU_IMG),
    },
    Container { name: "bochs", magic: &[Magic::Head(0, b"Bochs Virtual HD Image")], opener: Opener::Refuse(QEMU_IMG) },
    // Universal Disk Image Format: the trailer of 512 bytes begins with `koly`.
    Container {
        name: "dmg",
        magic: &[Magic::Tail(512, b"koly"), Magic::Head(0, b"koly")],
        opener: Opener::Refuse("convert it: qemu-img convert -O raw IMAGE disk.raw, or hdiutil convert -format UDTO"),
    },
    Container {
        name: "aff",
        magic: &[Magic::Head(0, b"AFF10\r\n\0"), Magic::Head(0, b"AFM10\r\n\0")],
        opener: Opener::Refuse("convert it: affconvert -r IMAGE"),
    },
    Container {
        name: "wim",
        magic: &[Magic::Head(0, b"MSWIM\0\0\0")],
        opener: Opener::Refuse("it holds files, not a disk: apply it to a disk first"),
    },
    Container { name: "gzip", magic: &[Magic::Head(0, b"\x1f\x8b\x08")], opener: unpack!("gunzip -k IMAGE") },
    Container { name: "xz", magic: &[Magic::Head(0, b"\xfd7zXZ\0")], opener: unpack!("unxz -k IMAGE") },
    Container { name: "zstd", magic: &[Magic::Head(0, b"\x28\xb5\x2f\xfd")], opener: unpack!("unzstd IMAGE") },
    Container { name: "lz4", magic: &[Magic::Head(0, b"\x04\x22\x4d\x18")], opener: unpack!("unlz4 IMAGE") },
    Container { name: "bzip2", magic: &[Magic::Head(4, b"1AY&SY")], opener: unpack!("bunzip2 -k IMAGE") },
    Container { name: "7z", magic: &[Magic::Head(0, b"7z\xbc\xaf\x27\x1c")], opener: unpack!("7z x IMAGE") },
    Container { name: "zip", magic: &[Magic::Head(0, b"PK\x03\x04")], opener: unpack!("unzip IMAGE") },
    // POSIX.1-1988 ustar; an OVA is a tar file.
    Container { name: "ova", magic: &[Magic::Head(257, b"ustar")], opener: Opener::Read(Format::Ova) },
    // ECMA-119, 8.1 "Format of a Volume Descriptor": the first one is in sector 16 of 2048 bytes.
    Container {
        name: "iso9660",
        magic: &[Magic::Head(0x8001, b"CD001")],
        opener: Opener::Refuse("it is an optical disc, not the disk of a machine"),
    },
];

/// Opens the image that `path` names: decides by magic which container it is.
///
/// # Errors
/// When the file cannot be read, is of a container that is not supported (says what to do instead), or could
/// be taken for two things at once.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Opened> {
    if let Some(split) = Split::open(path)? {
        let head = head(&split)?;
        if let Some(container) = claimed(&head, &tail(&split)?) {
            return Err(Error::unsupported(
                LAYER,
                format!(
                    "{}: {} in pieces is not read: join the pieces into one file first",
                    path.display(),
                    container.name
                ),
            ));
        }
        no_snapshot("split raw", options)?;
        let files = split.files().map(|(path, size)| FileUsed { path: path.to_owned(), size }).collect();
        return Ok(plain(Arc::new(split), "split raw", files));
    }
    let raw = Raw::open(path)?;
    match format_of(&raw, path)? {
        Format::Raw => open_raw(raw, options),
        format => {
            let layer = layer::open_top(raw, format, options.image_root.as_deref(), options.snapshot.as_deref())?;
            let Findings { files, notes, gaps, snapshots } = layer.findings;
            let layered = Some(Arc::clone(&layer.image));
            let snapshot =
                options.snapshot.as_deref().and_then(|wanted| qcow2::find_snapshot(&snapshots, wanted)).cloned();
            let (image, container) = (layer.image, layer.container);
            Ok(Opened { image, layered, container, files, notes, gaps, snapshots, snapshot })
        }
    }
}

/// What a file is by magic: raw where nothing claims it.
///
/// # Errors
/// When it is of a container that is not read (says what to do instead), or could be taken for two things at once.
pub(crate) fn format_of(image: &dyn Image, path: &Path) -> Result<Format> {
    let head = head(image)?;
    let tail = tail(image)?;
    let Some(container) = claimed(&head, &tail) else { return Ok(Format::Raw) };
    let is_guests = || matches!(container.opener, Opener::Read(Format::Vhd)) && is_guests_table(&head, image.len());
    let is_disk = || holds_partition_table(&head) && !is_guests() || ends_with_table(image) || holds_volume(&head);
    // A footer behind a disk is what a fixed VHD looks like; a header in front of one is not, and other VHDs begin with
    // a copy of their footer.
    let looks = match container.at_head(&head) {
        true if is_disk() => "begins like a container and like a disk",
        false if is_growing(&tail) => "ends like a container and does not begin like it",
        _ => "",
    };
    if !looks.is_empty() {
        return Err(Error::unsupported(
            LAYER,
            format!(
                "{}: {}: it {looks}: the machine may have written that into a raw disk; if it is raw, wrap it: qemu-img \
                 convert -f raw -O qcow2 IMAGE disk.qcow2",
                path.display(),
                container.name
            ),
        ));
    }
    match container.opener {
        Opener::Read(format) => Ok(format),
        Opener::Refuse(instead) => {
            Err(Error::unsupported(LAYER, format!("{}: {} is not read; {instead}", path.display(), container.name)))
        }
    }
}

fn open_raw(raw: Raw, options: &OpenOptions) -> Result<Opened> {
    let container = if raw.is_device() { "block device" } else { "raw" };
    no_snapshot(container, options)?;
    let files = vec![FileUsed { path: raw.path().to_owned(), size: raw.len() }];
    let layered: Arc<dyn Layered> = Arc::new(HostFile::new(Raw::open(raw.path())?)?);
    Ok(Opened { layered: Some(layered), ..plain(Arc::new(raw), container, files) })
}

fn plain(image: Arc<dyn Image>, container: &'static str, files: Vec<FileUsed>) -> Opened {
    let (notes, gaps, snapshots) = (Vec::new(), Vec::new(), Vec::new());
    Opened { image, layered: None, container, files, notes, gaps, snapshots, snapshot: None }
}

/// Refuses `IMAGE@SNAPSHOT` for containers that have no snapshots inside.
///
/// # Errors
/// When a snapshot was named.
pub(crate) fn no_snapshot(container: &str, options: &OpenOptions) -> Result<()> {
    match &options.snapshot {
        Some(name) => Err(Error::Usage(format!("@{name}: a {container} image has no snapshots inside"))),
        None => Ok(()),
    }
}

fn head(image: &dyn Image) -> Result<Vec<u8>> {
    let len = usize::try_from(image.len().min(HEAD)).unwrap_or_default();
    let mut head = vec![0; len];
    image.read_at(0, &mut head)?;
    Ok(head)
}

fn tail(image: &dyn Image) -> Result<Vec<u8>> {
    let len = image.len().min(TAIL);
    let mut tail = vec![0; usize::try_from(len).unwrap_or_default()];
    image.read_at(image.len().saturating_sub(len), &mut tail)?;
    Ok(tail)
}

fn claimed(head: &[u8], tail: &[u8]) -> Option<&'static Container> {
    CONTAINERS.iter().find(|container| container.at_head(head) || container.at_tail(tail))
}

impl Container {
    fn at_head(&self, head: &[u8]) -> bool {
        self.magic.iter().any(|magic| match magic {
            // Bootable discs carry a partition table for USB sticks; then it is that disk which is read.
            Magic::Head(0x8001, bytes) => has(head, 0x8001, bytes) && !holds_partition_table(head),
            Magic::Head(at, bytes) => has(head, *at, bytes),
            Magic::Tail(..) => false,
        })
    }

    fn at_tail(&self, tail: &[u8]) -> bool {
        self.magic.iter().any(|magic| match magic {
            Magic::Head(..) => false,
            Magic::Tail(before, bytes) => tail.len().checked_sub(*before).is_some_and(|at| has(tail, at, bytes)),
        })
    }
}

/// Whether the file's own beginning is that of a partitioned disk: then a container's magic in it may have been
/// put there by the machine that writes to the disk.
fn holds_partition_table(head: &[u8]) -> bool {
    holds_table_of_512(head) || has(head, 4096, GPT)
}

/// Whether the file ends with the footer of a VHD that is not fixed ("Hard Disk Footer Format", disk type).
fn is_growing(tail: &[u8]) -> bool {
    [512, 511].into_iter().filter_map(|before| tail.len().checked_sub(before)).any(|at| {
        let kind = at.checked_add(60).and_then(|at| be32(tail, at));
        has(tail, at, b"conectix") && kind.is_some_and(|kind| kind != 2)
    })
}

/// Whether the file ends with the second header of a GPT, which says that it stands there: firmware and systems use it
/// where the first one is damaged. In a container what a guest has there lies elsewhere than the guest says.
fn ends_with_table(image: &dyn Image) -> bool {
    [512_u64, 4096].into_iter().any(|sector| {
        let Some(last) = image.len().checked_div(sector).and_then(|sectors| sectors.checked_sub(1)) else {
            return false;
        };
        let mut header = [0; 32];
        let place = last.saturating_mul(sector);
        image.read_at(place, &mut header).is_ok() && has(&header, 0, GPT) && le64(&header, 24) == Some(last)
    })
}

/// Whether the file is a disk without partitions by what stands behind its first sector, which ext and LVM2 leave to
/// boot loaders: a superblock of ext in byte 1024 ("The Linux kernel documentation", ext4, "Super Block"), a label of
/// LVM2 in one of the first four sectors (`label_header`, lvm2 `lib/label/label.c`). Containers have headers there.
fn holds_volume(head: &[u8]) -> bool {
    let superblock = head.get(1024..).unwrap_or_default();
    let used = |at: usize| le32(superblock, at).is_some_and(|count| count > 0);
    let at_most = |at: usize, most: u32| le32(superblock, at).is_some_and(|value| value <= most);
    // The magic number, inodes and blocks, the size of a block, the revision.
    let is_ext = has(superblock, 56, b"\x53\xef") && used(0) && used(4) && at_most(24, 6) && at_most(76, 1);
    let has_label = |at: &usize| has(head, *at, b"LABELONE") && has(head, at.saturating_add(24), b"LVM2 001");
    is_ext || [0, 512, 1024, 1536].iter().any(has_label)
}

/// What a GPT begins with, in the second sector of its disk (UEFI 2.10, 5.3.2).
pub(crate) const GPT: &[u8] = b"EFI PART";

/// Whether it is a table for sectors of 512 bytes.
fn holds_table_of_512(head: &[u8]) -> bool {
    let signed = has(head, 510, b"\x55\xaa");
    let entry = |at: usize| {
        let plausible = matches!(byte(head, at), Some(0 | 0x80));
        let kind = at.checked_add(4).and_then(|at| byte(head, at)).unwrap_or(0);
        let start = at.checked_add(8).and_then(|at| le32(head, at)).unwrap_or(0);
        let sectors = at.checked_add(12).and_then(|at| le32(head, at)).unwrap_or(0);
        (plausible, kind != 0 && start != 0 && sectors != 0)
    };
    let entries = [446, 462, 478, 494].map(entry);
    signed && entries.iter().all(|(plausible, _)| *plausible) && entries.iter().any(|(_, used)| *used)
        || has(head, 512, GPT)
}

/// Whether the only table, which stands where a disk with sectors of 4096 bytes has its GPT, is not one of this file of
/// `len` bytes. In a dynamic VHD the table of the guest may stand there; it counts 512 bytes a sector, and so its last
/// usable sector (offset 48) lies far behind the file's end. No machine could use such a table if it were its own: Linux
/// refuses it (`is_gpt_valid`).
fn is_guests_table(head: &[u8], len: u64) -> bool {
    let usable = le64(head, 4096 + 48).and_then(|sector| sector.checked_add(1)?.checked_mul(4096));
    !holds_table_of_512(head) && usable.is_none_or(|end| end > len)
}
