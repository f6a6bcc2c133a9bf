//! Raw and split images, holes, and what containers are recognised.

use std::{fs::File, io::Write, os::unix::fs::FileExt, path::Path};

use snapfim::{
    error::Error,
    image::{
        Image, Raw, Run, RunKind,
        probe::{OpenOptions, Opened, open},
    },
    volume::discover,
};

use crate::support::bytes;

fn opened(path: &Path) -> Opened {
    open(path, &OpenOptions::default()).unwrap()
}

fn refused(path: &Path) -> String {
    match open(path, &OpenOptions::default()) {
        Ok(opened) => panic!("opened as {}", opened.container),
        Err(error) => error.to_string(),
    }
}

fn all(image: &dyn Image) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.len()).unwrap()];
    image.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn raw_images_keep_their_holes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let file = File::create(&path).unwrap();
    let (data, hole, len) = (1 << 20, 1 << 30, 1 << 40);
    file.write_all_at(&vec![7; data as usize], hole).unwrap();
    file.set_len(len).unwrap();
    let raw = Raw::open(&path).unwrap();
    let run = |offset| raw.run_at(offset).unwrap();
    assert_eq!(run(0), Run { len: hole, kind: RunKind::Hole });
    assert_eq!(run(hole - 1), Run { len: 1, kind: RunKind::Hole });
    assert_eq!(run(hole), Run { len: data, kind: RunKind::Data });
    assert_eq!(run(hole + 4096), Run { len: data - 4096, kind: RunKind::Data });
    assert_eq!(run(hole + data), Run { len: len - hole - data, kind: RunKind::Hole });
    assert!(raw.run_at(len).is_err());
    let mut byte = [1];
    raw.read_at(len - 1, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    assert!(raw.read_at(len, &mut byte).is_err());
    assert!(raw.read_at(u64::MAX, &mut byte).is_err());
}

#[test]
fn an_image_that_becomes_shorter_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    std::fs::write(&path, vec![1; 100_000]).unwrap();
    let raw = Raw::open(&path).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(50_000).unwrap();
    let error = raw.read_at(49_000, &mut [0; 2000]).unwrap_err().to_string();
    assert!(error.contains("has become shorter"), "{error}");
    assert!(raw.run_at(60_000).is_err());
    raw.read_at(0, &mut [0; 50_000]).unwrap();
}

#[test]
fn pieces_are_one_disk() {
    let folder = tempfile::tempdir().unwrap();
    let whole = bytes("mbr.raw");
    let piece = 5_000_001;
    let write = |extension: &str, first: usize| {
        for (number, bytes) in (first..).zip(whole.chunks(piece)) {
            let digits = extension.len();
            std::fs::write(folder.path().join(format!("disk{extension}.{number:0digits$}")), bytes).unwrap();
        }
    };
    write("000", 0);
    write("01", 1);
    write("001", 1);
    for first in ["disk000.000", "disk01.01", "disk001.001"] {
        let disk = opened(&folder.path().join(first));
        assert_eq!((disk.container, disk.files.len()), ("split raw", 6), "{first}");
        assert_eq!(all(disk.image.as_ref()), whole);
        assert_eq!(disk.files.iter().map(|file| file.size).sum::<u64>(), whole.len() as u64);
    }
    let named = |name: &str| refused(&folder.path().join(name));
    assert!(named("disk001.003").contains("name "), "{}", named("disk001.003"));
    assert!(named("disk001.003").contains("disk001.001"));

    std::fs::remove_file(folder.path().join("disk001.003")).unwrap();
    let error = named("disk001.001");
    assert!(error.contains("disk001.003") && error.contains("missing"), "{error}");

    std::fs::write(folder.path().join("disk01.02"), b"short").unwrap();
    let error = named("disk01.01");
    assert!(error.contains("disk01.02") && error.contains("5 bytes long"), "{error}");
}

#[test]
fn one_piece_is_a_raw_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.001");
    std::fs::write(&path, vec![9; 4096]).unwrap();
    assert_eq!(opened(&path).container, "raw");
}

#[test]
fn containers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    // Offset, magic, and the name that the message must have.
    let cases: [(usize, &[u8], &str); 16] = [
        (0x40, b"\x7f\x10\xda\xbe", "vdi"),
        (0, b"QED\0", "qed"),
        (0, b"WithouFreSpacExt", "parallels"),
        (0, b"Bochs Virtual HD Image", "bochs"),
        (100_000 - 512, b"koly", "dmg"),
        (0, b"AFF10\r\n\0", "aff"),
        (0, b"EVF2\x0d\x0a\x81\0", "ewf 2"),
        (0, b"LVF\x09\x0d\x0a\xff\0", "ewf logical"),
        (0, b"MSWIM\0\0\0", "wim"),
        (0, b"\x1f\x8b\x08", "gzip"),
        (0, b"\xfd7zXZ\0", "xz"),
        (0, b"\x28\xb5\x2f\xfd", "zstd"),
        (0, b"BZh91AY&SY", "bzip2"),
        (0, b"7z\xbc\xaf\x27\x1c", "7z"),
        (0, b"PK\x03\x04", "zip"),
        (0x8001, b"CD001", "iso9660"),
    ];
    for (offset, magic, name) in cases {
        let path = folder.path().join("image");
        let mut bytes = vec![0; 100_000];
        bytes[offset..offset + magic.len()].copy_from_slice(magic);
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path);
        assert!(error.contains(&format!("{name} ")) && error.contains("; "), "{name}: {error}");
    }
}

fn refused_bytes(disk: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    std::fs::write(&path, disk).unwrap();
    refused(&path)
}

/// That a disk which was made from `name` is refused, since it begins like a container and like a disk.
fn assert_disguised(name: &str, disk: &[u8], container: &str) {
    let error = refused_bytes(disk);
    assert!(error.contains(&format!(": {container}: it begins like a container and like a disk")), "{name}: {error}");
}

#[test]
fn a_disk_in_disguise_is_refused() {
    let mut disk = bytes("gpt512.raw");
    // The machine writes the header of a qcow2 image over its boot code.
    disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    assert_disguised("gpt512.raw", &disk, "qcow2");
    // On a disk with sectors of 4096 bytes, whose GPT says what the machine likes about its other header: nobody who
    // reads the first one looks. The MBR is damaged so that it does not count.
    for (name, magic) in [("vhd", b"conectix".as_slice()), ("qcow2", b"QFI\xfb\0\0\0\x03")] {
        for other in [u64::MAX, 1 << 40] {
            let mut disk = bytes("gpt4096.raw");
            disk[..8].copy_from_slice(magic);
            disk[462] = 1;
            disk[4096 + 32..4096 + 40].copy_from_slice(&other.to_le_bytes());
            assert_disguised("gpt4096.raw", &disk, name);
        }
    }
}

/// What leaves its first sector to boot loaders leaves it to the machine.
#[test]
fn a_disk_without_partitions_in_disguise_is_refused() {
    for name in ["ext/inline.img", "ext/dirty-ext3.img", "rescan/lvm.raw"] {
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.zst"));
        let mut disk = zstd::decode_all(File::open(packed).unwrap()).unwrap();
        for (container, magic) in [("qcow2", b"QFI\xfb\0\0\0\x03".as_slice()), ("vhd", b"conectix"), ("vmdk", b"KDMV")]
        {
            disk[..512].fill(0);
            disk[..magic.len()].copy_from_slice(magic);
            assert_disguised(name, &disk, container);
        }
    }
}

/// A dynamic disk's footer, behind a raw one: what it points to lies wherever the machine put it.
#[test]
fn a_disk_with_the_footer_of_another_kind_of_vhd_is_refused() {
    let vhd = bytes("gpt.vhd");
    for name in ["gpt512.raw", "mbr.raw", "fat16.raw"] {
        let mut disk = bytes(name);
        let end = disk.len() - 512;
        disk[end..].copy_from_slice(&vhd[..512]);
        let error = refused_bytes(&disk);
        assert!(error.contains(": vhd: it ends like a container and does not begin like it"), "{name}: {error}");
    }
}

/// The machine damages the first table, and uses the second one.
#[test]
fn a_disk_in_disguise_that_has_only_the_table_at_its_end_is_refused() {
    for (name, sector) in [("gpt512.raw", 512), ("gpt4096.raw", 4096)] {
        let mut disk = bytes(name);
        disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        disk[462] = 1;
        disk[sector..sector + 8].fill(0);
        assert_disguised(name, &disk, "qcow2");
    }
}

#[test]
fn the_partition_table_of_a_guest_is_not_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhd");
    std::fs::write(&path, bytes("gpt.vhd")).unwrap();
    let opened = opened(&path);
    assert_eq!((opened.container, opened.image.len()), ("vhd", 600 << 20));
    let disk = discover(&opened.image).unwrap();
    let starts: Vec<_> = disk.volumes.iter().map(|volume| volume.start).collect();
    assert_eq!((starts, disk.gaps.len()), (vec![Some(2048 * 512)], 0));
    // Nothing but a VHD keeps its guest's bytes there.
    let mut other = bytes("gpt.vhd");
    other[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    let end = other.len() - 512;
    assert_disguised("gpt.vhd", &other[..end], "qcow2");
}

#[test]
fn what_is_no_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    File::create(&empty).unwrap();
    assert!(refused(&empty).contains("the file is empty"));
    assert!(refused(folder.path()).contains("neither a regular file nor a block device"));
    assert!(refused(Path::new("/dev/null")).contains("neither a regular file nor a block device"));
    assert!(refused(&folder.path().join("absent")).contains("cannot be opened"));
    let mut file = File::create(&empty).unwrap();
    file.write_all(b"x").unwrap();
    let options = OpenOptions { snapshot: Some("nightly".to_owned()), ..OpenOptions::default() };
    assert!(matches!(open(&empty, &options), Err(Error::Usage(_))));
}
