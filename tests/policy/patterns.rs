//! What patterns of files cover, by the words of their description.

use snapfim::{
    policy::{Effect, Matcher, RuleSet, Source},
    severity::Severity,
};

use crate::{effective, matcher, path, rule, set};

#[test]
fn patterns_mean_what_their_description_says() {
    let table: &[(&str, &[(&str, bool)])] = &[
        // "A pattern that names a directory covers it and all beneath it, at any depth."
        (
            "/etc",
            &[
                ("/etc", true),
                ("/etc/a", true),
                ("/etc/a/b/c", true),
                ("/etcx", false),
                ("/", false),
                ("/x/etc", false),
            ],
        ),
        ("/", &[("/", true), ("/a/b", true), (r"C:\a", false), ("@1/a", false)]),
        // "`/etc/*.conf` covers the matching entries of `/etc`, not those of its subdirectories."
        (
            "/etc/*.conf",
            &[("/etc/host.conf", true), ("/etc/x.conf/deep/er", true), ("/etc/a/b.conf", false), ("/etc/a", false)],
        ),
        // "`*`, `?` and `[a-z]` stay inside one segment, `**` crosses segments."
        ("/h/*/x", &[("/h/a/x", true), ("/h/x", false), ("/h/a/b/x", false), ("/h/a/x/y", true)]),
        ("/h/?", &[("/h/a", true), ("/h/ab", false), ("/h/é", true)]),
        ("/h/[a-c]", &[("/h/b", true), ("/h/d", false), ("/h/-", false)]),
        ("/a/**/z", &[("/a/z", true), ("/a/b/z", true), ("/a/b/c/z/q", true), ("/a/b", false), ("/z", false)]),
        ("/a/**", &[("/a", false), ("/a/b", true), ("/a/b/c", true), ("/b", false)]),
        ("/a/**/*.so", &[("/a/x.so", true), ("/a/b/x.so", true), ("/a/x.so.1", false)]),
        (
            "**/x",
            &[
                ("/x", true),
                ("/a/x", true),
                ("/a/x/b", true),
                (r"C:\x", true),
                (r"C:\a\X", true),
                ("@1/a/x", true),
                ("/a/X", false),
            ],
        ),
        ("**", &[("/a", true), (r"C:\a", true), ("@1/a", true), (r"HKLM\X", false)]),
        // "`[*]` and `[[]` are the literal characters."
        ("/a/[*]", &[("/a/*", true), ("/a/b", false)]),
        ("/a/[[]x", &[("/a/[x", true), ("/a/x", false)]),
        // "No character is forbidden."
        ("/usr/lib/x86_64-linux-gnu", &[("/usr/lib/x86_64-linux-gnu/security/pam_unix.so", true)]),
        ("/a/{b,c}", &[("/a/{b,c}", true), ("/a/b", false)]),
        ("/a/!(b)", &[("/a/!(b)", true)]),
        (r"C:\Program Files (x86)\*", &[(r"C:\Program Files (x86)\a", true), (r"C:\Program Files\a", false)]),
        // On Linux a backslash is a byte like others.
        (r"/a\b", &[(r"/a\b", true), ("/a/b", false)]),
        // "Linux paths match by bytes."
        ("/É", &[("/É", true), ("/é", false), ("/E\u{301}", false)]),
        // "Windows paths work with and without the drive letter and match without case."
        (
            r"C:\Windows\System32\userinit.exe",
            &[(r"c:\WINDOWS\system32\UserInit.EXE", true), (r"D:\Windows\System32\userinit.exe", false)],
        ),
        (r"\Windows", &[(r"C:\windows\x", true), (r"D:\windows", true), ("/Windows", false)]),
        ("C:/Windows", &[(r"C:\Windows\x", true)]),
        (r"C:\", &[(r"C:\", true), (r"C:\x", true), (r"D:\x", false)]),
        (r"C:\Ünï", &[(r"C:\üNÏ", true)]),
        (r"**\x", &[(r"C:\a\x", true), ("@1/x", true), ("/x", false)]),
        // Volumes that nothing places.
        (
            "@5d1e/EFI/**",
            &[("@5d1e/EFI/BOOT/BOOTX64.EFI", true), ("@5D1E/efi/x", true), ("@aaaa/EFI/x", false), ("/EFI/x", false)],
        ),
        ("@*/EFI", &[("@5d1e/EFI", true), ("@aaaa/EFI/x", true)]),
    ];
    for (pattern, cases) in table {
        let matcher = matcher(&rule(&[pattern], &[]));
        for (at, want) in *cases {
            let taken = matcher.verdict(&path(at), None, true).is_taken();
            assert_eq!(taken, *want, "{pattern} on {at}");
            assert_eq!(!matcher.explain(&path(at), None, true).is_empty(), *want, "{pattern} explained on {at}");
        }
    }
}

#[test]
fn a_trailing_separator_means_a_container() {
    for (pattern, at) in [("/srv/a/", "/srv/a"), (r"C:\a\", r"C:\A"), ("/srv/*/", "/srv/a"), ("/srv/**/", "/srv/a")] {
        let matcher = matcher(&rule(&[pattern], &[]));
        assert!(matcher.verdict(&path(at), None, true).is_taken(), "{pattern}");
        assert!(!matcher.verdict(&path(at), None, false).is_taken(), "{pattern}");
        let beneath = [path(at).to_bytes(), vec![path(at).root.separator(), b'x']].concat();
        assert!(matcher.verdict(&path(beneath), None, false).is_taken(), "{pattern}");
    }
}

#[test]
fn names_that_are_not_text_are_matched_by_bytes() {
    let matcher = matcher(&rule(&["/srv/*.conf", "/srv/?"], &["/srv/[é]*"]));
    assert!(matcher.verdict(&path(b"/srv/\xff\xfe.conf"), None, false).is_taken());
    assert!(matcher.verdict(&path(b"/srv/\xff"), None, false).is_taken());
    assert!(!matcher.verdict(&path("/srv/é.conf"), None, false).is_taken());
    assert!(matcher.verdict(&path(b"/srv/\xc3.conf"), None, false).is_taken());
}

#[test]
fn excludes_win_and_cover_what_is_beneath() {
    let matcher = matcher(
        r#"
version = 1
exclude = ["**/__pycache__/**"]
[[monitor]]
name = "a"
paths = ["/srv/www/**", 'C:\inetpub\**']
exclude = ["**/*.log", "/srv/www/cache/**"]
[[monitor]]
name = "b"
paths = ["/srv"]
"#,
    );
    for (at, rules) in [
        ("/srv/www/index.html", &[0, 1][..]),
        ("/srv/www/x.log", &[1]),
        ("/srv/www/x.log/beneath", &[1]),
        ("/srv/www/cache", &[0, 1]),
        ("/srv/www/cache/x", &[1]),
        ("/srv/www/__pycache__", &[0, 1]),
        ("/srv/www/__pycache__/x", &[]),
        (r"C:\inetpub\a.LOG", &[]),
        (r"C:\inetpub\a.txt", &[0]),
        ("/srv/www", &[1]),
    ] {
        assert_eq!(matcher.verdict(&path(at), None, true).rules, set(rules), "{at}");
    }
    assert_eq!(matcher.verdict(&path("/srv/www/x.log"), None, false).dropped, set(&[0]));
}

#[test]
fn overlapping_rules_add_up() {
    let policy = effective(
        r#"
version = 1
[[monitor]]
name = "low"
paths = ["/srv"]
severity = "low"
compare = ["sha256"]
[[monitor]]
name = "high"
paths = ["/srv/www"]
severity = "high"
compare = ["default", "-owner", "+mtime"]
"#,
    );
    let both = Matcher::new(&policy).unwrap().verdict(&path("/srv/www/x"), None, false).rules;
    assert_eq!(policy.names(both), ["low", "high"]);
    assert_eq!(policy.severity(both), Some(Severity::High));
    assert_eq!(policy.severity(RuleSet::EMPTY), None);
    let compares = |set, name, default, group| policy.compares(set, name, default, &[group]);
    assert!(compares(both, "mtime", false, "times") && compares(both, "sha256", true, "content"));
    assert!(!compares(both, "uid", true, "owner") && !compares(set(&[0]), "mode", true, "mode"));
}

#[test]
fn literal_roots_say_where_walks_begin() {
    let policy = effective(&rule(&["/etc/*.conf", "/bin", "/a/[*]b/**", r"\Windows\x", "**/y"], &["/etc/x"]));
    let roots = Matcher::new(&policy).unwrap().literal_roots();
    let of = |at: usize| {
        let names = roots[at].segments.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join("|");
        (names, roots[at].remaining, roots[at].ends_in_wildcard())
    };
    assert_eq!(roots.len(), 5);
    assert_eq!(of(0), ("etc".into(), 1, true));
    assert_eq!(of(1), ("bin".into(), 0, false));
    assert_eq!(of(2), ("a|*b".into(), 2, false));
    assert_eq!(of(3), ("Windows|x".into(), 0, false));
    assert_eq!(of(4), ("".into(), 2, false));
    assert!(roots[3].admits(&path(r"D:\").root) && !roots[3].admits(&path("/").root));
}

#[test]
fn reasons_name_their_lines() {
    let text = "version = 1\nprofiles = [\"recommended\"]\nexclude = [\n  \"**/*.bak\",\n]\n";
    let matcher = matcher(text);
    let reasons = matcher.explain(&path("/usr/bin/x.bak"), None, false);
    let told = reasons.iter().map(|r| (r.effect, r.pattern.as_str(), r.source.to_string())).collect::<Vec<_>>();
    assert_eq!(told[0], (Effect::Drops, "**/*.bak", "policy.toml:4".to_owned()));
    assert_eq!((told[1].0, told[1].1), (Effect::Takes, "/usr/bin"));
    assert!(told[1].2.starts_with("recommended.toml:"));
    assert_eq!(told.len(), 2);
    assert_eq!(Source::default().to_string(), "the effective policy");
}

#[test]
fn hostile_names_and_depths_cost_little() {
    let start = std::time::Instant::now();
    let matcher = matcher(&rule(&["**/**/**/**/a*a*a*b", "**/a/**/a/**/a/**/b", "/*/*/*/*/*/x"], &["**/*a*a*a*a*a*c"]));
    let mut state = matcher.root(&path("/").root);
    for _ in 0..4096 {
        state = matcher.child(&state, b"a", true);
        assert!(!matcher.child(&state, &[b'a'; 255], false).verdict().is_taken());
    }
    assert!(state.may_cover_below());
    assert!(matcher.child(&state, b"b", false).verdict().is_taken());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
