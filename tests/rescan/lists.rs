//! Lists as the tools themselves printed them: fixtures/rescan/make.sh.

use snapfim::changed::{self, ChangedRanges};

use crate::support::{differences, fixture};

fn printed(name: &str) -> ChangedRanges {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rescan").join(name);
    changed::parse(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_overlay_and_a_dirty_bitmap_tell_what_was_written() {
    let [old, new] = ["day0", "day1"].map(|day| fixture(&format!("rescan/{day}.raw.zst")));
    let mut expected: Vec<std::ops::Range<u64>> = Vec::new();
    for range in differences(&old, &new, 4096) {
        match expected.last_mut().filter(|last| last.end == range.start) {
            Some(last) => last.end = range.end,
            None => expected.push(range),
        }
    }
    for name in ["overlay.map.json", "nbdinfo.json"] {
        let list = printed(name);
        assert_eq!(list.ranges(), expected, "{name}");
        list.check_size(new.len() as u64).unwrap();
    }
}

#[test]
fn thin_delta_tells_which_blocks_differ() {
    let expected = [10 * 65536..15 * 65536, 20 * 65536..28 * 65536];
    assert_eq!(printed("thin_delta.xml").ranges(), expected);
    assert_eq!(printed("thin_delta-verbose.xml").ranges(), expected);
}
