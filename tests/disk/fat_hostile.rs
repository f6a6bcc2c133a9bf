//! FAT volumes that are damaged on purpose: what is wrong is said, the rest is read, and nothing runs for ever.

use snapfim::fs::{Fat, FileSystem, NodeId};

use crate::support::{Patched, Walk, image, walk};

/// Layout of `fat16.raw`, from its boot sector: clusters of 1 KiB.
struct Layout {
    fat: u64,
    fat_len: u64,
    root: u64,
    data: u64,
}

const CLUSTER: u64 = 1024;

fn le16(image: &Patched, at: u64) -> u64 {
    u64::from(u16::from_le_bytes(image.get(at, 2).try_into().unwrap()))
}

fn layout(image: &Patched) -> Layout {
    let (reserved, fats, entries, sectors) = (le16(image, 14), image.get(16, 1)[0], le16(image, 17), le16(image, 22));
    assert_eq!((le16(image, 11), image.get(13, 1)[0], fats), (512, 2, 2));
    let fat = reserved * 512;
    let root = fat + 2 * sectors * 512;
    Layout { fat, fat_len: sectors * 512, root, data: root + entries * 32 }
}

pub(crate) struct Volume {
    pub(crate) image: Patched,
    layout: Layout,
}

impl Volume {
    pub(crate) fn new() -> Self {
        let image = image("fat16.raw");
        let layout = layout(&image);
        Self { image, layout }
    }

    /// The offset of the entry behind a path.
    pub(crate) fn entry(&self, path: &str) -> u64 {
        let fat = Fat::open(self.image.clone().shared()).unwrap();
        let mut session = fat.session().unwrap();
        let mut node = session.root();
        for name in path.split('/') {
            node = session.lookup(&node, name.as_bytes()).unwrap().unwrap();
        }
        let NodeId::Number(offset) = node else { panic!() };
        offset
    }

    pub(crate) fn first_cluster(&self, path: &str) -> u16 {
        le16(&self.image, self.entry(path) + 26) as u16
    }

    pub(crate) fn next(&self, cluster: u16) -> u16 {
        le16(&self.image, self.layout.fat + 2 * u64::from(cluster)) as u16
    }

    pub(crate) fn offset(&self, cluster: u16) -> u64 {
        self.layout.data + (u64::from(cluster) - 2) * CLUSTER
    }

    pub(crate) fn put(self, offset: u64, bytes: &[u8]) -> Self {
        Self { image: self.image.put(offset, bytes), ..self }
    }

    /// Changes an entry of the allocation table.
    pub(crate) fn link(self, cluster: u16, next: u16) -> Self {
        let at = self.layout.fat + 2 * u64::from(cluster);
        self.put(at, &next.to_le_bytes())
    }

    fn start(self, path: &str, cluster: u16) -> Self {
        let at = self.entry(path) + 26;
        self.put(at, &cluster.to_le_bytes())
    }

    pub(crate) fn walk(&self) -> Walk {
        walk(&Fat::open(self.image.clone().shared()).unwrap())
    }
}

/// The one fault of a walk; all entries of the sound volume must be there but for those beneath `lost`.
pub(crate) fn one_fault(volume: &Volume, lost: Option<&str>) -> String {
    let sound = Volume::new().walk();
    let seen = volume.walk();
    for path in sound.paths() {
        let excused = lost.is_some_and(|lost| path.starts_with(lost));
        assert!(excused || seen.entries.contains_key(path), "{path} is missing: {:?}", seen.all_faults());
    }
    let faults = seen.all_faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn chains_that_are_too_short() {
    for (next, expected) in [
        (0xffff_u16, "the chain ends here"),
        (0, "a free cluster"),
        (0xfff7, "a bad cluster"),
        (60_000, "clusters 2 to"),
    ] {
        let volume = Volume::new();
        let second = volume.next(volume.first_cluster("big.bin"));
        let fault = one_fault(&volume.link(second, next), None);
        // 90,000 bytes, two clusters of which are there.
        assert!(fault.starts_with("/big.bin: ") && fault.contains(expected), "{fault}");
        assert!(fault.contains("87952 bytes are missing"), "{fault}");
    }
}

#[test]
fn files_that_begin_nowhere() {
    for cluster in [0, 1, 60_000, 0xffff] {
        let fault = one_fault(&Volume::new().start("README.TXT", cluster), None);
        assert!(fault.starts_with("/README.TXT: ") && fault.contains("clusters 2 to"), "{fault}");
    }
}

#[test]
fn a_file_whose_chain_runs_in_a_loop() {
    for behind in [0, 1, 7] {
        let volume = Volume::new();
        let first = volume.first_cluster("big.bin");
        let end = (0..behind).fold(first, |cluster, _| volume.next(cluster));
        let fault = one_fault(&volume.link(end, first), None);
        assert!(fault.starts_with("/big.bin: ") && fault.contains("leads back to it"), "{fault}");
    }
}

#[test]
fn a_loop_that_ends_with_the_file() {
    // Two clusters and a half; the second leads to the first, so that the file ends before a mark is met again.
    let volume = Volume::new();
    let first = volume.first_cluster("big.bin");
    let second = volume.next(first);
    let size = volume.entry("big.bin") + 28;
    let volume = volume.put(size, &2560_u32.to_le_bytes()).link(second, first);
    assert!(one_fault(&volume, None).contains("leads back to it"));
}

#[test]
fn a_file_that_claims_four_gigabytes() {
    let volume = Volume::new();
    let size = volume.entry("README.TXT") + 28;
    let fault = one_fault(&volume.put(size, &[0xff; 4]), None);
    assert!(fault.contains("the chain ends here; 4294966271 bytes are missing"), "{fault}");
}

#[test]
fn a_chain_longer_than_its_file_is_none_of_our_business() {
    let volume = Volume::new();
    let size = volume.entry("big.bin") + 28;
    let seen = volume.put(size, &100_u32.to_le_bytes()).walk();
    assert_eq!((seen.all_faults().len(), seen.entries["/big.bin"].size), (0, 100));
}

#[test]
fn directories_that_contain_themselves() {
    let volume = Volume::new();
    let deep = volume.first_cluster("deep");
    let fault = one_fault(&volume.start("deep/level 0", deep), Some("/deep/level 0/"));
    assert!(fault.starts_with("/deep/level 0: ") && fault.contains("belongs to another directory"), "{fault}");
}

#[test]
fn directories_that_share_clusters() {
    let volume = Volume::new();
    let many = volume.first_cluster("many");
    let boot = volume.first_cluster("EFI/BOOT");
    // By their beginning, and by a chain that runs into the other.
    for volume in [volume.start("EFI/BOOT", many), Volume::new().link(boot, many)] {
        let faults = volume.walk().all_faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("belongs to another directory"), "{faults:?}");
        assert!(volume.walk().entries.len() < 250);
    }
}

#[test]
fn a_directory_whose_chain_runs_in_a_loop() {
    let volume = Volume::new();
    let many = volume.first_cluster("many");
    let second = volume.next(many);
    let volume = volume.link(second, many);
    let faults = volume.walk().all_faults();
    assert!(faults.len() == 1 && faults[0].contains("the directory's chain leads back to it"), "{faults:?}");
}

#[test]
fn a_name_that_is_not_found_in_a_damaged_directory_may_be_there() {
    let volume = Volume::new();
    let many = volume.first_cluster("many");
    let second = volume.next(many);
    let lookup = |volume: &Volume| {
        let fat = Fat::open(volume.image.clone().shared()).unwrap();
        let mut session = fat.session().unwrap();
        let root = session.root();
        let many = session.lookup(&root, b"many").unwrap().unwrap();
        session.lookup(&many, b"nowhere").map_err(|error| error.to_string())
    };
    assert_eq!(lookup(&volume), Ok(None));
    let error = lookup(&volume.link(second, many)).unwrap_err();
    assert!(error.contains("looking for nowhere") && error.contains("leads back to it"), "{error}");
}

#[test]
fn entries_behind_the_end() {
    let volume = Volume::new();
    let end = volume.offset(volume.first_cluster("EFI/BOOT")) + 32 * 10;
    assert_eq!(volume.image.get(end, 1), [0]);
    let mut entry = *b"HIDDEN  EFI\x20                    ";
    entry[12..].fill(0);
    let fault = one_fault(&volume.put(end, &entry), None);
    assert!(fault.starts_with("/EFI/BOOT: ") && fault.contains("behind the mark"), "{fault}");
}

/// `fat32.raw` with changed bytes: its notes, its gaps and what is on it.
fn fat32(edits: &[(u64, &[u8])]) -> (Vec<String>, Vec<String>, Walk) {
    let image = edits.iter().fold(image("fat32.raw"), |image, (at, bytes)| image.put(*at, bytes));
    let fat = Fat::open(image.shared()).unwrap();
    (fat.info().notes.clone(), fat.info().gaps.clone(), walk(&fat))
}

/// Where the fixture's boot sector has its copy (`BPB_BkBootSec`).
const BACKUP: u64 = 6 * 512;

#[test]
fn a_fat32_boot_sector_that_its_backup_contradicts() {
    let (notes, gaps, sound) = fat32(&[]);
    assert_eq!((notes.len(), gaps.len(), sound.all_faults().len()), (0, 0, 0), "{notes:?} {gaps:?}");
    let cases: [(u64, &[u8], &str); 8] = [
        (11, &[0, 4], "bytes per sector"),
        (13, &[4], "sectors per cluster"),
        (14, &[0x21, 0], "reserved sectors"),
        (14, &[1, 0], "reserved sectors"),
        (16, &[1], "number of FATs"),
        (16, &[3], "number of FATs"),
        (17, &[0x10, 0], "entries of the root directory"),
        (44, &[9, 0, 0, 0], "first cluster of the root directory"),
    ];
    for (at, bytes, field) in cases {
        let (_, gaps, seen) = fat32(&[(at, bytes)]);
        let told = format!("fat: the boot sector and its backup differ ({field}); the first was read");
        assert!(gaps.contains(&told), "{gaps:?}");
        // The root's listing says so, too: what is not in it is not known to be gone.
        let told = "root directory: the boot sector and its backup give different layouts";
        assert!(seen.faults.iter().any(|fault| fault.starts_with(": ") && fault.contains(told)), "{:?}", seen.faults);
        // The same for the backup: nobody knows which one is right.
        let (_, gaps, seen) = fat32(&[(BACKUP + at, bytes)]);
        assert!(gaps.len() == 1 && gaps[0].contains(field), "{gaps:?}");
        assert_eq!((seen.paths(), seen.all_faults().len()), (sound.paths(), 1));
    }
}

#[test]
fn a_fat32_whose_backup_is_not_there() {
    let (_, _, sound) = fat32(&[]);
    let cases: [(u64, &[u8], &[&str]); 4] = [
        (BACKUP + 510, &[0, 0], &["the backup of its boot sector is not there"]),
        (50, &[9, 0], &["the backup of its boot sector is not there"]),
        (50, &[0, 0], &[]),
        (50, &[0xff, 0xff], &[]),
    ];
    for (at, bytes, expected) in cases {
        let (notes, gaps, seen) = fat32(&[(at, bytes)]);
        assert_eq!((notes, gaps), (expected.iter().map(ToString::to_string).collect(), Vec::new()));
        assert_eq!((seen.paths(), seen.all_faults()), (sound.paths(), Vec::new()));
    }
}

#[test]
fn a_root_directory_of_no_entries() {
    // With a length of FAT12 and FAT16 a FAT32 has such a one, and would look empty.
    let image = image("fat32.raw").put(22, &[1]);
    assert!(!Fat::claims(&image));
    let error = Fat::open(image.shared()).err().unwrap().to_string();
    assert!(error.contains("a root directory of no entries"), "{error}");
}

#[test]
fn dots_and_labels_where_none_belong() {
    let volume = Volume::new();
    let readme = volume.entry("README.TXT");
    let dot = volume.put(readme, b".          ");
    assert!(one_fault(&dot, Some("/README.TXT")).contains("where none belongs"));
    let volume = Volume::new();
    let grub = volume.entry("EFI/debian/grub.cfg");
    let label = volume.put(grub + 11, &[0x28]);
    assert!(one_fault(&label, Some("/EFI/debian/grub.cfg")).contains("a volume label where none belongs"));
}

#[test]
fn long_names_that_do_not_belong() {
    // A changed short name: the checksum of the long one no longer fits, and the short one stands.
    let volume = Volume::new();
    let entry = volume.entry("a long name with spaces and more than thirteen letters.text");
    let seen = volume.put(entry, b"X").walk();
    assert!(seen.entries.contains_key("/XLONGN~1.TEX"), "{:?}", seen.paths());
    let faults = seen.all_faults();
    assert!(faults.len() == 1 && faults[0].contains("a long name, or a part of one"), "{faults:?}");
}

#[test]
fn a_cut_volume() {
    let volume = Volume::new();
    let seen = Volume::new().walk();
    let offset = volume.offset(volume.first_cluster("many"));
    let cut = Volume { image: volume.image.cut(offset + 100), ..volume };
    let fat = Fat::open(cut.image.clone().shared()).unwrap();
    assert_eq!(fat.info().gaps.len(), 1);
    let after = walk(&fat);
    assert!(!after.all_faults().is_empty());
    // What begins behind the cut keeps its entry.
    let top = |walk: &Walk| walk.paths().iter().filter(|path| path.matches('/').count() == 1).count();
    assert_eq!(top(&after), top(&seen));
}

#[test]
fn a_table_that_is_cut_off() {
    // The volume says that its table is longer than the image.
    let volume = Volume::new();
    let len = volume.layout.fat + volume.layout.fat_len / 2;
    assert!(volume.layout.root > len);
    let fat = Fat::open(volume.image.cut(len).shared()).unwrap();
    assert!(!walk(&fat).faults.is_empty());
}
