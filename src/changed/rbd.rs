//! `rbd diff --from-snap SNAP --format json` (Ceph, rbd(8), "diff"): what was written or discarded since; `exists` is
//! a string there. Nothing changed is an empty array.

use serde::Deserialize;

use super::{ChangedRanges, malformed, ranges::push};
use crate::error::Result;

const FORMAT: &str = "rbd diff";

#[derive(Deserialize)]
struct Entry {
    offset: u64,
    length: u64,
    /// Only whether it is there: both states are changes.
    #[serde(rename = "exists")]
    _exists: Exists,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Exists {
    True,
    False,
}

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let entries: Vec<Entry> = serde_json::from_str(text).map_err(|error| malformed(FORMAT, error))?;
    let mut ranges = Vec::new();
    for entry in entries {
        push(&mut ranges, FORMAT, entry.offset, entry.length)?;
    }
    Ok(ChangedRanges::sparse(FORMAT, ranges, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_discarded_are_both_changes() {
        let list = parse(
            r#"[{"offset":0,"length":4194304,"exists":"true"},{"offset":8388608,"length":4194304,"exists":"false"}]"#,
        )
        .unwrap();
        assert_eq!(list.ranges(), [0..4194304, 8388608..12582912]);
        assert_eq!(parse("[]").unwrap().ranges(), []);
        assert!(list.check_size(12582912).is_ok() && list.check_size(12582911).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for rows in [
            r#"[{"offset":0,"length":1,"exists":"maybe"}]"#,
            r#"[{"offset":0,"length":1}]"#,
            r#"[{"offset":18446744073709551615,"length":2,"exists":"true"}]"#,
        ] {
            assert!(parse(rows).is_err(), "{rows}");
        }
    }
}
