//! `QueryChangedDiskAreas` (vSphere Web Services API, `DiskChangeInfo`): each answer covers a stretch of the disk, and
//! the query is repeated until all of it is covered.

use serde::Deserialize;

use super::{
    ChangedRanges, malformed,
    ranges::{follows, push},
};
use crate::error::Result;

const FORMAT: &str = "VMware changed disk areas";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiskChangeInfo {
    start_offset: u64,
    length: u64,
    #[serde(default)]
    changed_area: Vec<DiskChangeExtent>,
}

#[derive(Deserialize)]
struct DiskChangeExtent {
    start: u64,
    length: u64,
}

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let (mut ranges, mut end) = (Vec::new(), 0);
    for info in serde_json::Deserializer::from_str(text).into_iter::<DiskChangeInfo>() {
        let info = info.map_err(|error| malformed(FORMAT, error))?;
        end = follows(FORMAT, end, info.start_offset, info.length)?;
        for DiskChangeExtent { start, length } in info.changed_area {
            let inside = start >= info.start_offset && start.checked_add(length).is_some_and(|last| last <= end);
            if !inside {
                let what = format!("{length:#x} bytes at {start:#x} lie outside the stretch that ends at {end:#x}");
                return Err(malformed(FORMAT, what));
            }
            push(&mut ranges, FORMAT, start, length)?;
        }
    }
    Ok(ChangedRanges::covering(FORMAT, ranges, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"_typeName":"DiskChangeInfo","startOffset":0,"length":42949672960,
 "changedArea":[{"_typeName":"DiskChangeExtent","start":0,"length":65536}]}"#;

    #[test]
    fn answers_must_cover_the_disk() {
        let list = parse(FIRST).unwrap();
        assert_eq!(list.ranges(), std::slice::from_ref(&(0..65536)));
        assert!(list.check_size(42949672960).is_ok());
        assert!(list.check_size(42949672961).is_err(), "the rest of the disk was not asked about");
        let second = r#"{"startOffset":42949672960,"length":4096}"#;
        assert!(parse(&format!("{FIRST} {second}")).unwrap().check_size(42949677056).is_ok());
    }

    #[test]
    fn gaps_and_strays_are_refused() {
        for text in [
            format!(r#"{FIRST}{{"startOffset":42949672961,"length":4096}}"#),
            r#"{"startOffset":0,"length":4096,"changedArea":[{"start":4096,"length":1}]}"#.to_owned(),
            r#"{"startOffset":0,"changedArea":[]}"#.to_owned(),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }
}
