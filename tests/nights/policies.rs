//! Edits of a policy between two scans.

use std::{collections::BTreeSet, fs};

use serde_json::Value as Json;

use crate::support::Folder;

#[test]
fn every_edit_of_a_policy_says_what_it_changed_and_is_an_event_of_its_own() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    let policy = folder.path("policy.toml");
    // The image does not change, so all of these scans have the same window.
    let edit = |head: &str, rule: &str| {
        let rest = "[[monitor]]\nname = \"base\"\npaths = [\"/usr/bin\"]\n[[monitor]]\nname = \"etc\"\n";
        fs::write(&policy, format!("version = 1\n{head}\n{rest}{rule}\n")).unwrap();
        folder.night(&image, 0, &["--policy", policy.to_str().unwrap()])
    };
    let paths = "paths = [\"/etc\"]";
    edit("", paths).exits(0);
    let steps: [(&str, &str, &[&str]); 7] = [
        ("accept = [\"volume:@1\"]", paths, &["accepted gap volume:@1 added"]),
        ("accept = [\"volume:@2\"]", paths, &["accepted gap volume:@2 added", "accepted gap volume:@1 removed"]),
        ("exclude = [\"/etc/a\"]", paths, &["exclude /etc/a of every rule added", "accepted gap volume:@2 removed"]),
        (
            "exclude = [\"/etc/b\"]",
            paths,
            &["exclude /etc/b of every rule added", "exclude /etc/a of every rule removed"],
        ),
        (
            "",
            "paths = [\"/etc\", \"/boot\"]\nexclude = [\"**/*.bak\"]",
            &["rule etc: path /boot added", "rule etc: exclude **/*.bak added", "exclude /etc/b of every rule removed"],
        ),
        (
            "",
            "paths = [\"/etc\"]\nseverity = \"high\"\ncompare = [\"default\", \"+mtime\"]",
            &[
                "rule etc: path /boot removed",
                "rule etc: exclude **/*.bak removed",
                "rule etc: compare default +mtime instead of default",
                "rule etc: severity high instead of medium",
            ],
        ),
        (
            "",
            "paths = [\"/etc\"]\nregistry = ['HKLM\\SAM']\nvalues = [\"x\"]",
            &[
                "rule etc: key HKLM\\SAM added",
                "rule etc: value x added",
                "rule etc: compare default instead of default +mtime",
                "rule etc: severity medium instead of high",
            ],
        ),
    ];
    let mut ids = BTreeSet::new();
    for (head, rule, what) in steps {
        let run = edit(head, rule).exits(1);
        assert_eq!(run.events(), ["PolicyChanged"]);
        let ext = &run.json()[0]["Ext"];
        assert_eq!(ext["What"], Json::from(what.to_vec()));
        assert_ne!(ext["Old"]["policy_sha256"], ext["New"]["policy_sha256"]);
        ids.insert(ext["EventId"].to_string());
    }
    assert_eq!(ids.len(), 7);
}

#[test]
fn a_long_edit_of_a_policy_is_cut_short_and_still_an_event_of_its_own() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    let policy = folder.path("policy.toml");
    let mut ids = BTreeSet::new();
    for last in [None, Some("x"), None, Some("y")] {
        let gaps =
            (0..200).map(|at| format!("\"volume:@{at}\",")).chain(last.map(|last| format!("\"volume:@{last}\"")));
        let accept = last.map_or(String::new(), |_| format!("accept = [{}]", gaps.collect::<String>()));
        fs::write(&policy, format!("version = 1\nprofiles = [\"recommended\"]\n{accept}\n")).unwrap();
        let run = folder.night(&image, 0, &["--policy", policy.to_str().unwrap()]);
        for event in run.json() {
            let what = event["Ext"]["What"].as_array().unwrap();
            assert_eq!((what.len(), what[100].as_str()), (101, Some("and 101 more")));
            ids.insert(event["Ext"]["EventId"].to_string());
        }
    }
    assert_eq!(ids.len(), 3);
}

/// The image does not change, so all of these scans have the same window.
#[test]
fn the_same_edit_made_twice_is_two_events() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    let mut ids = Vec::new();
    for profile in ["recommended", "extended", "recommended", "extended"] {
        let run = folder.night(&image, 0, &["--profile", profile]);
        ids.extend(run.json().iter().map(|event| event["Ext"]["EventId"].to_string()));
    }
    assert_eq!(ids.len(), 3);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3, "{ids:?}");
}
