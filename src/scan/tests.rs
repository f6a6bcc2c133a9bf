//! Scans of machines in memory.

use super::*;
use crate::{machine::test_machine, policy::Policy};

/// The manifest of everything, as text, and what else was seen.
fn scanned(machine: &Machine, threads: usize) -> (String, Seen) {
    scanned_under(&Policy::built_in("full").unwrap(), machine, threads)
}

/// The paths of a manifest's records, with the spelling of the rule that led there where that differs.
fn paths_under(policy: &str, machine: &Machine) -> Vec<String> {
    let policy = Policy::parse(policy, "policy.toml", &[]).unwrap();
    let (lines, _) = scanned_under(&policy, machine, 1);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().map(str::to_owned);
    let shown =
        |line| Some([text(line, "path")?, text(line, "as").map_or_else(String::new, |own| format!(" as {own}"))]);
    lines.iter().filter_map(shown).map(|shown| shown.concat()).collect()
}

fn scanned_under(policy: &Policy, machine: &Machine, threads: usize) -> (String, Seen) {
    let policy = policy.for_machine("m").unwrap();
    let options = Options { threads, budgets: Budgets::default(), temp: &std::env::temp_dir(), reuse: None };
    let scanned = scan(machine, policy, &options, &Progress::default(), Vec::new()).unwrap();
    (String::from_utf8(zstd::decode_all(scanned.out.as_slice()).unwrap()).unwrap(), scanned.seen)
}

#[test]
fn what_a_mount_hides_is_said_and_is_a_gap_where_it_is_mounted_by_hand() {
    let seen = |options: &str, beneath: bool| {
        let machine = test_machine(
            |root| {
                root.file("/etc/fstab", format!("LABEL=data /usr/local/bin ext4 {options}\n")).dir("/usr/local/bin");
                if beneath {
                    root.file("/usr/local/bin/tool", "old");
                }
            },
            |data| {
                data.file("/tool", "new");
            },
        );
        let (lines, seen) = scanned(&machine, 2);
        assert!(lines.contains(r#"{"path":"/usr/local/bin/tool","kind":"file","size":3"#), "{lines}");
        let faults: Vec<_> = seen.faults.listed().map(SeenFault::name).collect();
        let notes: Vec<_> = seen.notes.iter().filter(|note| note.text().contains("beneath the volume")).collect();
        (faults, notes.len())
    };
    assert_eq!(seen("defaults", false), (Vec::new(), 0));
    assert_eq!(seen("noauto", false), (Vec::new(), 0));
    assert_eq!(seen("defaults", true), (Vec::new(), 1));
    assert_eq!(seen("noauto,x-systemd.automount", true), (Vec::new(), 1));
    assert_eq!(seen("noauto", true), (vec!["path:/usr/local/bin".to_owned()], 0));
}

#[test]
fn of_too_many_names_of_one_directory_the_same_are_told_whatever_the_threads() {
    const NAMES: usize = 66_000;
    let machine = || {
        test_machine(
            |root| {
                root.file("/etc/fstab", "").file("/real/file", "x");
                for name in 0..NAMES {
                    root.link("/many", format!("{name:05}").as_bytes(), "/real");
                }
            },
            |_| {},
        )
    };
    let (one, _) = scanned(&machine(), 1);
    let (three, _) = scanned(&machine(), 3);
    assert_eq!(one.lines().collect::<Vec<_>>(), three.lines().collect::<Vec<_>>());
    let told = |why: &str| one.lines().filter(|line| line.contains(why)).count();
    assert_eq!(told("more than 65536 entries lead to directories that deny them"), NAMES - 65_536);
    assert_eq!(told("was entered under another name already"), 65_536);
}

#[test]
fn an_exclude_of_a_directory_drops_no_file_of_its_name() {
    let machine = |dir: bool| {
        test_machine(
            |root| {
                root.file("/etc/fstab", "").file("/srv/data/other", "x");
                match dir {
                    true => root.file("/srv/data/zz/in", "x"),
                    false => root.file("/srv/data/zz", "x"),
                };
            },
            |_| {},
        )
    };
    let policy = "version = 1\n[[monitor]]\nname = 'a'\npaths = ['/srv/data']\nexclude = ['/srv/data/zz/']\n";
    assert_eq!(paths_under(policy, &machine(true)), ["/srv/data", "/srv/data/other"]);
    assert_eq!(paths_under(policy, &machine(false)), ["/srv/data", "/srv/data/other", "/srv/data/zz"]);
}

#[test]
fn links_that_a_wildcard_matches_in_the_root_are_followed() {
    let machine = test_machine(
        |root| {
            root.file("/etc/fstab", "").file("/usr/lib/x.so", "x").symlink("/lib", "usr/lib").file("/list", "x");
        },
        |_| {},
    );
    let policy = "version = 1\n[[monitor]]\nname = 'a'\npaths = ['/li*']\n";
    let expected = ["/lib", "/list", "/usr/lib as /lib", "/usr/lib/x.so as /lib/x.so"];
    assert_eq!(paths_under(policy, &machine), expected);
}

/// What is left out of a record for want of room is a gap as any other fault is.
#[test]
fn a_fault_that_the_manifest_makes_is_in_the_coverage_list() {
    let policy = EffectivePolicy::default();
    let records = Collector::new(&Sorter::new(std::env::temp_dir(), 0));
    let mut sink = Sink { policy: &policy, records, kept: Counts::default(), faults: Faults::default(), trace: vec![] };
    let mut record = Record::new("/f", Kind::File);
    record.set(manifest::Attribute::Acl, manifest::Value::Text("x".repeat(manifest::write::LINE_MAX)));
    walk::Records::push(&mut sink, record, Trace::default()).unwrap();
    let listed: Vec<_> = sink.faults.listed().map(|fault| (fault.name(), fault.why.clone())).collect();
    let why = "attributes not read: manifest: record: longer than 16777216 bytes, left out: acl";
    assert_eq!(listed, [("path:/f".to_owned(), why.to_owned())]);
    assert_eq!(Counts::sum(&[sink.records.finish()]).of(Kind::Fault), 1);
}

#[test]
fn what_an_exclude_drops_as_a_directory_is_no_gap_either() {
    let machine = test_machine(
        |root| {
            root.file("/etc/fstab", "LABEL=data /backup ext4 noauto\n").file("/backup/old", "x");
        },
        |_| {},
    );
    for exclude in ["/backup", "/backup/"] {
        let policy = format!("version = 1\nprofiles = ['full']\nexclude = ['{exclude}']\n");
        let (_, seen) = scanned_under(&Policy::parse(&policy, "policy.toml", &[]).unwrap(), &machine, 1);
        assert_eq!(seen.faults.listed().map(SeenFault::name).collect::<Vec<_>>(), [""; 0], "{exclude}");
    }
}

#[test]
fn links_of_more_bytes_than_a_first_line_holds_are_gaps_and_no_damaged_manifest() {
    let machine = test_machine(
        |root| {
            root.file("/etc/fstab", "").dir("/data");
            (0..20_000).for_each(|number| {
                root.symlink(&format!("/home/{number:05}{}", "n".repeat(230)), "/data");
            });
        },
        |_| {},
    );
    let policy = Policy::parse("version = 1\n[[monitor]]\nname = 'a'\npaths = ['/home/*']\n", "p", &[]).unwrap();
    let (_, seen) = scanned_under(&policy, &machine, 1);
    assert!(seen.header.line().unwrap().len() < 8 << 20);
    let gaps = seen.faults.listed().filter(|fault| fault.why.contains("a link that is not followed")).count();
    assert_eq!(gaps, faults::FAULTS_LISTED);
}
