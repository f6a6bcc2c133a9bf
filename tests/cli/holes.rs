//! Budgets of holes: what is over one is a gap that says how to raise it.

use std::fs::{self, File};

use crate::support::{Folder, newest_manifest, records};

#[test]
fn files_that_have_too_many_holes_together_are_gaps_that_name_the_flag() {
    const MIB: u64 = 1 << 20;
    let folder = Folder::new();
    let tree = folder.path("tree");
    fs::create_dir_all(tree.join("srv")).unwrap();
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    for (name, size) in [("small", MIB), ("a", 2 * MIB), ("b", 2 * MIB), ("c", 2 * MIB), ("large", 9 * MIB)] {
        File::create(tree.join("srv").join(name)).unwrap().set_len(size).unwrap();
    }
    let scan = |flags: &[&str], code| {
        let folder = Folder::new();
        let run = folder.night(&tree, 0, flags).exits(code);
        let manifest = records(&newest_manifest(&folder.path("state")));
        assert_eq!(manifest.matches(r#""kind":"file","size":2097152"#).count(), 3, "{manifest}");
        let faults = manifest.lines().filter(|line| line.contains(r#""part":"content""#));
        (run.err, faults.map(str::to_owned).collect::<Vec<_>>())
    };
    let (_, faults) = scan(&[], 0);
    assert!(faults.is_empty(), "{faults:?}");
    let (err, faults) = scan(&["--max-total-hole-bytes", "8388608"], 4);
    assert!(err.contains("raise it with --max-total-hole-bytes"), "{err}");
    assert!(matches!(faults.as_slice(), [one] if one.contains("/srv/large")), "{faults:?}");
    // Three have as many, of which two would fit: none comes before another.
    let (_, faults) = scan(&["--max-total-hole-bytes", "5242880"], 4);
    assert_eq!(faults.len(), 4, "{faults:?}");
    let (err, faults) = scan(&["--max-hole-bytes", "2097152"], 4);
    assert!(err.contains("raise it with --max-hole-bytes"), "{err}");
    assert_eq!(faults.len(), 1, "{faults:?}");
}
