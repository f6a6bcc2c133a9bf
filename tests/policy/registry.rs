//! Patterns of keys, values, and the current control set.

use snapfim::policy::{Effect, Matcher};

use crate::{effective, matcher, path, set};

/// A policy of one rule for the registry.
fn keys(registry: &[&str], values: &[&str]) -> String {
    let values = if values.is_empty() { String::new() } else { format!("values = {values:?}\n") };
    format!("version = 1\n[[monitor]]\nname = \"r\"\nregistry = {registry:?}\n{values}")
}

#[test]
fn registry_patterns_know_both_names_of_a_hive() {
    for pattern in [r"HKLM\Software\Vendor", r"HKEY_LOCAL_MACHINE\SOFTWARE\vendor\", r"hklm:\software\Vendor"] {
        let matcher = matcher(&keys(&[pattern], &[]));
        assert!(matcher.verdict(&path(r"HKLM\SOFTWARE\Vendor\{0A-1}\a/b"), None, true).is_taken(), "{pattern}");
        assert!(matcher.verdict(&path(r"HKLM\SOFTWARE\Vendor"), Some(b""), true).is_taken(), "{pattern}");
        assert!(!matcher.verdict(&path(r"HKLM\SOFTWARE"), Some(b"Vendor2"), true).is_taken(), "{pattern}");
    }
    // A user whom no SID names counts as one, or it would be enough to delete one key to go unseen.
    let users = matcher(&keys(&[r"HKU\*\Software\Microsoft\Windows\CurrentVersion\Run"], &[]));
    for user in ["S-1-5-21-1", ".DEFAULT", "@Users\\name"] {
        let at = path(format!(r"HKU\{user}\Software\Microsoft\Windows\CurrentVersion\Run"));
        assert!(users.verdict(&at, Some(b"Updater"), true).is_taken(), "{user}");
    }
}

#[test]
fn values_are_entries_of_their_key() {
    let inside = matcher(&keys(&[r"HKLM\SOFTWARE\Vendor\**"], &[]));
    assert!(!inside.verdict(&path(r"HKLM\SOFTWARE\Vendor"), None, true).is_taken());
    assert!(inside.verdict(&path(r"HKLM\SOFTWARE\Vendor"), Some(b"x"), true).is_taken());
    let one = matcher(&keys(&[r"HKLM\SOFTWARE\Vendor\(Default)"], &[]));
    assert!(one.verdict(&path(r"HKLM\SOFTWARE\Vendor"), Some(b""), true).is_taken());
    // A name with a separator in it is still one name.
    let all = matcher(&keys(&[r"HKLM\A"], &[]));
    assert!(all.verdict(&path(r"HKLM\A"), Some(br"C:\x\y"), true).is_taken());
}

#[test]
fn a_list_of_values_limits_a_rule_to_them_and_to_the_keys_existence() {
    let matcher = matcher(&keys(&[r"HKLM\SOFTWARE\V\**", r"HKLM\SOFTWARE\W"], &["startup", "App*"]));
    for (at, value, want) in [
        (r"HKLM\SOFTWARE\W", Some("StartUp"), "rules"),
        (r"HKLM\SOFTWARE\W", Some("appinit"), "rules"),
        (r"HKLM\SOFTWARE\W", Some("other"), ""),
        (r"HKLM\SOFTWARE\W", None, "existence"),
        (r"HKLM\SOFTWARE\W\beneath", None, ""),
        (r"HKLM\SOFTWARE\W\beneath", Some("startup"), ""),
        (r"HKLM\SOFTWARE\V", None, ""),
        (r"HKLM\SOFTWARE\V", Some("startup"), "rules"),
        (r"HKLM\SOFTWARE\V\a\b", None, "existence"),
        (r"HKLM\SOFTWARE\V\a\b", Some("startup"), "rules"),
        (r"HKLM\SOFTWARE\V\a\b", Some("x"), ""),
    ] {
        let verdict = matcher.verdict(&path(at), value.map(str::as_bytes), true);
        let want = [
            if want == "rules" { set(&[0]) } else { set(&[]) },
            if want == "existence" { set(&[0]) } else { set(&[]) },
        ];
        assert_eq!([verdict.rules, verdict.existence], want, "{at} {value:?}");
    }
}

#[test]
fn a_list_of_values_leaves_the_files_of_its_rule_alone() {
    let text = "version = 1\n[[monitor]]\nname = \"r\"\npaths = [\"/srv\"]\nregistry = ['HKLM\\A']\nvalues = [\"x\"]\n";
    let matcher = matcher(text);
    assert_eq!(matcher.verdict(&path("/srv/www/y"), None, false).rules, set(&[0]));
    assert_eq!(matcher.explain(&path("/srv/www/y"), None, false)[0].effect, Effect::Takes);
    assert!(matcher.verdict(&path(r"HKLM\A"), None, true).rules.is_empty());
}

#[test]
fn the_current_control_set_is_the_one_that_select_names() {
    let text = "version = 1\nexclude = ['HKLM\\SYSTEM\\CurrentControlSet\\Services\\noise']\n[[monitor]]\nname = \"r\"\n\
                registry = ['HKLM\\System\\currentcontrolset\\Services', 'HKLM\\SYSTEM\\ControlSet002\\Services\\n*']\n";
    let matcher = Matcher::new(&effective(text).with_control_set("ControlSet002")).unwrap();
    for (at, want, spelled) in [
        (r"HKLM\SYSTEM\ControlSet002\Services\x", true, Some(r"HKLM\SYSTEM\CurrentControlSet\Services\x")),
        (r"HKLM\SYSTEM\ControlSet001\Services\x", false, None),
        (r"HKLM\SYSTEM\ControlSet002\Services\Noise\y", false, None),
        (r"HKLM\SYSTEM\ControlSet002\Control", false, None),
    ] {
        let verdict = matcher.verdict(&path(at), None, true);
        assert_eq!(verdict.is_taken(), want, "{at}");
        assert_eq!(matcher.spelled(&verdict, &path(at)), spelled.map(|text| text.as_bytes().to_vec()), "{at}");
    }
}
