//! Thin volumes, a thin snapshot, and one with an external origin.

use snapfim::image::{Run, RunKind};

use crate::{Found, image, table};

#[test]
fn thin_volumes_have_the_content_that_their_mappings_give() {
    let found = Found::of(&["thin"]);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    let names: Vec<_> = found.assembled().map(|volume| volume.names[0].as_str()).collect();
    assert_eq!(names, ["tp/base", "tp/empty", "tp/over", "tp/runs", "tp/scattered", "tp/snap"]);
    found.compare(&table("thin"), &[]);
}

#[test]
fn what_was_never_written_is_a_hole() {
    let found = Found::of(&["thin"]);
    let empty = &found.get("empty").image;
    assert_eq!(empty.run_at(4096).unwrap(), Run { len: empty.len() - 4096, kind: RunKind::Hole });
    // Forty chunks from the hundredth on, in `thin.py`.
    let (runs, chunk) = (&found.get("runs").image, 65536);
    assert_eq!(runs.run_at(0).unwrap(), Run { len: 100 * chunk, kind: RunKind::Hole });
    assert_eq!(runs.run_at(140 * chunk).unwrap(), Run { len: 860 * chunk, kind: RunKind::Hole });
    assert_eq!(runs.run_at(120 * chunk).unwrap().kind, RunKind::Data);
    assert!(runs.run_at(runs.len()).is_err());
}

#[test]
fn a_pool_whose_superblock_is_damaged_refuses_its_volumes() {
    // In `thin.segments`, pool_tmeta begins with extent 5.
    let tmeta = (1 << 20) + 5 * 65536;
    let found = Found::on([image("thin").put(tmeta + 100, b"X")]);
    for name in ["empty", "over", "runs", "scattered", "snap"] {
        let why = found.gap(name);
        assert!(why.contains(&format!("tp/{name}: thin pool pool: dm-thin: superblock: checksum")), "{why}");
    }
    found.compare(&table("thin"), &["empty", "over", "runs", "scattered", "snap"]);
}
