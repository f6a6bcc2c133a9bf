//! `thin_delta --thin1 OLD --thin2 NEW` (thin-provisioning-tools, thin_delta(8)): runs of blocks of two thin volumes.
//! What is mapped in neither is not listed, and reads as zeros in both. Blocks are counted in `data_block_size`
//! sectors of 512 bytes. With `--verbose` a run has no numbers of its own, and holds ranges instead.

use super::{
    ChangedRanges, malformed,
    ranges::push,
    xml::{self, Node},
};
use crate::error::Result;

const FORMAT: &str = "thin_delta";
const SECTOR: u64 = 512;
/// How deep runs stand in the document.
const RUN: usize = 3;
/// Thin blocks have 64 KiB to 1 GiB: Linux, Documentation/admin-guide/device-mapper/thin-provisioning.rst.
const MAX_BLOCK: u64 = 1 << 30;

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let (mut ranges, mut block, mut diffs, mut empty) = (Vec::new(), 0_u64, 0_u32, false);
    xml::walk(text, FORMAT, &mut |path, node| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let start = match node {
            Node::Start(start) => start,
            Node::Text(_) => return Err(malformed(FORMAT, "text between elements")),
            Node::End if empty && path.len() == RUN => {
                return Err(malformed(FORMAT, "a run without numbers or ranges"));
            }
            Node::End => return Ok(()),
        };
        let bytes = |name: &str| {
            let blocks = xml::number(start, name, FORMAT)?;
            blocks.checked_mul(block).ok_or_else(|| malformed(FORMAT, format!("{name} {blocks}")))
        };
        match path.as_slice() {
            ["superblock"] => {
                let sectors = xml::number(start, "data_block_size", FORMAT)?;
                let bytes = sectors.checked_mul(SECTOR);
                block = bytes.filter(|block| (1..=MAX_BLOCK).contains(block)).unwrap_or(0);
                if block == 0 {
                    return Err(malformed(FORMAT, format!("blocks of {sectors} sectors")));
                }
            }
            ["superblock", "diff"] => diffs = diffs.saturating_add(1),
            ["superblock", "diff", "same"] | ["superblock", "diff", "same", "range"] => empty = false,
            ["superblock", "diff", "different" | "left_only" | "right_only"]
                if start.attributes_raw().trim().is_empty() =>
            {
                empty = true;
            }
            ["superblock", "diff", "different" | "left_only" | "right_only"]
            | ["superblock", "diff", "different" | "left_only" | "right_only", "range"] => {
                push(&mut ranges, FORMAT, bytes("begin")?, bytes("length")?)?;
                empty = false;
            }
            path => return Err(malformed(FORMAT, format!("<{}> is not expected there", path.join("/")))),
        }
        Ok(())
    })?;
    if diffs != 1 {
        return Err(malformed(FORMAT, format!("{diffs} comparisons, expected 1")));
    }
    Ok(ChangedRanges::sparse(FORMAT, ranges, block.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="1000">
  <diff left="1" right="2">
    <same begin="0" length="10"/>
    <different begin="10" length="4"/>
    <left_only begin="14" length="2"/>
    <right_only begin="20" length="8"/>
  </diff>
</superblock>"#;

    #[test]
    fn all_but_the_same_may_have_changed() {
        let list = parse(LIST).unwrap();
        assert_eq!(list.ranges(), [10 * 65536..16 * 65536, 20 * 65536..28 * 65536]);
        let verbose = LIST.replace(
            r#"<different begin="10" length="4"/>"#,
            r#"<different> <range begin="10" left_data_begin="3" right_data_begin="9" length="4"/> </different>"#,
        );
        assert_eq!(parse(&verbose).unwrap(), list);
        assert!(list.check_size(28 * 65536 - 512).is_ok() && list.check_size(27 * 65536).is_err());
    }

    #[test]
    fn what_is_damaged_or_not_expected_is_refused() {
        for (from, to) in [
            ("data_block_size=\"128\"", ""),
            ("data_block_size=\"128\"", "data_block_size=\"0\""),
            ("data_block_size=\"128\"", "data_block_size=\"99999999999\""),
            ("begin=\"10\"", "begin=\"18446744073709551615\""),
            ("begin=\"10\"", "begin=\"x\""),
            ("begin=\"10\"", ""),
            ("begin=\"10\" length=\"4\"", ""),
            ("<right_only", "<changed"),
            ("</diff>", "</diff><diff></diff>"),
            ("<same begin=\"0\" length=\"10\"/>", "text"),
        ] {
            assert!(parse(&LIST.replace(from, to)).is_err(), "{from} {to}");
        }
    }
}
