//! Partition tables on arrays, and arrays beside partition tables.
//!
//! What is expected is what the layout of an MBR says (UEFI 2.10, 5.2.1), and how the kernel and mdadm's udev rules call
//! the partitions of an array.

use snapfim::volume::{Volume, content::State};

use crate::{
    Found, gap, image,
    support::{self, Patched},
};

const MEMBER: u64 = 1 << 20;
const PARTS: [(u64, u64); 2] = [(64, 128), (192, 512)];

/// An MBR with these partitions (first sector, sectors).
fn mbr(parts: &[(u64, u64)]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (entry, &(start, len)) in sector[446..510].chunks_mut(16).zip(parts) {
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&(start as u32).to_le_bytes());
        entry[12..].copy_from_slice(&(len as u32).to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A member of the mirror whose superblock stands at its end, with a table and a swap signature at 32 KiB.
fn whole_disk(number: u64) -> Patched {
    let table = mbr(&PARTS);
    image(&format!("md-mirror10-{number}")).put(0, &table).put(32768 + 4086, b"SWAPSPACE2").put(32768 + 1024, &[1])
}

/// A superblock at the end of a member (Linux kernel, `md_p.h`, `struct mdp_superblock_1`), changed, its checksum right.
pub(crate) fn edited(disk: Patched, edit: impl Fn(&mut [u8])) -> Patched {
    edited_at(disk, (MEMBER - 8192) & !4095, edit)
}

fn edited_at(disk: Patched, at: u64, edit: impl Fn(&mut [u8])) -> Patched {
    let mut block = disk.get(at, 260);
    edit(&mut block);
    block[216..220].fill(0);
    let sum: u64 = block.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
    block[216..220].copy_from_slice(&(((sum & 0xffff_ffff) + (sum >> 32)) as u32).to_le_bytes());
    disk.put(at, &block)
}

fn named<'a>(found: &'a Found, name: &str) -> &'a Volume {
    let named: Vec<_> = found.volumes.iter().filter(|volume| volume.names.iter().any(|have| have == name)).collect();
    assert_eq!(named.len(), 1, "{name}");
    named[0]
}

/// The first bytes of the sector of the fixture's content where a partition begins.
fn begins(volume: &Volume, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    volume.image.read_at(0, &mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

#[test]
fn partitions_on_an_array_were_not_found() {
    let found = Found::on([image("md-mirror12-0"), image("md-mirror12-1").put(128 * 512, &mbr(&PARTS))]);
    for (name, start, len) in [("data1", 64, 128), ("data2", 192, 512)] {
        let volume = named(&found, name);
        assert_eq!(volume.image.len(), len * 512);
        begins(volume, &format!("mirror {start:08} "));
    }
    assert!(named(&found, "md/data1").names.contains(&"md/host:data1".to_owned()));
    let array = named(&found, "data");
    assert!(array.closed && array.content.state == State::Note("partitioned, mbr".to_owned()), "{:?}", array.content);
    assert_eq!(found.gaps, [""; 0]);
}

#[test]
fn partitions_of_an_array_of_whole_disks_were_found_on_each_member() {
    for disks in [vec![0, 1], vec![1, 0], vec![1]] {
        let found = Found::on(disks.iter().map(|&number| whole_disk(number)));
        assert_eq!(found.gaps, [""; 0]);
        assert_eq!(named(&found, "md7p1").content.kind, "swap");
        begins(named(&found, "md7p2"), "end 00000192 ");
        let open: Vec<_> = found.volumes.iter().filter(|volume| !volume.closed).collect();
        assert_eq!(open.len(), 2, "the partitions, once each");
        assert!(found.volumes.iter().all(|volume| matches!(volume.content.state, State::Note(_)) || !volume.closed));
    }
}

/// The array's second table is the member's end, and says that it stands where the array ends.
#[test]
fn the_end_of_the_table_of_an_array_was_a_damaged_table_of_its_member() {
    let table = support::bytes("gpt512.raw");
    let sectors = (table.len() as u64 / 512).to_le_bytes();
    let member = |number: usize| {
        let before = image(&format!("md-mirror12-{number}")).get(0, 128 * 512);
        edited_at(Patched::new([&before[..], &table].concat()), 4096, |block| {
            block[80..88].copy_from_slice(&sectors);
            block[136..144].copy_from_slice(&sectors);
        })
    };
    for members in [vec![0, 1], vec![1]] {
        let found = Found::on(members.iter().map(|&number| member(number)));
        assert_eq!(found.gaps, [""; 0]);
        assert_eq!(named(&found, "data2").content.kind, "swap");
    }
    // At any other place it is what is left of a table of the disk itself.
    let moved = edited_at(member(1), 4096, |block| block[128..136].copy_from_slice(&136_u64.to_le_bytes()));
    assert_eq!(Found::on([moved]).gaps.len(), 1);
}

#[test]
fn partitions_on_a_member_of_what_is_not_read_are_read() {
    let raid5 = edited(whole_disk(0), |block| block[72..76].copy_from_slice(&5_u32.to_le_bytes()));
    let found = Found::on([raid5]);
    assert!(gap(&found.volumes[0]).contains("level raid5 is not read"), "{}", gap(&found.volumes[0]));
    assert_eq!(found.volumes.len(), 3);
    assert_eq!(found.volumes[1].content.kind, "swap");
}

#[test]
fn a_member_that_ends_with_its_disk_was_taken_for_one_on_the_whole_disk() {
    for name in ["mirror10", "mirror090"] {
        let member = image(&format!("md-{name}-0")).get(0, MEMBER as usize);
        let disk = Patched::new(mbr(&[(2048, 2048)])).grown(2 * MEMBER).put(MEMBER, &member);
        let found = Found::on([disk]);
        assert_eq!(found.gaps, [""; 0], "{name}");
        assert_eq!(found.assembled().count(), 1, "{name}");
        assert_eq!(found.volumes[0].content.kind, "linux_raid_member");
    }
}

#[test]
fn arrays_in_the_partitions_of_arrays_come_to_an_end() {
    // A partition that is the member itself again, and one that holds the first one's superblock.
    let member = image("md-mirror12-1");
    let inner = member.get(0, 400 * 512);
    let disk = member.put(128 * 512, &mbr(&[(0, 1024), (1, 1023), (64, 700)])).put((128 + 64) * 512, &inner);
    let found = Found::on([disk]);
    assert!(found.volumes.len() < 10, "{}", found.volumes.len());
}

/// A disk that was a member once and was partitioned anew, or on which somebody wrote an old superblock.
#[test]
fn partitions_of_a_disk_that_the_array_does_not_use_were_hidden() {
    let stale = || edited(whole_disk(1), |block| block[200..208].copy_from_slice(&1_u64.to_le_bytes()));
    let found =
        Found::on([edited(whole_disk(0), |block| block[200..208].copy_from_slice(&99_u64.to_le_bytes())), stale()]);
    named(&found, "md7p1");
    let [member, swap, other] = &found.volumes[3..6] else { panic!() };
    assert!(gap(member).contains("does not use it; the partitions were read"), "{}", gap(member));
    assert!(!swap.closed && swap.content.kind == "swap" && !other.closed, "{:?} {:?}", swap.content, other.content);
    assert!(found.volumes[1].closed && found.volumes[2].closed, "those of the member that is used are the array's");
}
