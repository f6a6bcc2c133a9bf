//! What is said of volumes that the system may mount somewhere and its mount table does not: a rule for a path on the
//! machine finds an empty directory where it would find them.

use std::ops::ControlFlow;

use super::{
    note::Note,
    walk::{interesting, state_at},
};
use crate::{
    error::Result,
    fs::{Kind, Listed},
    machine::{Machine, Sessions, Volume},
    policy::{EffectivePolicy, EntityPath, Matcher},
};

/// More such volumes are counted.
const SHOWN: usize = 4;

/// More entries of a volume's root are not asked whether a rule takes them.
const LOOKED_AT: usize = 10_000;

/// What `mke2fs` makes: nobody's file.
const EMPTY: &[u8] = b"lost+found";

/// An id that no volume has, and a name that no file has: only a wildcard matches them.
const NO_ID: &str = "@\u{1}";
const NO_NAME: &[u8] = b"\x01";

/// A note for each volume that no rule reaches, while rules reach places where the system may mount it.
pub(super) fn notes(machine: &Machine, policy: &EffectivePolicy, matcher: &Matcher) -> Vec<Note> {
    let is_monitored = |place: &&str| EntityPath::parse(place.as_bytes()).is_ok_and(|path| reaches(matcher, &path));
    let mut sessions = machine.sessions();
    let mut notes = Vec::new();
    let mut more = 0_u64;
    for (at, volume, places) in machine.unmounted() {
        let is_known = policy.accepts_gap(format!("volume:{}", volume.id).as_bytes());
        if is_known || !places.iter().any(is_monitored) || !is_left_out(&mut sessions, at, volume, matcher) {
            continue;
        }
        match notes.len() {
            SHOWN => more += 1,
            _ => notes.push(Note::Volume(volume.id.clone(), why(volume))),
        }
    }
    if more > 0 {
        let what = "more volumes are taken by no rule and not mounted by /etc/fstab; inspect lists them";
        notes.push(Note::Other(format!("{more} {what}")));
    }
    notes
}

fn reaches(matcher: &Matcher, path: &EntityPath) -> bool {
    interesting(&state_at(matcher, path))
}

fn why(volume: &Volume) -> String {
    let (id, fs) = (&volume.id, &volume.content);
    let label = volume.label.as_deref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    format!(
        "{fs}{label}: no rule takes it, and rules for its path on the machine find an empty mount point, since /etc/fstab \
         does not mount it; monitor \"{id}\", or accept this note by its name"
    )
}

/// Whether there is something on a volume, and no rule takes any of it, or says by the volume's own id what to take.
fn is_left_out(sessions: &mut Sessions<'_>, at: usize, volume: &Volume, matcher: &Matcher) -> bool {
    let root = |id: &str| EntityPath::parse(format!("{id}/").as_bytes()).map(|path| state_at(matcher, &path));
    let (Ok(state), Ok(other)) = (root(&volume.id), root(NO_ID)) else { return true };
    let is_named = interesting(&state) && !interesting(&other);
    if is_named || state.verdict().is_taken() || interesting(&matcher.child(&state, NO_NAME, true)) {
        return false;
    }
    let (mut is_empty, mut is_taken, mut seen) = (true, false, 0_usize);
    let mut list = || -> Result<()> {
        let session = sessions.of(at)?;
        let node = session.root();
        session.list(&node, &mut |listed| {
            seen += 1;
            match listed {
                Listed::Entry(entry) if entry.name != EMPTY => {
                    is_empty = false;
                    let container = matches!(entry.kind, None | Some(Kind::Dir));
                    is_taken = interesting(&matcher.child(&state, entry.name, container));
                }
                Listed::Entry(_) => {}
                Listed::Fault(_) => is_empty = false,
            }
            if is_taken || seen == LOOKED_AT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    // Of what cannot be listed nobody knows that it is empty.
    let is_listed = list().is_ok();
    !(is_taken || (is_listed && is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::{test_machine, test_volume},
        policy::Policy,
    };

    /// The notes on the volumes of a machine under a policy file.
    fn noted(machine: &Machine, policy: &str) -> Vec<Note> {
        let policy = Policy::parse(policy, "policy.toml", &[]).unwrap().for_machine("m").unwrap();
        notes(machine, &policy, &Matcher::new(&policy).unwrap())
    }

    fn monitoring(paths: &str) -> String {
        format!("version = 1\n[[monitor]]\nname = \"m\"\npaths = {paths}\n")
    }

    fn machine(fstab: &str, file: &str) -> Machine {
        test_machine(
            |root| {
                root.file("/etc/fstab", fstab).dir("/srv");
            },
            |data| {
                data.file(file, "x");
            },
        )
    }

    #[test]
    fn a_volume_that_fstab_leaves_out_is_noted_unless_a_rule_takes_it() {
        let unit = machine("LABEL=root / ext4 defaults\n", "/www/index.html");
        let expected = [Note::Volume(
            "@data".to_owned(),
            "memory \"data\": no rule takes it, and rules for its path on the machine find an empty mount point, since \
             /etc/fstab does not mount it; monitor \"@data\", or accept this note by its name"
                .to_owned(),
        )];
        for policy in [r#"["/srv"]"#, r#"["/"]"#, r#"["/srv", "@other/**"]"#, r#"["/srv", "@*/boot"]"#] {
            assert_eq!(noted(&unit, &monitoring(policy)), expected, "{policy}");
        }
        assert_eq!(noted(&unit, "version = 1\nprofiles = [\"recommended\"]\n"), expected);
        assert_eq!(noted(&unit, "version = 1\nprofiles = [\"extended\"]\n"), expected);
        for policy in [
            r#"["/srv", "@data"]"#,
            r#"["/srv", "@*"]"#,
            r#"["/srv", "@*/**"]"#,
            r#"["/srv", "@data/gone"]"#,
            r#"["/srv", "@*/www"]"#,
            r#"["/srv", "**/*.conf"]"#,
            r#"['C:\x']"#,
        ] {
            assert_eq!(noted(&unit, &monitoring(policy)), [], "{policy}");
        }
        assert_eq!(noted(&unit, "version = 1\nprofiles = [\"full\"]\n"), []);
        let accepted =
            format!("{}\n", monitoring(r#"["/srv"]"#)).replace("1\n[[", "1\naccept = [\"volume:@data\"]\n[[");
        assert_eq!(noted(&unit, &accepted), []);
        assert_eq!(noted(&machine("LABEL=data /srv ext4 defaults\n", "/x"), &monitoring(r#"["/srv"]"#)), []);
        assert_eq!(noted(&machine("LABEL=data /srv ext4 noauto\n", "/x"), &monitoring(r#"["/srv"]"#)), []);
    }

    #[test]
    fn boot_partitions_count_where_boot_is_monitored_and_copies_other_systems_and_empty_volumes_never() {
        let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let recovery = "de94bba4-06d1-4d40-a16a-bfd50179d6ac";
        let with = |kind: Option<&str>, file: &str, uuid: &str| {
            let mut data = test_volume("data", |data| {
                data.file(file, "x");
            });
            data.part_kind = kind.map(str::to_owned);
            data.uuid = Some(uuid.to_owned());
            let root = test_volume("root", |root| {
                root.file("/etc/fstab", "");
            });
            let machine = Machine::assemble(vec![root, data], Some("@root")).unwrap();
            ["/srv", "/boot"].map(|path| noted(&machine, &monitoring(&format!("[\"{path}\"]"))).len())
        };
        assert_eq!(with(None, "/x", "data"), [1, 1]);
        assert_eq!(with(Some(esp), "/EFI/x", "data"), [0, 1]);
        assert_eq!(with(Some("ef"), "/EFI/x", "data"), [0, 1]);
        assert_eq!(with(Some(recovery), "/x", "data"), [0, 0]);
        assert_eq!(with(None, "/x", "root"), [0, 0]);
        assert_eq!(with(None, "/etc/fstab", "data"), [0, 0]);
        assert_eq!(with(None, "/lost+found", "data"), [0, 0]);
    }

    #[test]
    fn of_many_volumes_the_first_are_named_and_the_rest_counted() {
        let mut volumes = vec![test_volume("root", |root| {
            root.file("/etc/fstab", "");
        })];
        volumes.extend((0..7).map(|number| {
            test_volume(&format!("data{number}"), |data| {
                data.file("/x", "x");
            })
        }));
        let machine = Machine::assemble(volumes, None).unwrap();
        let notes = noted(&machine, &monitoring(r#"["/srv"]"#));
        assert_eq!(notes.len(), SHOWN + 1);
        assert_eq!(
            notes.last().unwrap().text(),
            "3 more volumes are taken by no rule and not mounted by /etc/fstab; inspect lists them"
        );
    }
}
