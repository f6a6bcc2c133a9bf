//! The images of `fixtures/xfs`, each against the table that the kernel made of it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, VolumeInfo, xfs::Xfs},
    image::Memory,
};

use crate::truth::{self, Row};

/// The kernel lists an ACL twice: as what it is, and as the attribute that keeps it. We list it once.
pub(crate) fn without_raw_acls(truth: &mut BTreeMap<String, Row>) {
    for row in truth.values_mut() {
        if let Some(xattrs) = row.get_mut("xattrs") {
            let kept: Vec<&str> = xattrs.split(';').filter(|xattr| !xattr.starts_with("trusted.SGI_ACL_")).collect();
            *xattrs = kept.join(";");
        }
    }
}

fn packed(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/xfs").join(name);
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut unpacked = Vec::new();
    let mut decoder = zstd::Decoder::new(&packed[..]).unwrap();
    decoder.window_log_max(27).unwrap();
    std::io::copy(&mut decoder, &mut unpacked).unwrap();
    unpacked
}

/// An image of this folder.
pub(crate) fn image(name: &str) -> Vec<u8> {
    packed(&format!("{name}.img.zst"))
}

/// Every difference from a table, and every fault.
pub(crate) fn differences(xfs: &Xfs, table: &str) -> Vec<String> {
    let mut table = truth::parse(table, "");
    without_raw_acls(&mut table);
    for row in table.values_mut() {
        // Tables of what was put in know nothing of a directory's size.
        row.retain(|column, value| column != "size" || !value.is_empty());
    }
    let walked = truth::walk(xfs);
    let mut differences = truth::differences(&walked.rows, &table);
    differences.extend(walked.faults);
    differences
}

/// Every difference from the table of a fixture, and every fault; the volume's own words.
pub(crate) fn compare(name: &str, image: Vec<u8>) -> (Vec<String>, VolumeInfo) {
    let xfs = Xfs::open(Arc::new(Memory(image))).unwrap();
    let table = String::from_utf8(packed(&format!("{name}.tsv.zst"))).unwrap();
    (differences(&xfs, &table), xfs.info().clone())
}

macro_rules! clean {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            let (differences, info) = compare($name, image($name));
            assert!(differences.is_empty(), "{info:?}\n{}", differences.join("\n"));
            assert_eq!((info.fs, info.label.as_deref()), ("xfs", Some($name)));
            assert_eq!((&info.notes[..], &info.gaps[..]), (&[][..], &[][..]));
        }
    )*};
}

clean! {
    v5: "v5",
    v5_1k: "v5-1k",
    sector_4k: "sector-4k",
    blocks_64k: "blocks-64k",
    v4: "v4",
    v4_512: "v4-512",
    new_uuid: "new-uuid",
}

#[test]
fn a_uuid_is_told_as_blkid_prints_it() {
    let xfs = Xfs::open(Arc::new(Memory(image("new-uuid")))).unwrap();
    assert_eq!(xfs.info().id.as_deref(), Some("99887766-5544-3322-1100-ffeeddccbbaa"));
}

/// The image of a public test corpus; its table says what it holds.
#[test]
fn corpus() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let packed = std::fs::read(data.join("images/dfvfs-xfs.raw.zst")).unwrap();
    let xfs = Xfs::open(Arc::new(Memory(zstd::decode_all(&packed[..]).unwrap()))).unwrap();
    let walked = truth::walk(&xfs);
    assert_eq!(walked.faults, [""; 0]);
    let mut table = truth::read(&data.join("truth/dfvfs-xfs.raw.tsv"), "0");
    for row in table.values_mut() {
        // Of a link the column has the target.
        row.retain(|column, value| column != "sha256" || !value.starts_with("->"));
    }
    assert_eq!(truth::differences(&walked.rows, &table), [""; 0]);
    assert_eq!(xfs.info().gaps, [""; 0]);
}
