//! A list of values that many keys share: what is learned of a machine costs no more than its hives have room for, and
//! what no longer fits is said.

use snapfim::machine::Machine;

use crate::{
    hives::{descriptors, machine_sid, path},
    machine::in_memory,
    regf::{self, Key, get, key, put},
};

const KEYS: usize = 400;
/// Elements of the shared list before its last.
const ELEMENTS: usize = 50_000;
/// What one of them comes to: its record and its place in a list, a name of one byte, data of four.
const ELEMENT: usize = 24 + 1 + 4;
/// How often the hive has room for what the list holds.
const TIMES: usize = 3;

/// The file offsets of records, in their order.
fn records<'h>(hive: &'h [u8], signature: &'h [u8; 2]) -> impl Iterator<Item = usize> + 'h {
    (4096 + 36..hive.len()).step_by(8).filter(move |at| hive[*at..].starts_with(signature))
}

/// A hive with these keys at `place`, which all have one list of values: one of another name again and again, and the
/// wanted one behind it.
fn shared(names: &[String], wanted: impl FnOnce(Key) -> Key, place: impl FnOnce(Vec<Key>) -> Key) -> Vec<u8> {
    let keys = place(names.iter().map(|name| key(name)).collect());
    let padding = (ELEMENTS + 1) * ELEMENT * TIMES / 2 - ELEMENTS * 4;
    // It comes first, so that its values do.
    let holder = key("!holder").value("list", 3, vec![0; (ELEMENTS + 1) * 4]).value("padding", 3, vec![0; padding]);
    let holder = wanted(holder.value("o", 4, [1, 0, 0, 0]));
    // Of this version data stands in one cell, however long it is.
    let mut hive = regf::write(3, &key("ROOT").subkey(holder).subkey(keys), &descriptors());
    let values: Vec<_> = records(&hive, b"vk").take(4).collect();
    let [list, _, other, wanted] = values[..] else { panic!("{values:?}") };
    let (list, cell) = (get(&hive, list + 8), |at: usize| u32::try_from(at - 4 - 4096).unwrap());
    let at = 4096 + list as usize + 4;
    (0..ELEMENTS).for_each(|element| put(&mut hive, at + element * 4, cell(other)));
    put(&mut hive, at + ELEMENTS * 4, cell(wanted));
    let named = |at: &usize| names.iter().any(|name| hive[at + 76..].starts_with(name.as_bytes()));
    for key in records(&hive, b"nk").filter(named).collect::<Vec<_>>() {
        put(&mut hive, key + 36, u32::try_from(ELEMENTS + 1).unwrap());
        put(&mut hive, key + 40, list);
    }
    hive
}

fn with(name: &str, hive: Vec<u8>) -> Machine {
    in_memory(|fs| {
        fs.file(&format!("/Windows/System32/config/{name}"), hive);
    })
}

#[test]
fn profiles_that_share_a_long_list_of_values_cost_no_more_than_the_hive_has_room_for() {
    let sids: Vec<_> = (0..KEYS).map(|number| format!("S-1-5-21-1-2-3-{}", 1000 + number)).collect();
    let hive = shared(
        &sids,
        |key| key.text("ProfileImagePath", 1, r"C:\Users\alice"),
        |keys| {
            path(r"Microsoft\Windows NT\CurrentVersion\ProfileList", |list| keys.into_iter().fold(list, Key::subkey))
        },
    );
    let machine = with("SOFTWARE", hive);
    let is_lost = |sid: &String| {
        let mut missing = machine.missing.iter().filter(|missing| missing.path == format!(r"HKU\{sid}").into_bytes());
        missing.any(|missing| missing.why.contains("the hive has room for"))
    };
    let lost: Vec<_> = sids.iter().map(is_lost).collect();
    assert_eq!(lost.iter().position(|lost| *lost), Some(TIMES));
    assert!(lost[TIMES..].iter().all(|lost| *lost));
}

#[test]
fn accounts_that_share_a_long_list_of_values_cost_no_more_than_the_hive_has_room_for() {
    let names: Vec<_> = (0..KEYS).map(|number| format!("user{number}")).collect();
    let fixed = [vec![0; 40], machine_sid(4)].concat();
    let hive = shared(
        &names,
        |key| key.value("", 1001, []),
        |keys| {
            let names = path(r"Users\Names", |list| keys.into_iter().fold(list, Key::subkey));
            path(r"SAM\Domains\Account", |account| account.value("V", 3, fixed).subkey(names))
        },
    );
    let machine = with("SAM", hive);
    let said = |note: &&String| note.contains(r"HKLM\SAM could not be read") && note.contains("the hive has room for");
    assert_eq!(machine.notes.iter().filter(said).count(), 1, "{:?}", machine.notes);
}
