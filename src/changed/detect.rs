//! Which format a list is in, by its content alone.

use super::{ChangedRanges, LAYER, MAX_LIST, azure, ebs, malformed, nbdinfo, qemu_map, rbd, thin_delta, vmware, xml};
use crate::error::{Error, Result};

/// How much of a list's beginning is looked at.
const HEAD: usize = 4096;

/// Reads a list in any of the formats of this room.
///
/// # Errors
/// When the list is in none of them, is damaged, or is not complete.
pub fn parse(bytes: &[u8]) -> Result<ChangedRanges> {
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_LIST) {
        return Err(Error::budget(LAYER, format!("the list is longer than {MAX_LIST} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| malformed("list", format!("not UTF-8 text: {error}")))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let end = (0..=HEAD.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let head = text.get(..end).unwrap_or(text);
    match head.chars().next() {
        Some('<') => match xml::root(text)?.as_str() {
            "PageList" => azure::parse(text),
            "superblock" => thin_delta::parse(text),
            other => Err(unknown(&format!("an XML document of <{other}>"))),
        },
        Some('[') => {
            let first = head.split_once('}').map_or(head, |(first, _)| first);
            let has = |key: &str| first.contains(key);
            if has("\"depth\"") {
                qemu_map::parse(text)
            } else if has("\"type\"") {
                nbdinfo::parse(text)
            } else if has("\"exists\"") || !has("{") {
                rbd::parse(text)
            } else {
                Err(unknown("a JSON array of other objects"))
            }
        }
        Some('{') if head.contains("\"ChangedBlocks\"") => ebs::parse(text),
        Some('{') if head.contains("\"startOffset\"") || head.contains("\"changedArea\"") => vmware::parse(text),
        // Its tokens are long, and the blocks come before everything else or behind it.
        Some('{') if text.contains("\"ChangedBlocks\"") => ebs::parse(text),
        Some(_) => Err(unknown("something else")),
        None => Err(unknown("nothing")),
    }
}

fn unknown(found: &str) -> Error {
    malformed(
        "list",
        format!(
            "found {found}, expected the output of qemu-img map, nbdinfo --map, EBS list-changed-blocks, Azure get \
             page ranges, rbd diff, VMware QueryChangedDiskAreas or thin_delta"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_is_refused() {
        for text in
            ["", "   ", "hello", "{}", "[{}]", "[1,2]", "[{\"a\":1}]", "<html></html>", "<", "[", "{", "\u{feff}"]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
    }

    /// Every list cut short anywhere is refused: what is missing may be a change.
    #[test]
    fn a_list_that_is_cut_short_is_refused() {
        for text in [
            r#"[{"start":0,"length":4096,"depth":0,"present":true,"zero":false,"data":true,"compressed":false}]"#,
            r#"[{"offset":0,"length":4096,"type":1,"description":"dirty"}]"#,
            r#"{"ChangedBlocks":[{"BlockIndex":0}],"BlockSize":524288,"VolumeSize":1}"#,
            "<PageList><PageRange><Start>0</Start><End>511</End></PageRange><NextMarker/></PageList>",
            r#"[{"offset":0,"length":4194304,"exists":"true"}]"#,
            r#"{"startOffset":0,"length":4096,"changedArea":[{"start":0,"length":512}]}"#,
            r#"<superblock data_block_size="128"><diff><different begin="0" length="1"/></diff></superblock>"#,
        ] {
            parse(text.as_bytes()).unwrap();
            for end in 0..text.len() {
                let cut = text.get(..end).unwrap();
                assert!(parse(cut.as_bytes()).is_err(), "{cut}");
            }
        }
    }
}
