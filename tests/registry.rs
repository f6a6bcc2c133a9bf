//! Hives read by `snapfim::registry`: authored ones against hivex, real ones against yarp and nt-hive.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout)]

#[path = "registry/authored.rs"]
mod authored;
#[path = "registry/corpus.rs"]
mod corpus;
#[path = "registry/damage.rs"]
mod damage;
mod regf;
#[path = "registry/replay.rs"]
mod replay;
#[path = "registry/shared.rs"]
mod shared;

use snapfim::{
    error::Fault,
    registry::{Hive, Key, KeyPath, Step, Value, Visitor},
};

/// All that a walk finds, one line each.
#[derive(Default)]
struct Listing<F> {
    rows: Vec<String>,
    faults: Vec<String>,
    format: F,
}

/// How keys and values become lines.
trait Format {
    fn key(&self, hive: &Hive, path: &KeyPath, key: &Key<'_>) -> String;
    fn value(&self, path: &KeyPath, value: &Value<'_>) -> String;
}

struct Lister<'h, F> {
    hive: &'h Hive,
    listing: Listing<F>,
}

impl<F: Format> Visitor for Lister<'_, F> {
    fn key(&mut self, path: &KeyPath, key: &Key<'_>) -> Step {
        self.listing.rows.push(self.listing.format.key(self.hive, path, key));
        self.listing.faults.extend(key.faults.iter().map(ToString::to_string));
        Step::Into
    }

    fn value(&mut self, path: &KeyPath, value: &Value<'_>) {
        self.listing.rows.push(self.listing.format.value(path, value));
        self.listing.faults.extend(value.fault.iter().map(ToString::to_string));
    }

    fn fault(&mut self, _: &KeyPath, fault: Fault) {
        self.listing.faults.push(fault.to_string());
    }
}

/// The sorted lines of a hive, and its faults.
fn list<F: Format>(hive: &Hive, format: F) -> (Vec<String>, Vec<String>) {
    let mut lister = Lister { hive, listing: Listing { rows: Vec::new(), faults: Vec::new(), format } };
    hive.walk(hive.root(), &mut lister);
    let Listing { mut rows, faults, .. } = lister.listing;
    rows.sort();
    (rows, faults)
}

/// Two listings are the same; shows the first differences where not.
fn assert_same(what: &str, found: &[String], expected: &[String]) {
    let missing: Vec<&String> = expected.iter().filter(|row| found.binary_search(row).is_err()).take(5).collect();
    let extra: Vec<&String> = found.iter().filter(|row| expected.binary_search(row).is_err()).take(5).collect();
    assert!(
        found.len() == expected.len() && missing.is_empty() && extra.is_empty(),
        "{what}: {} rows, expected {}; missing {missing:#?}, extra {extra:#?}",
        found.len(),
        expected.len()
    );
}

/// Path, last write, class and all of each value: for comparing two readings of ours.
struct Plain;

impl Format for Plain {
    fn key(&self, hive: &Hive, path: &KeyPath, key: &Key<'_>) -> String {
        let descriptor =
            key.security.map(|id| hive.descriptor(id).map(<[u8]>::to_vec).map_err(|error| error.to_string()));
        format!("{:?} {} {:?} {descriptor:?}", path.segments().collect::<Vec<_>>(), key.last_write, key.class)
    }

    fn value(&self, path: &KeyPath, value: &Value<'_>) -> String {
        let data = sha1::Digest::finalize(sha1::Digest::chain_update(<sha1::Sha1 as sha1::Digest>::new(), &value.data));
        let path: Vec<_> = path.segments().collect();
        format!("{path:?} {:?} {} {} {data:?}", value.name, value.kind, value.size)
    }
}
