//! Comparisons of sides that have no time, or the wrong one.

use std::{fs::File, time::SystemTime};

use crate::{
    Nights, nights,
    support::{newest_manifest, snapfim},
};

#[test]
fn a_comparison_without_changes_never_says_that_nothing_was_compared() {
    let Nights { old, new, folder } = nights();
    let manifest = newest_manifest(&folder.path("state"));
    let (older, same) = (folder.disk("older.raw", 0), folder.disk("same.raw", 0));
    File::options().write(true).open(&older).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    // The newer side is the older file, one side has no time, and neither has.
    for [one, other] in [[&same, &older], [&manifest, &new], [&new, &manifest], [&manifest, &manifest], [&old, &same]] {
        let run = snapfim(["diff".as_ref(), one.as_os_str(), other.as_os_str()]).exits(0).prints("no changes");
        assert!(!run.out.contains("first scan"), "{}", run.out);
    }
}
