//! Arrays of the levels and superblock versions that are read, and of one that is not.

use snapfim::{image::Image, volume::content::State};

use crate::{Found, digest, gap, image, md_partitions::edited, table};

/// The one volume that was assembled.
fn only(found: &Found) -> &snapfim::volume::Volume {
    let assembled: Vec<_> = found.assembled().collect();
    assert_eq!(assembled.len(), 1);
    assembled[0]
}

#[test]
fn mirrors_and_linear_of_every_superblock_version() {
    for (name, names) in [
        ("mirror12", &["md/data", "data", "md/host:data"][..]),
        ("mirror10", &["md/7", "md7"]),
        ("mirror090", &["md3", "md/3"]),
        ("linear", &["md/joined", "joined"]),
    ] {
        let members = [format!("md-{name}-0"), format!("md-{name}-1")];
        for order in [[0, 1], [1, 0]] {
            let found = Found::on(order.map(|n| image(&members[n])));
            let volume = only(&found);
            assert_eq!(digest(volume.image.as_ref()).unwrap(), table("md")[name], "{name}");
            assert_eq!(volume.names[..names.len()], *names);
            for member in found.volumes.iter().filter(|volume| volume.start.is_some()) {
                assert!(member.closed && member.content.kind == "linux_raid_member");
                assert!(
                    matches!(&member.content.state, State::Note(why) if why.starts_with("member of the Linux RAID"))
                );
            }
        }
    }
}

#[test]
fn a_member_that_is_behind_is_not_read() {
    let found = Found::of(&["md-mirror12-0", "md-mirror12-1"]);
    assert!(found.has_note("member 0 was not used: it is not up to date") && found.has_note("degraded: 1 of 2"));
}

#[test]
fn one_member_of_a_mirror_is_read_and_one_of_linear_is_a_gap() {
    let found = Found::of(&["md-mirror10-1"]);
    assert_eq!(digest(only(&found).image.as_ref()).unwrap(), table("md")["mirror10"]);
    assert!(found.has_note("array 7: degraded: 1 of 2 members are sound"));
    let found = Found::of(&["md-linear-0"]);
    assert_eq!(found.assembled().count(), 0);
    assert!(gap(&found.volumes[0]).contains("member 1 is missing"));
}

#[test]
fn the_first_member_of_linear_shows_what_the_array_begins_with() {
    // Boot sector of a FAT12 volume, where the superblocks stand at the end.
    let mut boot = vec![0; 512];
    boot[11..24].copy_from_slice(&[0, 2, 1, 1, 0, 2, 64, 0, 0x20, 3, 0xf8, 3, 0]);
    let member = |number: u64| {
        edited(image(&format!("md-mirror10-{number}")), |block| block[72..76].copy_from_slice(&(-1_i32).to_le_bytes()))
    };
    for order in [[0, 1], [1, 0]] {
        let found = Found::on(order.map(|number| if number == 0 { member(0).put(0, &boot) } else { member(1) }));
        let array = only(&found);
        assert_eq!((array.content.kind, &array.content.ambiguous), ("vfat", &None));
        assert!(array.image.len() > 1 << 20);
        for member in found.volumes.iter().filter(|volume| volume.start.is_some()) {
            assert!(member.closed && matches!(&member.content.state, State::Note(why) if why.starts_with("member of")));
        }
        // A later member does not: what stands at its beginning lies in the middle of the array.
        let found = Found::on(order.map(|number| if number == 1 { member(1).put(0, &boot) } else { member(0) }));
        assert!(found.volumes.iter().any(|volume| volume.start.is_some() && volume.content.ambiguous.is_some()));
    }
}

#[test]
fn members_that_were_each_used_without_the_other_are_a_gap() {
    // Each knows the other as missing (`MD_DISK_ROLE_SPARE`, 0xffff), as many events later.
    let alone = |number: u64, events: u8| {
        edited(image(&format!("md-mirror10-{number}")), |block| {
            let other = 256 + 2 * (1 - number as usize);
            block[other..other + 2].fill(0xff);
            block[200] = events;
        })
    };
    for order in [[0, 1], [1, 0]] {
        let found = Found::on(order.map(|number| alone(number, 99)));
        assert_eq!(found.assembled().count(), 0);
        for volume in &found.volumes {
            assert!(gap(volume).contains("members 0 and 1 were each used without the other"), "{}", gap(volume));
        }
        // mdadm takes the one with more events.
        let found = Found::on(order.map(|number| alone(number, 98 + number as u8)));
        assert_eq!(digest(only(&found).image.as_ref()).unwrap(), table("md")["mirror10"]);
        let found = Found::on([alone(order[0], 99)]);
        assert_eq!(digest(only(&found).image.as_ref()).unwrap(), table("md")["mirror10"]);
    }
}

#[test]
fn a_level_that_is_not_read_is_named() {
    let found = Found::of(&["md-five-0", "md-five-1", "md-five-2"]);
    assert_eq!(found.assembled().count(), 0);
    for volume in &found.volumes {
        assert_eq!(gap(volume), "md: array five: level raid5 is not read, superblock 1.2, 3 members");
    }
}

#[test]
fn a_superblock_with_a_wrong_checksum_is_a_gap() {
    let found = Found::on([image("md-mirror12-1").put(4096 + 80, b"X")]);
    assert!(gap(&found.volumes[0]).contains("superblock 1.2 at 0x1000: checksum"), "{}", gap(&found.volumes[0]));
}

#[test]
fn lvm_on_a_mirror_is_found_once() {
    // A physical volume as the content of a mirror whose superblock stands at the end of its members.
    let room = 5 << 20;
    let member = |number: u64| {
        let end = image(&format!("md-mirror090-{number}"));
        let at = end.len() - 65536;
        let mut superblock = end.get(at, 4096);
        let word = |n: usize| n * 4..n * 4 + 4;
        superblock[word(8)].copy_from_slice(&(4_u32 << 10).to_le_bytes());
        superblock[word(38)].fill(0);
        let words = superblock.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())));
        let sum: u64 = words.sum();
        superblock[word(38)].copy_from_slice(&(((sum & 0xffff_ffff) + (sum >> 32)) as u32).to_le_bytes());
        image("odd0").grown(room).put(room - 65536, &superblock)
    };
    let found = Found::on([member(0), image("odd1"), member(1)]);
    found.compare(&table("odd"), &[]);
    let ids: Vec<_> = found.volumes.iter().map(|volume| volume.id.as_str()).collect();
    assert_eq!(found.assembled().filter(|volume| volume.names.contains(&"odd/plain".to_owned())).count(), 1, "{ids:?}");
    let members = found.volumes.iter().filter(|volume| volume.start.is_some());
    assert_eq!(members.filter(|volume| volume.content.kind == "linux_raid_member").count(), 2);
}
