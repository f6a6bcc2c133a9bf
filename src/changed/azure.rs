//! Azure Blob Storage, "Get Page Ranges" with `prevsnapshot`: written and cleared ranges, whose ends are inclusive. A
//! marker for the next page means that the list goes on. A page blob that holds a fixed VHD ends with its footer.

use super::{
    ChangedRanges, malformed,
    ranges::push,
    xml::{self, Node},
};
use crate::error::Result;

const FORMAT: &str = "Azure page ranges";
/// The footer of a fixed VHD, which is not part of the disk.
const FOOTER: u64 = 512;

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let (mut ranges, mut start, mut end, mut more) = (Vec::new(), None, None, false);
    xml::walk(text, FORMAT, &mut |path, node| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (path.as_slice(), node) {
            (["PageList"] | ["PageList", "NextMarker"], Node::Start(_) | Node::End) => {}
            (["PageList", "NextMarker"], Node::Text(_)) => more = true,
            (["PageList", "PageRange" | "ClearRange"], Node::Start(_)) => (start, end) = (None, None),
            (["PageList", "PageRange" | "ClearRange"], Node::End) => {
                let (Some(first), Some(last)) = (start.take(), end.take()) else {
                    return Err(malformed(FORMAT, "a range without Start or End"));
                };
                let bad = || malformed(FORMAT, format!("a range from {first} to {last}"));
                let len = u64::checked_sub(last, first).and_then(|len| len.checked_add(1)).ok_or_else(bad)?;
                push(&mut ranges, FORMAT, first, len)?;
            }
            (["PageList", _, "Start" | "End"], Node::Start(_) | Node::End) => {}
            (["PageList", "PageRange" | "ClearRange", which], Node::Text(text)) => {
                let number = text.parse::<u64>().map_err(|_| malformed(FORMAT, "an offset that is not a number"))?;
                let slot = if *which == "Start" { &mut start } else { &mut end };
                if slot.replace(number).is_some() {
                    return Err(malformed(FORMAT, format!("two values of {which} in one range")));
                }
            }
            (path, _) => return Err(malformed(FORMAT, format!("<{}> is not expected there", path.join("/")))),
        }
        Ok(())
    })?;
    if more {
        return Err(malformed(FORMAT, "NextMarker is set: the list is not complete"));
    }
    Ok(ChangedRanges::sparse(FORMAT, ranges, FOOTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<PageList>
  <PageRange><Start>0</Start><End>511</End></PageRange>
  <ClearRange><Start>512</Start><End>1023</End></ClearRange>
  <PageRange><Start>4096</Start><End>4607</End></PageRange>
  <NextMarker/>
</PageList>"#;

    #[test]
    fn ends_are_inclusive() {
        let list = parse(LIST).unwrap();
        assert_eq!(list.ranges(), [0..1024, 4096..4608]);
        assert!(list.check_size(4096).is_ok(), "the footer of a fixed VHD");
        assert!(list.check_size(4095).is_err());
    }

    #[test]
    fn what_is_not_complete_or_not_expected_is_refused() {
        for (from, to) in [
            ("<NextMarker/>", "<NextMarker>2!84</NextMarker>"),
            ("<End>511</End>", ""),
            ("<End>511</End>", "<End>511</End><End>512</End>"),
            ("<End>511</End>", "<End>-1</End>"),
            ("<Start>4096</Start>", "<Start>5000</Start>"),
            ("<Start>0</Start><End>511</End>", "<Start>0</Start><End>18446744073709551615</End>"),
            ("ClearRange>", "OtherRange>"),
            ("<NextMarker/>", "<!DOCTYPE x>"),
            ("<NextMarker/>", "&amp;"),
            ("</PageList>", "</PageList><PageList></PageList>"),
        ] {
            assert!(parse(&LIST.replace(from, to)).is_err(), "{from} {to}");
        }
    }
}
