//! Inode flags, as `FS_IOC_GETFLAGS` gives them, by the names of `lsattr`.
//!
//! Bits, letters and names: e2fsprogs, `lsattr(1)`, `chattr(1)` and `lib/e2p/pf.c`; the kernel's
//! documentation, ext4 Data Structures and Algorithms, "Inode Table", `i_flags`.

/// `i_flags` bit, letter of `lsattr`, name of `lsattr -l` in lower case; in the order in which `lsattr` prints.
const FLAGS: [(u32, char, &str); 23] = [
    (0x0000_0001, 's', "secure_deletion"),
    (0x0000_0002, 'u', "undelete"),
    (0x0000_0008, 'S', "synchronous_updates"),
    (0x0001_0000, 'D', "synchronous_directory_updates"),
    (0x0000_0010, 'i', "immutable"),
    (0x0000_0020, 'a', "append_only"),
    (0x0000_0040, 'd', "no_dump"),
    (0x0000_0080, 'A', "no_atime"),
    (0x0000_0004, 'c', "compression_requested"),
    (0x0000_0800, 'E', "encrypted"),
    (0x0000_4000, 'j', "journaled_data"),
    (INDEX, 'I', "indexed_directory"),
    (0x0000_8000, 't', "no_tailmerging"),
    (0x0002_0000, 'T', "top_of_directory_hierarchies"),
    (EXTENTS, 'e', "extents"),
    (HUGE_FILE, 'h', "huge_file"),
    (0x0080_0000, 'C', "no_cow"),
    (0x0200_0000, 'x', "dax"),
    (0x4000_0000, 'F', "casefold"),
    (INLINE_DATA, 'N', "inline_data"),
    (0x2000_0000, 'P', "project_hierarchy"),
    (0x0010_0000, 'V', "verity"),
    (0x0000_0400, 'm', "dont_compress"),
];
const INDEX: u32 = 0x0000_1000;
const EXTENTS: u32 = 0x0008_0000;
const HUGE_FILE: u32 = 0x0004_0000;
const INLINE_DATA: u32 = 0x1000_0000;

/// `e I N h`: how the filesystem lays the file out. It sets them by itself, so they are not compared.
pub const LAYOUT: u32 = EXTENTS | INDEX | INLINE_DATA | HUGE_FILE;

/// The names joined by commas, in `lsattr`'s order; bits without a name follow as one hexadecimal number.
/// No flags at all are the empty string.
#[must_use]
pub fn to_text(flags: u32) -> String {
    let mut names: Vec<String> =
        FLAGS.iter().filter(|(bit, ..)| flags & bit != 0).map(|(.., name)| (*name).to_owned()).collect();
    let unnamed = FLAGS.iter().fold(flags, |rest, (bit, ..)| rest & !bit);
    if unnamed != 0 {
        names.push(format!("{unnamed:#010x}"));
    }
    names.join(",")
}

/// The letters of `lsattr`, without the dashes for what is not set; bits without a letter are left out.
#[must_use]
pub fn to_letters(flags: u32) -> String {
    FLAGS.iter().filter(|(bit, ..)| flags & bit != 0).map(|(_, letter, _)| *letter).collect()
}

/// The flags without [`LAYOUT`]: what is compared by default.
#[must_use]
pub fn compared(flags: u32) -> u32 {
    flags & !LAYOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which bits lsattr has no name for, and `huge_file`, which it has dropped.
    fn named_by_lsattr(name: &&str) -> bool {
        !name.is_empty() && !name.starts_with("0x") && *name != "huge_file"
    }

    #[test]
    fn names_and_letters_are_those_of_lsattr() {
        let table = include_str!("../../fixtures/security/inode_flags.tsv");
        for line in table.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let flags = u32::from_str_radix(fields[0], 16).unwrap();
            let names: Vec<String> = to_text(flags).split(',').filter(named_by_lsattr).map(str::to_owned).collect();
            let expected: Vec<String> =
                fields[2].split(", ").filter(|name| *name != "---").map(str::to_lowercase).collect();
            assert_eq!(names, expected, "{line}");
            assert_eq!(to_letters(flags).replace('h', ""), fields[1].replace('-', ""), "{line}");
        }
        assert_eq!(table.lines().count(), 95);
    }

    #[test]
    fn layout_is_not_compared_and_unnamed_bits_are_kept() {
        assert_eq!(to_letters(LAYOUT), "Iehn".replace('n', "N"));
        assert_eq!(compared(0x8_0010), 0x10);
        assert_eq!(to_text(0x0020_0010), "immutable,0x00200000");
        assert_eq!(to_text(0), "");
    }
}
