//! Policy files: what is wrong with them, and what they become.

use snapfim::policy::{EffectivePolicy, Link, Matcher, Policy};

use crate::{KNOWN, effective, path, policy};

#[test]
fn machines_choose_their_rules() {
    let policy = policy(
        "version = 1\n[[monitor]]\nname = \"web\"\npaths = [\"/srv\"]\nmachines = [\"web-*\", \"www\"]\n\
         [[monitor]]\nname = \"all\"\npaths = [\"/etc\"]\n",
    );
    let names = |machine| {
        let policy = policy.for_machine(machine).unwrap();
        policy.rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("web-01"), ["web", "all"]);
    assert_eq!(names("www"), ["web", "all"]);
    assert_eq!(names("db-web-01"), ["all"]);
}

#[test]
fn what_is_wrong_with_all_of_a_policy_names_file_and_line_too() {
    let said = |text: &str, machine: &str| {
        let policy = Policy::parse(text, "policy.toml", KNOWN).and_then(|policy| policy.for_machine(machine));
        policy.map(drop).unwrap_err().to_string()
    };
    let nothing = "expected profiles or a [[monitor]], found nothing to monitor";
    assert_eq!(said("version = 1\n", ""), format!("policy.toml:1: monitor: {nothing}"));
    let mut many = "version = 1\n".to_owned();
    for rule in 0..257 {
        many.push_str(&format!("[[monitor]]\nname = \"{rule}\"\npaths = [\"/{rule}\"]\n"));
    }
    let expected =
        |on| format!("policy.toml:772: monitor: expected at most 256 rules{on}, those of profiles included, found 257");
    assert_eq!(said(&many, ""), expected(""));
    assert_eq!(said(&many, "web01"), expected(" for the machine web01"));
}

#[test]
fn gaps_are_accepted_by_name() {
    let policy = effective("version = 1\nprofiles = [\"full\"]\naccept = [\"volume:@8f3c*\", \"path:/var/**\"]\n");
    assert!(policy.accepts_gap(b"volume:@8f3c00") && policy.accepts_gap(b"path:/var/\xff"));
    assert!(!policy.accepts_gap(b"volume:@aa") && !policy.accepts_gap(b"path:/etc"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = r#"version = 2
profiles = ["recomended"]
colour = "red"
exclude = ["etc/*.log"]
accept = ["nonsense"]

[[monitor]]
name = "a"
path = ["/srv"]
paths = ["/srv/[a", 7]
severity = "urgent"
compare = ["default", "+mtim"]

[[monitor]]
name = "a"
registry = ['HKCU\Software']
values = []

[[monitor]]
severity = "low"

[[monitor]]
name = "full"
paths = "/srv"
machines = ["**"]
"#;
    let error = Policy::parse(text, "policy.toml", KNOWN).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    insta::assert_snapshot!(error.to_string(), @r#"
    policy.toml:1: version: expected 1, found 2
    policy.toml:2: profiles: expected one of recommended, extended, full, found "recomended"; did you mean "recommended"?
    policy.toml:3: colour: unknown field, expected one of version, profiles, disable, exclude, accept, monitor
    policy.toml:4: exclude: expected a path from a root (/, C:\, \, @id/, HKLM\, HKU\) or one that begins with "**/", found "etc/*.log"
    policy.toml:5: accept: expected a kind and a name ("volume:@id", "path:/glob"), found "nonsense"
    policy.toml:9: path: unknown field, expected one of name, paths, registry, values, exclude, compare, severity, machines; did you mean "paths"?
    policy.toml:10: paths: expected "]" after "[" in "[a"; the literal "[" is "[[]"; the whole is "/srv/[a"
    policy.toml:10: paths: expected a string, found an integer
    policy.toml:11: severity: expected info, low, medium or high, found "urgent"
    policy.toml:12: compare: expected an attribute, a group of attributes, "default", "all" or "none", found "+mtim"; did you mean "mtime" or "ctime"?
    policy.toml:15: name: expected a name of its own, found "a", which line 8 has
    policy.toml:16: registry: expected HKU\*\… for every user ("HKCU" is not on disk), found "HKCU\Software"
    policy.toml:17: values: expected at least one entry, found none (leave the field out for all)
    policy.toml:19: monitor: expected a name, found none
    policy.toml:19: monitor: expected at least one entry in paths or registry, found none
    policy.toml:23: name: expected a name of its own, found "full", a built-in profile
    policy.toml:24: paths: expected an array of strings, found a string
    policy.toml:25: machines: expected a name, found "**"
    "#);
}

#[test]
fn toml_that_is_none_is_named_by_line() {
    for (text, want) in [
        ("version = 1\nprofiles = [\"full\"\n", "policy.toml:"),
        ("version = 1\nversion = 1\n", "policy.toml:2: toml: "),
        ("version = 1\n", "nothing to monitor"),
        ("", "policy.toml:1: version: expected 1, found none"),
        ("version = \"1\"\nprofiles = [\"full\"]", "policy.toml:1: version: expected 1, found a string"),
        ("version = 1\nmonitor = 3", "expected a table, as [[monitor]], found an integer"),
        ("version = 1\n[monitor]\nname = \"x\"", "found a table"),
    ] {
        let error = Policy::parse(text, "policy.toml", KNOWN).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn profiles_that_are_added_take_nothing_of_the_own_away() {
    let own = policy("version = 1\nprofiles = [\"full\"]\n[[monitor]]\nname = \"r\"\npaths = [\"/srv\"]\n");
    let names = |policy: Policy| policy.for_machine("m").unwrap().profiles;
    assert_eq!(names(own.clone().with_profiles(&["recommended"]).unwrap()), ["full", "recommended"]);
    assert_eq!(names(own.clone().with_profiles(&["full"]).unwrap()), ["full"]);
    let error = own.with_profiles(&["extend"]).unwrap_err().to_string();
    assert!(
        error.starts_with("policy: profiles: expected one of recommended, extended, full, found \"extend\""),
        "{error}"
    );
    assert!(Policy::built_in("nope").is_err());
}

#[test]
fn an_effective_policy_survives_json() {
    let mut policy = effective(
        r#"
version = 1
profiles = ["extended"]
accept = ["volume:*"]
exclude = ["**/*.log"]
[[monitor]]
name = "r"
paths = ["/bin/**"]
compare = ["default", "-owner"]
severity = "high"
"#,
    );
    let plain = policy.fingerprint();
    policy.add_link(1, Link::new(&path("/bin"), &path(b"/usr/b\xff")));
    let policy = policy.with_control_set("ControlSet002");
    assert_eq!(policy.fingerprint(), plain);
    let json = serde_json::to_string(&policy).unwrap();
    let back = serde_json::from_str::<EffectivePolicy>(&json).unwrap();
    assert_eq!(back, policy);
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    let other = effective("version = 1\nprofiles = [\"recommended\"]\n");
    assert_ne!(other.fingerprint(), plain);
    assert!(Matcher::new(&back).is_ok());
    assert!(serde_json::from_str::<EffectivePolicy>(r#"{"profiles":[],"rules":[],"rulez":[]}"#).is_err());
    let foreign = r#"{"profiles":[],"rules":[{"name":"x","paths":["etc"]}]}"#;
    let foreign = serde_json::from_str::<EffectivePolicy>(foreign).unwrap();
    assert_eq!(Matcher::new(&foreign).unwrap_err().exit_code(), 78);
}

#[test]
fn more_rules_than_there_can_be_are_refused() {
    let rules = (0..300).map(|n| format!("[[monitor]]\nname = \"r{n}\"\npaths = [\"/a{n}\"]\n")).collect::<String>();
    let policy = policy(&format!("version = 1\n{rules}"));
    assert!(policy.for_machine("m").unwrap_err().to_string().contains("at most 256 rules"));
}

/// A mutation that neither panics nor loses its way: what parses is applied, what does not says why.
#[test]
fn mutated_policies_end_in_a_policy_or_an_error() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % (below as u64)).unwrap()
    };
    let own = "version = 1\nprofiles = [\"recommended\"]\ndisable = ['C:\\boot.ini']\nexclude = [\"**/x/**\"]\n\
        accept = [\"volume:@8f\", \"path:/a*\"]\n[[monitor]]\nname = \"w\"\npaths = [\"/s/[a-z]*\", 'C:\\i\\**', \"@1/E\"]\n\
        registry = ['HKU\\*\\R']\nvalues = [\"s?\"]\ncompare = [\"default\", \"-owner\"]\nseverity = \"high\"\nmachines = [\"w*\"]\n";
    let (mut fine, mut wrong) = (0, 0);
    for _ in 0..2000 {
        let mut text = own.as_bytes().to_vec();
        for _ in 0..=random(4) {
            let at = random(text.len());
            match random(4) {
                0 => text[at] = b"*?[]\\/\"'\n@:#=-\xc3\0"[random(16)],
                1 => drop(text.remove(at)),
                2 => text.truncate(at.max(1)),
                _ => text.insert(at, b"*?[]\\/\"'\n@:.HK{}"[random(16)]),
            }
        }
        let text = String::from_utf8_lossy(&text);
        match Policy::parse(&text, "p.toml", KNOWN) {
            Ok(policy) => {
                fine += 1;
                let matcher = Matcher::new(&policy.for_machine("web").unwrap()).unwrap();
                assert!(matcher.explain(&path(r"C:\i\j"), None, false).len() < 9);
            }
            Err(error) => {
                wrong += 1;
                assert_eq!(error.exit_code(), 78);
                assert!(
                    error.to_string().lines().all(|line| line.starts_with("p.toml:") || line.starts_with("policy:")),
                    "{error}"
                );
            }
        }
    }
    assert!(fine > 50 && wrong > 50, "{fine} {wrong}");
}

#[test]
fn names_that_nothing_has_are_mistakes() {
    let rule = "[[monitor]]\nname = \"a\"\npaths = [\"/x\"]\n";
    for (text, line, what) in [
        (
            format!("version = 1\naccept = [\"volumes:@8f3c\"]\n{rule}"),
            2,
            "expected volume or path as the kind of a gap",
        ),
        (format!("version = 1\n{rule}machines = [\"web-*\", \"\"]\n"), 5, "machines: expected a name, found \"\""),
        (
            format!("version = 1\n{rule}registry = ['HKLM\\S']\nvalues = [\"\"]\n"),
            6,
            "values: expected a name, found \"\"",
        ),
    ] {
        let error = Policy::parse(&text, "policy.toml", KNOWN).unwrap_err().to_string();
        assert!(error.starts_with(&format!("policy.toml:{line}: ")) && error.contains(what), "{error}");
    }
}
