//! `nbdinfo --map=qemu:dirty-bitmap:NAME --json` (libnbd, nbdinfo(1), "--map"): every stretch of the disk, clean or
//! dirty since the bitmap was begun. Maps of other contexts compare nothing and are refused.

use serde::Deserialize;

use super::{
    ChangedRanges, malformed,
    ranges::{follows, push},
};
use crate::error::Result;

const FORMAT: &str = "nbdinfo dirty bitmap";

#[derive(Deserialize)]
struct Entry<'a> {
    offset: u64,
    length: u64,
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    description: &'a str,
}

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let entries: Vec<Entry<'_>> = serde_json::from_str(text).map_err(|error| malformed(FORMAT, error))?;
    let (mut ranges, mut end) = (Vec::new(), 0);
    for entry in entries {
        end = follows(FORMAT, end, entry.offset, entry.length)?;
        match (entry.kind, entry.description) {
            (0, "clean") => {}
            (1, "dirty") => push(&mut ranges, FORMAT, entry.offset, entry.length)?,
            (kind, other) => {
                let what = format!("a row of type {kind}, '{}', expected clean or dirty", other.escape_default());
                return Err(malformed(FORMAT, what));
            }
        }
    }
    Ok(ChangedRanges::covering(FORMAT, ranges, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dirty_may_have_changed() {
        let list = parse(
            r#"[
{ "offset": 0, "length": 2097152, "type": 0, "description": "clean"},
{ "offset": 2097152, "length": 65536, "type": 1, "description": "dirty"}
]"#,
        )
        .unwrap();
        assert_eq!(list.ranges(), std::slice::from_ref(&(2097152..2162688)));
        assert!(list.check_size(2162688).is_ok() && list.check_size(2162689).is_err());
    }

    #[test]
    fn other_contexts_and_gaps_are_refused() {
        for rows in [
            r#"[{"offset":0,"length":512,"type":0,"description":"data"}]"#,
            r#"[{"offset":0,"length":512,"type":3,"description":"hole,zero"}]"#,
            r#"[{"offset":0,"length":512,"type":1,"description":"local"}]"#,
            r#"[{"offset":0,"length":512,"type":0}]"#,
            r#"[{"size":512,"percent":100,"type":0,"description":"clean"}]"#,
            r#"[{"offset":512,"length":512,"type":0,"description":"clean"}]"#,
        ] {
            assert!(parse(rows).is_err(), "{rows}");
        }
    }
}
