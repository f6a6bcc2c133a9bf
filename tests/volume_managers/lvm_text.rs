//! Metadata that contradicts itself: written into a physical volume with the right checksums.

use crate::{Found, gap, image, support::Patched};

/// Where lvm puts the metadata area.
const MDA: u64 = 4096;

/// LVM2's CRC-32.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn number(image: &Patched, at: u64) -> u64 {
    u64::from_le_bytes(image.get(at, 8).try_into().unwrap())
}

/// The text in force.
pub(crate) fn text(image: &Patched) -> Vec<u8> {
    image.get(MDA + number(image, MDA + 40), number(image, MDA + 48) as usize)
}

/// The physical volume with this text at `offset` of its metadata area, which goes on behind its header.
pub(crate) fn with_text(image: Patched, text: &[u8], offset: u64) -> Patched {
    let size = number(&image, MDA + 32);
    let before_end = ((size - offset) as usize).min(text.len());
    let image = image
        .put(MDA + offset, &text[..before_end])
        .put(MDA + 512, &text[before_end..])
        .put(MDA + 40, &offset.to_le_bytes())
        .put(MDA + 48, &(text.len() as u64).to_le_bytes())
        .put(MDA + 56, &crc(text).to_le_bytes());
    let checksum = crc(&image.get(MDA + 4, 508));
    image.put(MDA, &checksum.to_le_bytes())
}

/// The disk `odd0` alone, its text changed once.
fn edited(from: &str, to: &str) -> Found {
    let image = image("odd0");
    let text = String::from_utf8(text(&image)).unwrap();
    assert!(text.contains(from), "{text}");
    Found::on([with_text(image, text.replacen(from, to, 1).as_bytes(), 512)])
}

fn refuses(from: &str, to: &str, name: &str, why: &str) {
    let found = edited(from, to);
    assert!(found.gap(name).contains(why), "{}", found.gap(name));
    assert!(found.gap(name).contains(&format!("odd/{name}")));
}

#[test]
fn a_text_that_wraps_around_is_read() {
    let image = image("odd0");
    let text = text(&image);
    let end = number(&image, MDA + 32);
    let found = Found::on([with_text(image, &text, end - 512)]);
    assert_eq!(crate::digest(found.get("plain").image.as_ref()).unwrap(), crate::table("odd")["plain"]);
}

#[test]
fn a_volume_that_names_itself() {
    let plain = "\"pv0\", 0\n";
    refuses(plain, "\"plain\", 0\n", "plain", "plain is made of itself");
    let found = edited(plain, "\"mirrored\", 0\n");
    assert!(!found.get("plain").closed);
    // Through the legs of a mirror.
    refuses("\"pv0\", 4\n", "\"mirrored\", 0\n", "mirrored", "mirrored is made of itself");
}

/// A volume that mirrors so many extents of `leg`.
fn mirror(name: &str, leg: &str, legs: usize) -> String {
    let id = format!("{name:a<6}-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa");
    let areas: Vec<String> = (0..legs).map(|extent| format!("\"{leg}\", {extent}")).collect();
    let areas = areas.join(", ");
    format!(
        "{name} {{\nid = \"{id}\"\nstatus = [\"READ\", \"VISIBLE\"]\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\n\
         extent_count = 1\ntype = \"mirror\"\nmirror_count = {legs}\nmirrors = [{areas}]\n}}\n}}\n"
    )
}

#[test]
fn reasons_of_mirrors_in_mirrors_do_not_multiply() {
    let first = "logical_volumes {";
    let volumes: String =
        [("l0", "gone"), ("l1", "l0"), ("l2", "l1")].map(|(name, leg)| mirror(name, leg, 64)).concat();
    let found = edited(first, &format!("{first}\n{volumes}"));
    for (name, leg) in [("l0", "gone is not up to date"), ("l2", "none of 64 legs can be read")] {
        let gap = found.gap(name);
        assert!(gap.contains(leg) && gap.ends_with("; and 56 more"), "{}", &gap[..gap.len().min(2000)]);
        assert!(gap.len() < 2000, "{} bytes", gap.len());
    }
}

#[test]
fn names_that_are_too_long_are_refused() {
    for from in ["plain {", "pv0 {", "odd {"] {
        let found = edited(from, &format!("{}{from}", "n".repeat(200)));
        assert!(gap(&found.volumes[0]).contains("a name of 2"), "{from} {}", gap(&found.volumes[0]));
    }
}

#[test]
fn extents_that_overlap() {
    let found = edited("\"pv0\", 8\n", "\"pv0\", 2\n");
    assert!(found.gap("plain").contains("extent 2 of pv0 belongs to old_mimage_0 as well"), "{}", found.gap("plain"));
}

#[test]
fn extents_out_of_range() {
    let plain = "\"pv0\", 0\n";
    refuses(plain, "\"pv0\", 46\n", "plain", "extents 46 to 49 of physical volume pv0, which has 4");
    refuses(plain, "\"pv0\", 9223372036854775807\n", "plain", "");
    refuses(plain, "\"pv0\", -1\n", "plain", "area pv0 begins at -1");
    refuses(plain, "\"pv7\", 0\n", "plain", "there is no logical volume pv7");
    refuses(plain, "\"mirrored\", 2\n", "plain", "extents 2 to 5 of mirrored lie past its end");
    refuses("extent_count = 3\n", "extent_count = 0\n", "plain", "it has no extents");
    refuses("extent_count = 3\n", "extent_count = 9223372036854775807\n", "plain", "");
}

#[test]
fn segments_that_do_not_follow_one_another() {
    let found = edited("pe_count = ", "pe_count = 10000000000 #");
    assert!(found.get("origin").closed && !found.get("plain").closed);
    let image = image("odd0");
    let text = String::from_utf8(text(&image)).unwrap();
    let at = text.find("plain {").unwrap();
    let (before, behind) = text.split_at(at);
    let text = format!("{before}{}", behind.replacen("start_extent = 0", "start_extent = 1", 1));
    let found = Found::on([with_text(image, text.as_bytes(), 512)]);
    assert!(found.gap("plain").contains("a segment at extent 1, expected at 0"));
}

#[test]
fn a_type_that_nobody_knows() {
    let found = edited("type = \"zero\"", "type = \"cache+METADATA_FORMAT\"");
    assert!(
        found
            .assembled()
            .any(|volume| { volume.closed && gap(volume).ends_with("segment type cache+METADATA_FORMAT is not read") })
    );
}

#[test]
fn a_group_that_cannot_be_parsed_is_a_gap_of_its_disk() {
    for (from, to) in [("extent_size = 128", "extent_size = 0"), ("seqno", "seqno = 1 seqno"), ("odd {", "odd")] {
        let found = edited(from, to);
        assert_eq!(found.volumes.len(), 1);
        assert!(gap(&found.volumes[0]).starts_with("lvm2: metadata area at 0x1000"), "{}", gap(&found.volumes[0]));
    }
}
