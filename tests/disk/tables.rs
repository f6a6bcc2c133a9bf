//! Partition tables, against `sfdisk -J`.

use snapfim::volume::{Disk, Partition, TableKind, content::State, discover};

use crate::support::{Patched, image, text};

fn discovered(image: Patched) -> Disk {
    discover(&image.shared()).unwrap()
}

fn partitions(disk: &Disk) -> Vec<&Partition> {
    let mut partitions: Vec<_> = disk.volumes.iter().filter_map(|volume| volume.partition.as_ref()).collect();
    partitions.sort_by_key(|partition| partition.number);
    partitions
}

/// Compares with what sfdisk printed; it lists extended partitions, which are no volumes.
fn compare(disk: &Disk, json: &str) {
    let json: serde_json::Value = serde_json::from_str(&text(json)).unwrap();
    let table = &json["partitiontable"];
    let unit = table["sectorsize"].as_u64().unwrap();
    let id = table["id"].as_str().unwrap().to_lowercase();
    let gpt = table["label"] == "gpt";
    assert_eq!(disk.sector_size, unit);
    if gpt {
        assert_eq!(disk.guid.as_deref(), Some(id.as_str()));
    } else {
        assert_eq!(format!("{:#010x}", disk.signature.unwrap()), id);
    }
    let number = |node: &str| {
        let digits = node.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse::<u32>().unwrap()
    };
    let mut expected: Vec<_> = table["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| !matches!(row["type"].as_str().unwrap(), "5" | "f" | "85"))
        .map(|row| {
            let number = number(row["node"].as_str().unwrap());
            let kind = row["type"].as_str().unwrap().to_lowercase();
            Partition {
                number,
                table: if gpt { TableKind::Gpt } else { TableKind::Mbr },
                kind: if gpt { kind } else { format!("{kind:0>2}") },
                name: row["name"].as_str().map(str::to_owned),
                uuid: Some(match row["uuid"].as_str() {
                    Some(uuid) => uuid.to_lowercase(),
                    None => format!("{}-{number:02x}", &id[2..]),
                }),
                start: row["start"].as_u64().unwrap() * unit,
                len: row["size"].as_u64().unwrap() * unit,
            }
        })
        .collect();
    expected.sort_by_key(|partition| partition.number);
    assert_eq!(partitions(disk), expected.iter().collect::<Vec<_>>());
}

fn why(disk: &Disk) -> String {
    disk.gaps.iter().map(|gap| gap.why.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn tables_are_those_of_sfdisk() {
    for name in ["gpt512", "gpt4096", "mbr", "mbr4096"] {
        let disk = discovered(image(&format!("{name}.raw")));
        compare(&disk, &format!("{name}.sfdisk.json"));
        assert!(disk.gaps.is_empty(), "{name}: {}", why(&disk));
    }
}

#[test]
fn volumes_say_what_is_in_them() {
    let disk = discovered(image("gpt512.raw"));
    let state = |number: u32| {
        let volume = disk.volumes.iter().find(|volume| volume.partition.as_ref().unwrap().number == number).unwrap();
        (volume.content.kind, volume.content.state.clone(), volume.id.clone())
    };
    let id = |number: u32| format!("@a0000000-0000-4000-8000-{number:012}");
    let note = |why: &str| State::Note(why.to_owned());
    assert_eq!(state(7), ("vfat", State::Filesystem, id(7)));
    assert_eq!(state(2), ("swap", note("swap"), id(2)));
    assert_eq!(state(3), ("unknown", note("BIOS boot partition"), id(3)));
    assert_eq!(state(12), ("unknown", note("Microsoft reserved partition"), id(12)));
    assert_eq!(state(128), ("unknown", note("empty: all zeros"), id(128)));
    let State::Gap(noise) = state(5).1 else { panic!("{:?}", state(5)) };
    assert!(noise.contains("bytes without a known signature, not zero from 0x1000 on"), "{noise}");
}

#[test]
fn a_volume_is_called_by_partition_then_content_then_place() {
    let disk = discovered(image("mbr.raw"));
    let ids: Vec<_> = disk.volumes.iter().map(|volume| volume.id.as_str()).collect();
    let place = |sector: u64| format!("@{}", sector * 512);
    // The swap space's UUID of the recipe; an MBR has no GUIDs.
    let swap = "@12345678-1234-4234-8234-123456789abc";
    assert_eq!(ids, [&place(2048), &place(6144), swap, &place(18432), &place(26624)]);
}

#[test]
fn backup_header_stands_in() {
    let sound = discovered(image("gpt512.raw"));
    let damaged = [
        image("gpt512.raw").put(512 + 16, &[0]),
        image("gpt512.raw").put(512, &[0; 92]),
        // An entry: the header's checksum is right, that of the entries is not.
        image("gpt512.raw").put(1024 + 56, b"X"),
        // The disk was enlarged, and its copy is where the primary header says.
        image("gpt512.raw").put(512 + 16, &[0]).grown(20 << 20),
    ];
    for image in damaged {
        let disk = discovered(image);
        assert_eq!(partitions(&disk), partitions(&sound));
        assert!(disk.notes.iter().any(|note| note.contains("backup header was used")), "{:?}", disk.notes);
        assert!(disk.gaps.is_empty(), "{}", why(&disk));
    }
}

#[test]
fn two_bad_headers_are_a_gap() {
    let len = 16 << 20;
    let disk = discovered(image("gpt512.raw").put(512 + 16, &[0]).put(len - 512 + 16, &[0]));
    assert!(disk.volumes.is_empty());
    assert!(why(&disk).contains("no header holds"), "{}", why(&disk));
    assert_eq!((disk.gaps[0].start, disk.gaps[0].len), (0, len));
}

/// CRC-32 by the definition in UEFI, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// The disk with fields of both headers changed, and their checksums made right.
fn with_header(fields: &[(usize, &[u8])]) -> Patched {
    let mut disk = image("gpt512.raw");
    for at in [512, (16 << 20) - 512] {
        let mut header = disk.get(at, 92);
        for (offset, bytes) in fields {
            header[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        header[16..20].fill(0);
        let crc = crc32(&header).to_le_bytes();
        header[16..20].copy_from_slice(&crc);
        disk = disk.put(at, &header);
    }
    disk
}

#[test]
fn absurd_headers_end_in_a_gap() {
    let cases: [(&[(usize, &[u8])], &str); 5] = [
        (&[(80, &[0xff; 4])], "4294967295 entries"),
        (&[(84, &0_u32.to_le_bytes())], "entry size 0"),
        (&[(84, &129_u32.to_le_bytes())], "entry size 129"),
        (&[(84, &0x8000_0000_u32.to_le_bytes())], "2147483648 bytes"),
        (&[(72, &[0xff; 8])], "past the end of the image"),
    ];
    for (fields, expected) in cases {
        let disk = discovered(with_header(fields));
        assert!(why(&disk).contains(expected), "{expected}: {}", why(&disk));
        assert!(disk.volumes.is_empty());
    }
}

/// The disk with an entry of the primary table changed, and all checksums made right.
fn with_entry(slot: u64, first: u64, last: u64) -> Patched {
    let disk = image("gpt512.raw");
    let mut entries = disk.get(1024, 128 * 128);
    let at = (slot as usize - 1) * 128;
    entries[at + 32..at + 40].copy_from_slice(&first.to_le_bytes());
    entries[at + 40..at + 48].copy_from_slice(&last.to_le_bytes());
    let crc = crc32(&entries).to_le_bytes();
    with_header(&[(88, &crc)]).put(1024, &entries)
}

#[test]
fn entries_that_cannot_be_are_gaps() {
    let cases = [
        (2, 20_000, 10_000, "does not fit", 5),
        (2, 0, u64::MAX, "does not fit", 5),
        (2, u64::MAX - 1, u64::MAX - 1, "does not fit", 5),
        (2, 40_000, 50_000, "past the end of the image", 5),
        (2, 14_336, 1 << 40, "past the end of the image", 6),
        (2, 2_048, 4_095, "overlaps", 6),
    ];
    for (slot, first, last, expected, volumes) in cases {
        let disk = discovered(with_entry(slot, first, last));
        assert!(why(&disk).contains(expected), "{expected}: {}", why(&disk));
        assert_eq!(disk.volumes.len(), volumes, "{expected}");
    }
}

#[test]
fn a_cut_image_has_gaps_where_it_ends() {
    // In the middle of partition 5, which begins at sector 10240; partition 2 is behind the cut.
    let disk = discovered(image("gpt512.raw").cut(11_000 * 512));
    let len = |number: u32| {
        let volume = disk.volumes.iter().find(|volume| volume.partition.as_ref().unwrap().number == number);
        volume.map(|volume| volume.image.len())
    };
    assert_eq!((len(2), len(5), len(7)), (None, Some(760 * 512), Some(1 << 20)));
    let gaps: Vec<_> = disk.gaps.iter().map(|gap| (gap.start, gap.len)).collect();
    assert_eq!(gaps, [(14_336 * 512, 2048 * 512), (11_000 * 512, (12_288 - 11_000) * 512)]);
}

const EXTENDED: u64 = 10_240;

#[test]
fn a_chain_of_boot_records_ends() {
    // The first record's link: its own place, counted from the extended partition, is 0.
    let first = EXTENDED * 512;
    let link = |to: u32| image("mbr.raw").put(first + 462 + 8, &to.to_le_bytes());
    let back = discovered(link(0));
    assert!(why(&back).contains("leads back"), "{}", why(&back));
    assert_eq!(back.volumes.len(), 3);
    let nowhere = discovered(link(0x7fff_ffff));
    assert!(why(&nowhere).contains("extended boot record"), "{}", why(&nowhere));
    let noise = discovered(link(2));
    assert!(why(&noise).contains("no 55 aa"), "{}", why(&noise));
}

/// `partx --show` lists all five, as the kernel does.
#[test]
fn a_partition_whose_type_was_zeroed_was_none() {
    let whole = discovered(image("mbr.raw"));
    for entry in [446, 462, EXTENDED * 512 + 446] {
        let zeroed = discovered(image("mbr.raw").put(entry + 4, &[0]));
        let places =
            |disk: &Disk| partitions(disk).iter().map(|one| (one.number, one.start, one.len)).collect::<Vec<_>>();
        assert_eq!(places(&zeroed), places(&whole), "the entry at {entry:#x}");
        assert!(zeroed.gaps.is_empty() && partitions(&zeroed).iter().any(|one| one.kind == "00"));
    }
}

/// xorriso (`--mbr-force-bootable`) writes this entry for firmware that boots no disk without an active partition, and
/// administrators put it there by hand. Linux goes by the GPT alone where the MBR protects one; `partx --show` has no
/// such partition.
#[test]
fn an_active_entry_without_a_type_beside_a_gpt_was_a_partition() {
    let mut active = entry_of_type(0, 0, 1);
    active[0] = 0x80;
    let active = &active[..16];
    let whole = discovered(image("gpt512.raw"));
    let forced = discovered(image("gpt512.raw").put(462, active));
    assert_eq!(partitions(&forced), partitions(&whole));
    assert!(forced.gaps.is_empty() && forced.notes == whole.notes, "{}{:?}", why(&forced), forced.notes);
    // What begins where the table stands is the disk itself, which is looked at in any case.
    let alone = discovered(image("mbr.raw").put(494, active));
    assert_eq!(partitions(&alone), partitions(&discovered(image("mbr.raw"))));
}

#[test]
fn a_long_chain_of_boot_records_is_cut() {
    let mut disk = image("mbr.raw");
    for n in 0..400_u64 {
        let at = (EXTENDED + n) * 512;
        let mut record = vec![0; 512];
        record[446 + 4] = 0x83;
        record[446 + 8..][..4].copy_from_slice(&1_u32.to_le_bytes());
        record[446 + 12..][..4].copy_from_slice(&1_u32.to_le_bytes());
        record[462 + 4] = 5;
        record[462 + 8..][..4].copy_from_slice(&(n as u32 + 1).to_le_bytes());
        record[462 + 12..][..4].copy_from_slice(&1_u32.to_le_bytes());
        record[510..].copy_from_slice(b"\x55\xaa");
        disk = disk.put(at, &record);
    }
    let disk = discovered(disk);
    assert!(why(&disk).contains("longer than 128"), "{}", why(&disk));
    assert_eq!(disk.volumes.len(), 2 + 128);
}

#[test]
fn a_filesystem_without_partitions_is_the_whole_disk() {
    for (name, id) in [("fat12.raw", "@F00D-0012"), ("fat16.raw", "@F00D-0016"), ("fat32.raw", "@F00D-0032")] {
        let disk = discovered(image(name));
        assert_eq!(disk.volumes.len(), 1);
        assert_eq!((disk.volumes[0].id.as_str(), disk.volumes[0].start), (id, Some(0)));
        assert!(disk.volumes[0].partition.is_none() && disk.gaps.is_empty());
    }
}

#[test]
fn hybrid_tables_are_read_both() {
    // An entry of the protective MBR: sectors 16384 to 18431, which the GPT leaves free.
    let mut entry = [0; 16];
    entry[4] = 0x0c;
    entry[8..12].copy_from_slice(&16_384_u32.to_le_bytes());
    entry[12..].copy_from_slice(&2048_u32.to_le_bytes());
    let disk = discovered(image("gpt512.raw").put(462, &entry));
    assert_eq!(disk.volumes.len(), 7);
    assert!(disk.notes.iter().any(|note| note.contains("both tables were read")), "{:?}", disk.notes);
}

#[test]
fn protection_of_nothing_is_a_gap() {
    let len = 16 << 20;
    let disk = discovered(image("gpt512.raw").put(512, &[0; 8]).put(len - 512, &[0; 8]));
    assert!(why(&disk).contains("there is none"), "{}", why(&disk));
}

#[test]
fn a_filesystem_over_partitions_is_a_gap() {
    // The magic and features of an ext2 superblock at 1024, in the room before the first partition.
    let disk = discovered(image("mbr.raw").put(1024 + 56, b"\x53\xef"));
    assert_eq!(disk.volumes.len(), 5);
    assert!(why(&disk).contains("signature of ext2"), "{}", why(&disk));
}

#[test]
fn a_key_on_a_raw_partition_is_not_shown() {
    let key: Vec<u8> = (0x81..0xA1).collect();
    // The rest of the partition is zeros.
    let disk = discovered(Patched::new(vec![0; 2 << 20]).put(446, &entry_of_type(0x83, 2048, 1024)).put(1 << 20, &key));
    let [volume] = disk.volumes.as_slice() else { panic!("{} volumes", disk.volumes.len()) };
    let State::Gap(why) = &volume.content.state else { panic!("{:?}", volume.content.state) };
    assert_eq!(why, "not recognised: 524288 bytes without a known signature, not zero from 0x0 on");
}

/// The first entry of an MBR, and its signature.
fn entry_of_type(kind: u8, first: u32, sectors: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, kind, 0, 0, 0];
    bytes.extend(first.to_le_bytes().into_iter().chain(sectors.to_le_bytes()));
    bytes.resize(64, 0);
    bytes.extend([0x55, 0xAA]);
    bytes
}

#[test]
fn an_empty_table_shows_what_it_leaves_out() {
    let empty = Patched::new(vec![0; 1 << 20]).put(510, b"\x55\xaa");
    let disk = discovered(empty.clone());
    assert!(disk.volumes.is_empty() && disk.gaps.is_empty());
    assert_eq!(disk.notes, ["the partition table is empty"]);
    let disk = discovered(empty.put(700_000, b"x"));
    assert!(why(&disk).contains("no partition covers it"), "{}", why(&disk));
}

#[test]
fn copies_are_called_by_their_place() {
    let swap = image("mbr.raw").get(12_288 * 512, 4096);
    let disk = discovered(image("mbr.raw").put(18_432 * 512, &swap));
    let ids: Vec<_> = disk.volumes.iter().map(|volume| volume.id.as_str()).collect();
    assert_eq!(ids[2..4], ["@12345678-1234-4234-8234-123456789abc".to_owned(), format!("@{}", 18_432 * 512)]);
}
