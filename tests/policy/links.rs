//! Rules whose own paths go through links of an image.

use snapfim::policy::{Effect, Link, Matcher};

use crate::{effective, path, set};

#[test]
fn links_bring_their_rule_along_under_its_own_spelling() {
    let mut policy = effective(
        r#"
version = 1
[[monitor]]
name = "bin"
paths = ["/bin", "/etc/*.conf"]
exclude = ["/bin/cache", "/usr/bin/gone"]
[[monitor]]
name = "sh"
paths = ["/bin/*sh"]
[[monitor]]
name = "usr"
paths = ["/usr/bin/passwd"]
"#,
    );
    for rule in [1, 0, 0] {
        policy.add_link(rule, Link::new(&path("/bin"), &path("/usr/bin")));
    }
    policy.add_link(0, Link::new(&path("/etc/a.conf"), &path("/opt/[x]/a")));
    assert_eq!(policy.rules[0].resolved.len(), 2);
    let matcher = Matcher::new(&policy).unwrap();
    for (at, rules, spelled) in [
        ("/bin", &[0][..], None),
        ("/usr/bin", &[0], Some("/bin")),
        ("/usr/bin/passwd", &[0, 2], Some("/bin/passwd")),
        ("/usr/bin/bash", &[0, 1], Some("/bin/bash")),
        ("/usr/bin/gone", &[], None),
        // The rule drops it by its own spelling, and by that alone it came here.
        ("/usr/bin/cache/x", &[], None),
        ("/usr/bin/cache/bash", &[], None),
        ("/opt/[x]/a/b", &[0], Some("/etc/a.conf/b")),
        ("/opt/x/a", &[], None),
        ("/usr", &[], None),
    ] {
        let verdict = matcher.verdict(&path(at), None, true);
        assert_eq!(verdict.rules, set(rules), "{at}");
        assert_eq!(matcher.spelled(&verdict, &path(at)), spelled.map(|text| text.as_bytes().to_vec()), "{at}");
    }
    let reasons = matcher.explain(&path("/usr/bin/cache"), None, true);
    assert!(reasons.iter().any(|r| r.effect == Effect::Drops && r.pattern == "/bin/cache" && r.source.line == 6));
}

/// Excludes must not follow links: an image could lead them to anything.
#[test]
fn a_link_cannot_make_an_exclude_hide_more() {
    let text = "version = 1\n[[monitor]]\nname = \"r\"\npaths = [\"/etc/*.conf\", \"/srv\", \"/usr\"]\nexclude = [\"/srv/cache\"]\n";
    let mut policy = effective(text);
    policy.add_link(0, Link::new(&path("/srv/cache"), &path("/usr/bin")));
    let matcher = Matcher::new(&policy).unwrap();
    assert!(matcher.verdict(&path("/usr/bin/passwd"), None, false).is_taken());
}
