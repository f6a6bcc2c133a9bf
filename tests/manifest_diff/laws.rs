//! What holds for all scans, on generated trees.

use std::collections::BTreeSet;

use proptest::prelude::*;
use snapfim::{
    diff::{ChangeKind, Collected, Input, run},
    manifest::{Reader, Sorter},
};

use crate::support::{Scan, compared, diff, diff_with, diff_within, dir, file, reader, sorter};
use crate::tree::{self, Lines};

#[test]
fn what_spills_to_disk_comes_out_as_what_does_not() {
    let (mut old, mut new) = (vec![dir("/p", "0")], vec![dir("/q", "0")]);
    for at in 0..4000 {
        let (path, id, content) = (format!("{at:04}"), format!("{}", at + 1), format!("content {at}"));
        match at % 5 {
            0 => old.push(file(&format!("/p/{path}"), &id, &content)),
            1 => new.push(file(&format!("/q/{path}"), &id, &content)),
            2 => {
                old.push(file(&format!("/p/{path}"), &id, &content));
                new.push(file(&format!("/q/{path}"), &id, &content));
            }
            3 => {
                old.push(file(&format!("/p/{path}"), &id, &content));
                new.push(file(&format!("/q/{path}"), &id, "other"));
            }
            _ => {
                old.push(file(&format!("/x/{path}"), "", &content));
                new.push(file(&format!("/a/{path}"), "", &content));
            }
        }
    }
    let (old, new) = (Scan::of(&old), Scan::of(&new));
    let spilling = diff_within(&old, &new, None, sorter());
    let in_memory = diff_within(&old, &new, None, Sorter::new("/nonexistent", 256 << 20));
    assert!(spilling == in_memory);
    let (out, summary) = spilling;
    assert_eq!((summary.deleted, summary.created, summary.renamed, summary.moved_along), (800, 800, 1601, 800));
    assert!(out.changes.is_sorted_by_key(|change| change.new.as_ref().or(change.old.as_ref()).unwrap().path.clone()));
}

#[test]
fn a_damaged_side_ends_the_diff() {
    let good = Scan::of(&[file("/a", "1", "x")]);
    let mut bytes = Vec::new();
    let mut writer = snapfim::manifest::Writer::new(&mut bytes, &good.header).unwrap();
    writer.push(&good.records[0]).unwrap();
    writer.finish().unwrap();
    bytes.truncate(bytes.len() - 3);
    let old = Reader::new("old", std::io::Cursor::new(bytes));
    let error = old.and_then(|old| {
        let new = reader(&good.header, &good.records);
        let input =
            Input { old, carried: None, new, compared: &compared, access_times: true, policy: None, sorter: sorter() };
        run(input, &mut Collected::default())
    });
    assert!(error.unwrap_err().to_string().starts_with("old is damaged: "));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_with_itself_is_empty(Lines(scan) in tree::scan()) {
        let scan = Scan::of(&scan);
        let (out, summary) = diff_with(&scan, &scan, None);
        prop_assert_eq!(out, Collected::default());
        prop_assert_eq!(summary.entities_old, summary.entities_new);
    }

    #[test]
    fn a_diff_applied_to_the_old_side_gives_the_new_one((Lines(a), Lines(b)) in tree::two_scans()) {
        let (out, summary) = diff_with(&Scan::of(&a), &Scan::of(&b), None);
        let mut state = tree::State::of(&a);
        state.apply(&out.changes);
        prop_assert_eq!(state.compared(), tree::State::of(&b).compared());
        prop_assert_eq!(out.carried.len(), 0);
        let gone = summary.entities_old + summary.created - summary.deleted;
        prop_assert_eq!(gone, summary.entities_new);
    }

    #[test]
    fn nothing_is_lost_by_faults_that_come_and_go((Lines(a), Lines(damaged), Lines(b)) in tree::damaged_scans()) {
        let damaged = Scan::of(&damaged);
        let first = diff(&Scan::of(&a), &damaged);
        let deleted: BTreeSet<_> = first.changes.iter().filter(|change| change.kind == ChangeKind::Deleted)
            .filter_map(|change| change.old.as_ref().map(tree::place)).collect();
        for record in &b {
            prop_assert!(!deleted.contains(&tree::place(record)), "{} is said to be deleted", record.path.escape_ascii());
        }
        let carrying = damaged.clone().carrying(&first);
        let still = diff(&carrying, &carrying);
        prop_assert_eq!(&still, &Collected { carried: first.carried.clone(), ..Collected::default() });

        let second = diff(&carrying, &Scan::of(&b));
        prop_assert_eq!(&second.carried, &vec![]);
        let mut state = tree::State::of(&a);
        state.apply(&first.changes);
        state.apply(&second.changes);
        // Of what was created unreadable in part, the rest comes without an event: nothing is known to differ.
        state.learn(&damaged.records, &b);
        prop_assert_eq!(state.compared(), tree::State::of(&b).compared());
    }
}
