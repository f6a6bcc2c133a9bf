//! Transaction logs cut from authored states of a hive: replay must give the last state, or stop where it says.

use snapfim::registry::{Hive, LogFormat, Replay};

use super::{
    authored::{descriptors, sample},
    regf::{self, get, key, log, put, seal},
};

const BASE: usize = 4096;

/// Three states of a hive: a value changes, then keys are added, and the hive grows.
fn states() -> [Vec<u8>; 3] {
    let first = sample().text("state", 1, "first");
    let second = sample().text("state", 1, "other");
    let mut third = sample().text("state", 1, "third");
    for number in 0..200 {
        third = third.subkey(key(&format!("new {number}")).text("path", 2, "%TEMP%\\run.exe"));
    }
    [first, second, third].map(|root| regf::write(5, &root, &descriptors()))
}

fn open(hive: &[u8], logs: &[&[u8]]) -> Hive {
    Hive::open(hive.to_vec(), logs.iter().map(|log| log.to_vec()).collect()).unwrap()
}

/// The bins are those of `state`, and the base block is in order.
fn assert_state(hive: &Hive, state: &[u8], sequence: u32) {
    assert!(hive.bytes()[BASE..] == state[BASE..], "{:?}", hive.replay());
    assert_eq!([4, 8, 40].map(|at| get(hive.bytes(), at)), [sequence, sequence, get(state, 40)]);
    let mut sealed = hive.bytes()[..512].to_vec();
    seal(&mut sealed);
    assert_eq!(sealed, &hive.bytes()[..512]);
}

fn has_fault(replay: &Replay, words: &str) -> bool {
    replay.faults.iter().any(|fault| fault.to_string().contains(words))
}

fn has_note(replay: &Replay, words: &str) -> bool {
    replay.notes.iter().any(|note| note.contains(words))
}

/// A dirty hive at the first state with sequence numbers 100 and 99, and its two logs.
fn dirty() -> (Vec<u8>, Vec<u8>, Vec<u8>, [Vec<u8>; 3]) {
    let states = states();
    let one = log::log(&states[0], 100, &[log::step(100, &states[0], &states[1])]);
    let two = log::log(&states[0], 101, &[log::step(101, &states[1], &states[2])]);
    (log::dirty(&states[0], 100), one, two, states)
}

#[test]
fn entries_of_both_logs_apply_in_any_order_of_files() {
    let (hive, one, two, states) = dirty();
    assert!(states[2].len() > states[1].len());
    for (logs, used) in [([&one[..], &two], [0, 1]), ([&two, &one], [1, 0])] {
        let hive = open(&hive, &logs);
        assert_state(&hive, &states[2], 101);
        let Replay { dirty, base_block_damaged, format, logs, entries, notes, .. } = hive.replay();
        assert!(*dirty && !base_block_damaged && notes.is_empty() && hive.replay().faults.is_empty());
        assert_eq!((logs, entries, format), (&used.to_vec(), &2, &Some(LogFormat::LogEntries)));
    }
    let both =
        log::log(&states[0], 100, &[log::step(100, &states[0], &states[1]), log::step(101, &states[1], &states[2])]);
    assert_state(&open(&hive, &[&[], &both]), &states[2], 101);
}

#[test]
fn a_clean_hive_ignores_its_logs() {
    let (_, one, two, states) = dirty();
    let hive = open(&states[0], &[&one, &two]);
    assert!(hive.bytes() == states[0]);
    assert_eq!(*hive.replay(), Replay::default());
}

#[test]
fn a_damaged_base_block_comes_from_the_latest_log_alone() {
    let (mut hive, one, _, states) = dirty();
    let two = log::log(&states[0], 101, &[log::step(101, &states[0], &states[2])]);
    hive[..512].fill(0xAA);
    let hive = open(&hive, &[&one, &two]);
    assert_state(&hive, &states[2], 101);
    assert!(hive.replay().base_block_damaged);
    assert_eq!(hive.replay().logs, [1]);
    assert_eq!(get(hive.bytes(), 28), 0);
}

#[test]
fn a_damaged_base_block_without_logs_is_noted_and_the_root_is_found() {
    let (mut hive, _, _, states) = dirty();
    hive[..512].fill(0);
    let hive = open(&hive, &[]);
    assert!(hive.bytes()[BASE..] == states[0][BASE..]);
    assert!(has_note(hive.replay(), "no transaction log applies") && has_note(hive.replay(), "root key was searched"));
    assert!(hive.lookup("Sizes").unwrap().is_some());
}

#[test]
fn replay_stops_at_the_first_entry_that_is_not_in_order() {
    let (hive, _, _, states) = dirty();
    let good = log::step(100, &states[0], &states[1]);
    let mut bad_body = log::step(101, &states[1], &states[2]);
    *bad_body.last_mut().unwrap() ^= 1;
    let mut bad_header = log::step(101, &states[1], &states[2]);
    bad_header[33] ^= 1;
    let mut bad_bins = log::step(101, &states[1], &states[2]);
    put(&mut bad_bins, 16, get(&states[2], 40) + 512);
    log::rehash(&mut bad_bins);
    let gap = log::step(102, &states[1], &states[2]);
    let cut = log::step(101, &states[1], &states[2])[..2048].to_vec();
    for bad in [bad_body, bad_header, bad_bins, gap, cut] {
        let opened = open(&hive, &[&log::log(&states[0], 100, &[good.clone(), bad])]);
        assert_state(&opened, &states[1], 100);
        assert_eq!(opened.replay().entries, 1);
    }
}

#[test]
fn logs_that_do_not_continue_the_hive_are_not_used() {
    let (hive, one, two, states) = dirty();
    let stale = log::log(&states[0], 98, &[log::step(98, &states[0], &states[2])]);
    let opened = open(&hive, &[&stale]);
    assert!(opened.bytes()[BASE..] == states[0][BASE..]);
    assert!(has_note(opened.replay(), "older than the hive") && has_fault(opened.replay(), "read as it is"));
    assert_state(&open(&hive, &[&stale, &one]), &states[1], 100);

    let late = log::log(&states[0], 102, &[log::step(102, &states[1], &states[2])]);
    let opened = open(&hive, &[&one, &late]);
    assert_state(&opened, &states[1], 100);
    assert!(has_note(opened.replay(), "begins at 102, not behind 100"));

    let mut torn = two;
    torn[9] ^= 1;
    let opened = open(&hive, &[&one, &torn]);
    assert_state(&opened, &states[1], 100);
    assert!(has_fault(opened.replay(), "base block of log 1"));
}

#[test]
fn sequence_numbers_wrap_around() {
    let states = states();
    let one = log::log(&states[0], u32::MAX, &[log::step(u32::MAX, &states[0], &states[1])]);
    let two = log::log(&states[0], 0, &[log::step(0, &states[1], &states[2])]);
    assert_state(&open(&log::dirty(&states[0], u32::MAX), &[&two, &one]), &states[2], 0);
}

/// Note 11 of "Log entries": the lowest bit of the flags comes from the entry, the others stay.
#[test]
fn the_flag_bit_is_carried_over() {
    let (hive, _, _, states) = dirty();
    for (before, entry_flags, after) in [(2, 1, 3), (3, 0, 2), (2, 0xFF, 3)] {
        let mut hive = hive.clone();
        put(&mut hive, 144, before);
        seal(&mut hive);
        let page = states[1][BASE..2 * BASE].to_vec();
        let entry = log::entry(100, entry_flags, get(&states[0], 40), &[(0, page)]);
        assert_eq!(get(open(&hive, &[&log::log(&states[0], 100, &[entry])]).bytes(), 144), after);
    }
}

#[test]
fn an_entry_that_leaves_the_hive_is_not_applied() {
    let (hive, _, _, states) = dirty();
    let size = get(&states[0], 40);
    let page = states[1][BASE..2 * BASE].to_vec();
    let outside = log::entry(100, 0, size, &[(size as usize, page.clone())]);
    let opened = open(&hive, &[&log::log(&states[0], 100, &[outside])]);
    assert!(has_fault(opened.replay(), "its pages leave it or the hive"));
    assert!(opened.bytes()[BASE..] == states[0][BASE..]);

    let huge = log::entry(100, 0, 0x7FFF_F000, &[(0, page)]);
    let opened = open(&hive, &[&log::log(&states[0], 100, &[huge])]);
    assert!(has_fault(opened.replay(), "would outgrow its logs"));
    assert!(opened.bytes().len() == states[0].len());
}

/// Note 10 of "Log entries": a logged bin that is none is replaced, and recovery goes on.
#[test]
fn a_logged_page_that_is_no_bin_becomes_an_empty_bin() {
    let (hive, _, _, states) = dirty();
    let size = get(&states[0], 40) as usize;
    let entry = log::entry(100, 0, u32::try_from(size + 4096).unwrap(), &[(size, vec![0xEE; 4096])]);
    let opened = open(&hive, &[&log::log(&states[0], 100, &[entry])]);
    assert!(has_note(opened.replay(), "1 logged pages are no hive bins"));
    let bin = &opened.bytes()[BASE + size..];
    assert_eq!((&bin[..4], get(bin, 4) as usize, get(bin, 8), get(bin, 32)), (&b"hbin"[..], size, 4096, 4064));
    assert!(opened.bytes()[BASE..BASE + size] == states[0][BASE..]);
}

#[test]
fn a_log_of_the_old_form_applies_as_a_whole() {
    let states = states();
    for to in [&states[1], &states[2]] {
        let opened = open(&log::dirty(&states[0], 100), &[&log::dirty_vector(&states[0], to, 100)]);
        assert_state(&opened, to, 100);
        assert_eq!(opened.replay().format, Some(LogFormat::DirtyVector));
    }
    let mut damaged = log::dirty(&states[0], 100);
    damaged[..512].fill(0);
    assert_state(&open(&damaged, &[&log::dirty_vector(&states[0], &states[2], 100)]), &states[2], 100);
}

#[test]
fn a_log_of_the_old_form_that_is_not_in_order_is_not_used() {
    let states = states();
    let hive = log::dirty(&states[0], 100);
    let good = log::dirty_vector(&states[0], &states[1], 100);
    let short = good[..good.len() - 1].to_vec();
    let mut no_signature = good.clone();
    no_signature[512] = b'd';
    let mut being_written = good.clone();
    put(&mut being_written, 8, 99);
    seal(&mut being_written);
    let mut other_write = good.clone();
    other_write[12..20].copy_from_slice(&1_u64.to_le_bytes());
    seal(&mut other_write);
    for (bad, why) in [
        (short, "pages expected"),
        (no_signature, "DIRT expected"),
        (being_written, "was being written"),
        (other_write, "another write"),
    ] {
        let opened = open(&hive, &[&bad]);
        assert!(opened.bytes()[BASE..] == states[0][BASE..]);
        let told = has_note(opened.replay(), why) || has_fault(opened.replay(), why);
        assert!(told, "{why}: {:?}", opened.replay());
        assert_state(&open(&hive, &[&bad, &good]), &states[1], 100);
    }
}

/// What Windows leaves when the power fails, and what is left of older writes, costs nothing.
#[test]
fn what_a_power_failure_leaves_is_no_fault() {
    let (hive, one, _, states) = dirty();
    let mut torn = log::step(101, &states[1], &states[2]);
    *torn.last_mut().unwrap() ^= 1;
    let stale = log::step(90, &states[0], &states[2]);
    for rest in [torn.clone(), stale.clone(), vec![0; 4096], [torn, stale.clone()].concat(), vec![0xFF; 4096]] {
        let opened = open(&hive, &[&[&one[..], &rest].concat()]);
        assert_state(&opened, &states[1], 100);
        assert_eq!(opened.replay().faults, []);
    }
    let older = log::log(&states[0], 90, &[stale]);
    for logs in [[&one[..], &older], [&older, &one], [&one, &[]], [&one, &[0; 512]]] {
        let opened = open(&hive, &logs);
        assert_state(&opened, &states[1], 100);
        assert_eq!(opened.replay().faults, []);
    }
}

/// Each of these costs writes that the log held.
#[test]
fn damage_that_costs_log_entries_is_a_fault() {
    let (hive, one, two, states) = dirty();
    let good = log::step(100, &states[0], &states[1]);
    let next = log::step(101, &states[1], &states[2]);
    let after = log::step(102, &states[2], &states[1]);
    let mut bad_header = next.clone();
    bad_header[10] ^= 1;
    let mut bad_sequence = next.clone();
    bad_sequence[12] ^= 1;
    let mut bad_body = next.clone();
    *bad_body.last_mut().unwrap() ^= 1;
    let mut no_signature = next.clone();
    no_signature[0] ^= 1;
    let cut = next[..next.len() - 512].to_vec();
    for (rest, why) in [
        (vec![bad_header.clone()], "its header is damaged"),
        (vec![bad_sequence], "its header is damaged"),
        (vec![bad_header, after.clone()], "entry 102 at"),
        (vec![bad_body, after.clone()], "entry 102 at"),
        (vec![no_signature, after.clone()], "entry 102 at"),
        (vec![after.clone()], "entry 102 at"),
        (vec![cut], "it leaves the log"),
        (vec![next[..20].to_vec()], "it leaves the log"),
    ] {
        let opened = open(&hive, &[&log::log(&states[0], 100, &[vec![good.clone()], rest].concat())]);
        assert_state(&opened, &states[1], 100);
        assert!(has_fault(opened.replay(), why), "{why}: {:?}", opened.replay());
    }

    // The second log continues what the first no longer holds, or the first is not known for a log.
    let late = log::log(&states[0], 102, &[after]);
    assert!(has_fault(open(&hive, &[&one, &late]).replay(), "entry 102 at"));
    let mut unknown = one;
    unknown[0x24] ^= 1;
    let opened = open(&hive, &[&unknown, &two]);
    assert!(has_fault(opened.replay(), "base block of log 0"), "{:?}", opened.replay());
}

/// A hive that is whole and whose base block is not may be newer than the log.
#[test]
fn a_log_that_is_applied_to_a_hive_without_base_block_is_a_fault() {
    let (mut hive, one, ..) = dirty();
    hive[0x24] ^= 1;
    let opened = open(&hive, &[&one]);
    assert_eq!(opened.replay().entries, 1);
    assert!(has_fault(opened.replay(), "cannot be told"));
}

/// "Multiple transaction log files", old format: a second log that is later holds all, as of Windows 8.
#[test]
fn a_later_second_log_of_the_old_form_wins() {
    let states = states();
    let hive = log::dirty(&states[0], 100);
    let first = log::dirty_vector(&states[0], &states[1], 100);
    let mut second = log::dirty_vector(&states[0], &states[2], 101);
    let later = u64::from_le_bytes(second[12..20].try_into().unwrap()) + 1;
    second[12..20].copy_from_slice(&later.to_le_bytes());
    seal(&mut second);
    let opened = open(&hive, &[&first, &second]);
    assert_state(&opened, &states[2], 101);
    assert_eq!(opened.replay().logs, [1]);
}
