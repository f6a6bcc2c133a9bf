//! `qemu-img map --output=json` (QEMU, docs/tools/qemu-img.rst, "map"): every stretch of the disk, with the depth of
//! the layer that it comes from. It compares nothing by itself; for an overlay made over what was scanned before,
//! what comes from the overlay, depth 0, is what may have changed.

use serde::Deserialize;

use super::{
    ChangedRanges, malformed,
    ranges::{follows, push},
};
use crate::error::Result;

const FORMAT: &str = "qemu-img map";

#[derive(Deserialize)]
struct Entry {
    start: u64,
    length: u64,
    depth: u64,
}

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let entries: Vec<Entry> = serde_json::from_str(text).map_err(|error| malformed(FORMAT, error))?;
    let (mut ranges, mut end) = (Vec::new(), 0);
    for entry in entries {
        end = follows(FORMAT, end, entry.start, entry.length)?;
        if entry.depth == 0 {
            push(&mut ranges, FORMAT, entry.start, entry.length)?;
        }
    }
    Ok(ChangedRanges::covering(FORMAT, ranges, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_top_layer_holds_may_have_changed() {
        let list = parse(
            r#"[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "compressed": false, "offset": 327680},
 { "start": 65536, "length": 983040, "depth": 1, "present": false, "zero": true, "data": false, "compressed": false}]"#,
        )
        .unwrap();
        assert_eq!(list.ranges(), std::slice::from_ref(&(0..65536)));
        assert!(list.check_size(1 << 20).is_ok() && list.check_size(2 << 20).is_err());
    }

    #[test]
    fn gaps_and_overlaps_are_refused() {
        for rows in [
            r#"[{"start":512,"length":512,"depth":0}]"#,
            r#"[{"start":0,"length":512,"depth":0},{"start":1024,"length":512,"depth":0}]"#,
            r#"[{"start":0,"length":512,"depth":0},{"start":0,"length":512,"depth":0}]"#,
            r#"[{"start":0,"length":0,"depth":0}]"#,
            r#"[{"start":0,"length":18446744073709551615,"depth":0},{"start":18446744073709551615,"length":9,"depth":0}]"#,
            r#"[{"start":-1,"length":512,"depth":0}]"#,
            r#"[{"start":0,"length":512}]"#,
        ] {
            assert!(parse(rows).is_err(), "{rows}");
        }
    }
}
