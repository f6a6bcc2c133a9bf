//! Images that somebody made to do harm.

use std::time::{Duration, Instant};

use crate::fixture::{Fixtures, content};

/// Where "Header" of qcow2.rst puts the backing file's name and its length.
const BACKING_AT: usize = 8;
const BACKING_LENGTH: usize = 16;
const SIZE: usize = 24;
const L1_ENTRIES: usize = 36;

/// Makes `name`, an image with a backing file in its header, stand on `backing` instead, of a format to be found out.
fn rebase(fixtures: &Fixtures, name: &str, backing: &str) {
    let mut bytes = fixtures.bytes(name);
    let at = u64::from_be_bytes(bytes[BACKING_AT..BACKING_AT + 8].try_into().unwrap()) as usize;
    bytes[BACKING_LENGTH..BACKING_LENGTH + 4].copy_from_slice(&(backing.len() as u32).to_be_bytes());
    bytes[at..at + backing.len()].copy_from_slice(backing.as_bytes());
    fixtures.put(name, &bytes);
}

#[test]
fn a_backing_file_outside_is_not_opened() {
    let fixtures = Fixtures::of(&["middle.qcow2", "v3.qcow2"]);
    for outside in ["/etc/passwd", "../../../../../../etc/passwd", "/proc/self/mem", "/dev/zero"] {
        rebase(&fixtures, "middle.qcow2", outside);
        let error = fixtures.error("middle.qcow2");
        let named = error.contains(&format!("'{outside}'")) && error.contains("middle.qcow2'");
        assert!(named && error.contains("outside the image's directory") && error.contains("--image-root"), "{error}");
    }
    for remote in ["nbd://host/disk", "json:{\"driver\":\"nbd\"}", "ssh+x://h/d"] {
        rebase(&fixtures, "middle.qcow2", remote);
        let error = fixtures.error("middle.qcow2");
        assert!(error.contains("not a file of this host"), "{error}");
    }
    rebase(&fixtures, "middle.qcow2", "file:v3.qcow2");
    fixtures.content("middle.qcow2");
}

#[test]
fn a_vmdk_extent_outside_is_not_opened() {
    let fixtures = Fixtures::of(&["pieces.vmdk", "pieces-1.vmdk", "pieces-2.vmdk"]);
    let text = String::from_utf8(fixtures.bytes("pieces.vmdk")).unwrap();
    for outside in ["/etc/passwd", "../../etc/passwd", "..\\..\\etc\\passwd"] {
        fixtures.put("pieces.vmdk", text.replace("pieces-2.vmdk", outside).as_bytes());
        let error = fixtures.error("pieces.vmdk");
        assert!(error.starts_with("vmdk: extent '") && error.contains("pieces.vmdk'"), "{error}");
    }
    fixtures.put("pieces.vmdk", text.replace("pieces-2.vmdk", "pieces.vmdk").as_bytes());
    assert!(fixtures.error("pieces.vmdk").contains("the chain comes back to"));
}

#[test]
fn a_backing_file_that_is_the_image_itself_is_refused() {
    let fixtures = Fixtures::of(&["middle.qcow2", "top.qcow2", "v3.qcow2"]);
    rebase(&fixtures, "middle.qcow2", "middle.qcow2");
    let error = fixtures.error("middle.qcow2");
    assert!(error.contains("the chain comes back to") && error.contains("middle.qcow2"), "{error}");
    // A loop of two.
    rebase(&fixtures, "middle.qcow2", "top.qcow2");
    rebase(&fixtures, "top.qcow2", "middle.qcow2");
    assert!(fixtures.error("top.qcow2").contains("the chain comes back to"));
    // A hard link is the same file under another name.
    std::fs::hard_link(fixtures.path("v3.qcow2"), fixtures.path("other.qcow2")).unwrap();
    rebase(&fixtures, "middle.qcow2", "v3.qcow2");
    std::fs::copy(fixtures.path("middle.qcow2"), fixtures.path("a.qcow2")).unwrap();
    fixtures.content("a.qcow2");
}

#[test]
fn a_chain_of_more_than_64_files_is_refused() {
    let fixtures = Fixtures::of(&["middle.qcow2", "v3.qcow2"]);
    let layer = fixtures.bytes("middle.qcow2");
    for n in 0..70 {
        let name = format!("{n:03}.qcw");
        fixtures.put(&name, &layer);
        rebase(&fixtures, &name, &if n == 0 { "v3.qcow2".to_owned() } else { format!("{:03}.qcw", n - 1) });
    }
    let error = fixtures.error("069.qcw");
    assert!(error.contains("the chain is longer than 64 files"), "{error}");
    let opened = fixtures.open("062.qcw").unwrap();
    assert_eq!(opened.files.len(), 64);
    content(&*opened.image).unwrap();
}

#[test]
fn a_disk_of_16_eib_is_refused_with_a_message() {
    let fixtures = Fixtures::of(&["v3.qcow2", "sparse.vmdk", "dynamic.vhd"]);
    fixtures.patch("v3.qcow2", SIZE, &u64::MAX.to_be_bytes());
    let error = fixtures.error("v3.qcow2");
    assert!(error.contains("needs an L1 table of") && error.contains("at most"), "{error}");
    fixtures.patch("v3.qcow2", L1_ENTRIES, &[0xff; 4]);
    assert!(fixtures.error("v3.qcow2").contains("at most"));
    // "Hosted Sparse Extents": the capacity, in sectors, at 12.
    fixtures.patch("sparse.vmdk", 12, &u64::MAX.to_le_bytes());
    assert!(fixtures.error("sparse.vmdk").contains("past 16 EiB"));
    fixtures.patch("sparse.vmdk", 12, &(u64::MAX / 512).to_le_bytes());
    let start = Instant::now();
    let opened = fixtures.open("sparse.vmdk").unwrap();
    for at in [0, 1 << 40, 1 << 62] {
        let _ = opened.image.run_at(at);
        let _ = opened.image.read_at(at, &mut [0; 4096]);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_truncated_container_is_an_error_and_never_zeros() {
    let fixtures = Fixtures::all();
    for name in [
        "v3.qcow2",
        "zlib.qcow2",
        "zstd.qcow2",
        "extended.qcow2",
        "dynamic.vhd",
        "fixed.vhd",
        "dynamic.vhdx",
        "fixed.vhdx",
        "dirty.vhdx",
        "sparse.vmdk",
        "stream.vmdk",
        "cowd-delta.vmdk",
        "se-sesparse.vmdk",
        "best.E01",
        "none.E01",
        "parts.E01",
        "machine.ova",
        "huge.qcow2",
    ] {
        let original = fixtures.bytes(name);
        let expected = fixtures.content(name);
        let mut errors = 0;
        let cuts = (1..16).map(|n| original.len() * n / 16).chain([original.len() - 600, original.len() - 100]);
        for cut in cuts {
            fixtures.put(name, &original[..cut]);
            let Ok(opened) = fixtures.open(name) else {
                errors += 1;
                continue;
            };
            let mut piece = vec![0; 4096];
            for (n, expected) in expected.chunks(4096).enumerate() {
                match opened.image.read_at(n as u64 * 4096, &mut piece) {
                    Ok(()) => assert!(piece == expected, "{name} cut at {cut:#x}: block {n} reads as something else"),
                    Err(_) => errors += 1,
                }
            }
        }
        assert!(errors > 0, "{name}: no cut was noticed");
        fixtures.put(name, &original);
    }
}

#[test]
fn compressed_raw_images_are_refused_with_what_to_do() {
    let fixtures = Fixtures::of(&["disk.raw"]);
    let raw = fixtures.bytes("disk.raw");
    fixtures.put("disk.raw.zst", &zstd::encode_all(&raw[..], 1).unwrap());
    let error = fixtures.error("disk.raw.zst");
    assert!(error.contains("zstd") && error.contains("unpack"), "{error}");
}
