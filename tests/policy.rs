//! The policy language, by the words of its description; and by laws: the walk, the single verdict and the
//! explanation agree, and plain patterns mean what the crate `globset` makes of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::{prelude::*, test_runner::RngSeed};
use snapfim::policy::{
    Effect, EffectivePolicy, EntityPath, Link, Matcher, Policy, RuleSet, Severity, Source, State, Verdict,
};

const KNOWN: &[&str] = &["sha256", "mode", "uid", "gid", "mtime", "ctime", "owner", "times"];

fn path(text: impl AsRef<[u8]>) -> EntityPath {
    EntityPath::parse(text.as_ref()).unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, "policy.toml", KNOWN).unwrap_or_else(|error| panic!("{error}"))
}

fn effective(text: &str) -> EffectivePolicy {
    policy(text).for_machine("web01").unwrap()
}

fn matcher(text: &str) -> Matcher {
    Matcher::new(&effective(text)).unwrap()
}

fn set(rules: &[usize]) -> RuleSet {
    rules.iter().copied().collect()
}

/// A policy of one rule for files.
fn rule(paths: &[&str], exclude: &[&str]) -> String {
    format!("version = 1\n[[monitor]]\nname = \"r\"\npaths = {paths:?}\nexclude = {exclude:?}\n")
}

/// A policy of one rule for the registry.
fn keys(registry: &[&str], values: &[&str]) -> String {
    let values = if values.is_empty() { String::new() } else { format!("values = {values:?}\n") };
    format!("version = 1\n[[monitor]]\nname = \"r\"\nregistry = {registry:?}\n{values}")
}

/// What the reasons add up to: excludes win, and a route is subject to the excludes of its own spelling.
fn sum(matcher: &Matcher, rules: usize, at: &EntityPath, value: Option<&[u8]>, container: bool) -> [RuleSet; 2] {
    let reasons = matcher.explain(at, value, container);
    let (mut taken, mut existence) = (RuleSet::EMPTY, RuleSet::EMPTY);
    for rule in 0..rules {
        let drops = |spelled: &Option<Vec<u8>>| {
            reasons
                .iter()
                .any(|r| r.effect == Effect::Drops && r.rule.is_none_or(|own| own == rule) && r.spelled == *spelled)
        };
        for reason in reasons.iter().filter(|r| r.rule == Some(rule) && r.effect != Effect::Drops) {
            if drops(&None) || drops(&reason.spelled) {
                continue;
            }
            if reason.effect == Effect::Takes { taken.insert(rule) } else { existence.insert(rule) }
        }
    }
    [taken, existence.minus(taken)]
}

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
fn registry_patterns_know_both_names_of_a_hive() {
    for pattern in [r"HKLM\Software\Vendor", r"HKEY_LOCAL_MACHINE\SOFTWARE\vendor\", r"hklm:\software\Vendor"] {
        let matcher = matcher(&keys(&[pattern], &[]));
        assert!(matcher.verdict(&path(r"HKLM\SOFTWARE\Vendor\{0A-1}\a/b"), None, true).is_taken(), "{pattern}");
        assert!(matcher.verdict(&path(r"HKLM\SOFTWARE\Vendor"), Some(b""), true).is_taken(), "{pattern}");
        assert!(!matcher.verdict(&path(r"HKLM\SOFTWARE"), Some(b"Vendor2"), true).is_taken(), "{pattern}");
    }
    let users = matcher(&keys(&[r"HKU\*\Software\Microsoft\Windows\CurrentVersion\Run"], &[]));
    for user in ["S-1-5-21-1", ".DEFAULT", "@Users\\name"] {
        let at = path(format!(r"HKU\{user}\Software\Microsoft\Windows\CurrentVersion\Run"));
        assert_eq!(users.verdict(&at, Some(b"Updater"), true).is_taken(), !user.contains('\\'));
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
fn gaps_are_accepted_by_name() {
    let policy = effective("version = 1\nprofiles = [\"full\"]\naccept = [\"volume:@8f3c*\", \"path:/var/**\"]\n");
    assert!(policy.accepts_gap(b"volume:@8f3c00") && policy.accepts_gap(b"path:/var/\xff"));
    assert!(!policy.accepts_gap(b"volume:@aa") && !policy.accepts_gap(b"path:/etc"));
}

/// Every entry of the two documents, from the project's description of the profile.
#[test]
fn recommended_is_the_union_of_both_documents() {
    let policy = Policy::built_in("recommended").unwrap().for_machine("m").unwrap();
    assert_eq!(policy.names(RuleSet::from_iter(0..policy.rules.len())), ["recommended"]);
    let mut paths = policy.rules.iter().flat_map(|r| &r.paths).map(|e| e.text.as_str()).collect::<Vec<_>>();
    paths.sort_unstable();
    let mut want = "/bin /bin/login /bin/passwd /boot /etc/*.conf /etc/cron.daily /etc/cron.hourly /etc/cron.monthly \
        /etc/cron.weekly /etc/crontab /etc/init.d /opt/bin /opt/sbin /sbin /usr/bin /usr/local/bin /usr/local/sbin \
        /usr/sbin C:\\autoexec.bat C:\\boot.ini C:\\config.sys C:\\Windows\\explorer.exe C:\\Windows\\regedit.exe \
        C:\\Windows\\system.ini C:\\Windows\\win.ini C:\\Windows\\System32\\userinit.exe"
        .split_whitespace()
        .collect::<Vec<_>>();
    want.sort_unstable();
    assert_eq!(paths, want);

    let matcher = Matcher::new(&policy).unwrap();
    let key = |at: &str, value: Option<&str>| {
        let verdict = matcher.verdict(&path(at), value.map(str::as_bytes), true);
        (!verdict.rules.is_empty(), !verdict.existence.is_empty())
    };
    let (full, existence, nothing) = ((true, false), (false, true), (false, false));
    for bits in [r"SOFTWARE", r"SOFTWARE\WOW6432Node"] {
        let at = |tail: &str| format!(r"HKLM\{bits}\Microsoft\{tail}");
        assert_eq!(key(&at(r"Cryptography\OID"), None), full);
        assert_eq!(key(&at(r"Cryptography\OID\EncodingType 0\CryptSIPDllVerifyIndirectData"), Some("Dll")), full);
        assert_eq!(key(&at(r"Cryptography\OIDx"), None), full);
        assert_eq!(key(&at(r"Cryptography"), Some("x")), nothing);
        let windows = at(r"Windows NT\CurrentVersion\Windows");
        assert_eq!(key(&windows, None), existence);
        assert_eq!(key(&windows, Some("AppInit_DLLs")), full);
        assert_eq!(key(&windows, Some("LoadAppInit_DLLs")), full);
        assert_eq!(key(&windows, Some("IconServiceLib")), if bits == "SOFTWARE" { full } else { nothing });
        assert_eq!(key(&windows, Some("Spooler")), nothing);
        for folders in ["Shell Folders", "User Shell Folders"] {
            let folders = at(&format!(r"Windows\CurrentVersion\Explorer\{folders}"));
            assert_eq!(key(&folders, Some("Common Startup")), full);
            assert_eq!(key(&folders, Some("Startup")), full);
            assert_eq!(key(&folders, Some("Desktop")), nothing);
            assert_eq!(key(&folders, None), existence);
        }
        for (run, both) in [("Run", true), ("RunOnce", true), ("RunServicesOnce", false)] {
            let run = at(&format!(r"Windows\CurrentVersion\{run}"));
            assert_eq!(key(&run, Some("x")), if both || bits == "SOFTWARE" { full } else { nothing });
        }
    }
    assert_eq!(key(r"HKLM\SECURITY\Policy\Secrets\DPAPI_SYSTEM\CurrVal", Some("")), full);
    let keys = policy.rules.iter().map(|rule| rule.registry.len()).sum::<usize>();
    assert_eq!(keys, 2 + 1 + 1 + 4 + 3 + 2 + 1);
}

#[test]
fn extended_holds_what_recommended_leaves_out() {
    let policy = Policy::built_in("extended").unwrap().for_machine("m").unwrap();
    let recommended = Policy::built_in("recommended").unwrap().for_machine("m").unwrap();
    assert_eq!(policy.rules[..recommended.rules.len()], recommended.rules);
    let matcher = Matcher::new(&policy).unwrap();
    for at in [
        "/etc/cron.d/x",
        "/etc/passwd",
        "/etc/shadow",
        "/etc/sudoers.d/x",
        "/etc/ssh/sshd_config",
        "/etc/pam.d/su",
        "/etc/ld.so.preload",
        "/etc/ld.so.conf.d/x",
        "/etc/profile.d/x.sh",
        "/etc/bash.bashrc",
        "/etc/rc.local",
        "/etc/systemd/system/x.service",
        "/usr/lib/systemd/system/x.timer",
        "/etc/udev/rules.d/x",
        "/root/.ssh/authorized_keys",
        "/home/alice/.ssh/authorized_keys",
        "/home/alice/.bashrc",
        "/root/.bashrc",
        "/var/spool/cron/crontabs/root",
        "/usr/lib/modules/6.1/kernel/x.ko",
        "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
        "/etc/apt/sources.list",
        "/etc/NetworkManager/dispatcher.d/x",
        "/etc/initramfs-tools/hooks/x",
        "/etc/grub.d/40_custom",
        "/boot/efi/EFI/x",
        "/etc/init.d/x",
        "@5d1e/EFI/Microsoft/Boot/bootmgfw.efi",
        r"C:\Windows\System32\drivers\x.sys",
        r"C:\Windows\System32\drivers\etc\hosts",
        r"C:\Windows\System32\ntdll.dll",
        r"C:\Windows\System32\Tasks\x",
        r"C:\Windows\System32\wbem\Repository\OBJECTS.DATA",
        r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\StartUp\x.lnk",
        r"C:\Users\alice\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\x.lnk",
        r"HKLM\SYSTEM\CurrentControlSet\Services\x",
        r"HKU\S-1-5-21-1\Software\Microsoft\Windows\CurrentVersion\Run",
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\sethc.exe",
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon",
        r"HKLM\SYSTEM\CurrentControlSet\Control\Lsa",
        r"HKU\S-1-5-21-1_Classes\CLSID\{1}\InprocServer32",
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree\x",
    ] {
        assert!(matcher.verdict(&path(at), None, true).is_taken(), "{at}");
    }
    for at in ["/var/log/syslog", "/home/alice/mail", "/root/.bash_history", r"C:\Users\alice\x.txt", r"HKLM\HARDWARE"]
    {
        assert!(!matcher.verdict(&path(at), None, true).is_taken(), "{at}");
    }
    let mut all = policy.rules.iter().flat_map(|r| r.paths.iter().chain(&r.registry)).collect::<Vec<_>>();
    all.sort_by_key(|entry| entry.text.to_lowercase());
    for pair in all.windows(2).filter(|pair| pair[0] == pair[1]) {
        let limited = policy.rules.iter().any(|r| !r.values.is_empty() && r.registry.contains(pair[0]));
        assert!(limited, "twice: {} at {} and {}", pair[0].text, pair[0].source, pair[1].source);
    }
}

#[test]
fn full_leaves_nothing_out() {
    let matcher = Matcher::new(&Policy::built_in("full").unwrap().for_machine("m").unwrap()).unwrap();
    for at in ["/", "/a/b", "C:\\", r"D:\x", "@1/", "@1/x/y", "HKLM", r"HKLM\SAM\x", "HKU", r"HKU\.DEFAULT"] {
        assert!(matcher.verdict(&path(at), None, true).is_taken(), "{at}");
        assert!(matcher.root(&path(at).root).may_cover_below(), "{at}");
    }
    assert!(matcher.verdict(&path(b"/\xff/\x01"), None, false).is_taken());
}

#[test]
fn what_a_profile_holds_can_be_disabled() {
    let off = effective(
        "version = 1\nprofiles = [\"recommended\"]\ndisable = ['c:/BOOT.INI', '/bin/', 'HKLM\\SECURITY\\Policy\\Secrets']\n",
    );
    let matcher = Matcher::new(&off).unwrap();
    for (at, want) in
        [(r"C:\boot.ini", false), ("/bin/x", false), ("/bin/login", true), (r"HKLM\SECURITY\Policy\Secrets", false)]
    {
        assert_eq!(matcher.verdict(&path(at), None, true).is_taken(), want, "{at}");
    }
    let error = Policy::parse("version = 1\nprofiles = [\"recommended\"]\ndisable = [\n'/bim']\n", "p.toml", KNOWN)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "p.toml:4: disable: expected an entry of recommended, found \"/bim\"; did you mean \"/bin\" or \"/sbin\"?"
    );
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
fn other_profiles_can_be_laid_under_the_same_rules() {
    let own = policy("version = 1\nprofiles = [\"full\"]\n[[monitor]]\nname = \"r\"\npaths = [\"/srv\"]\n");
    let names = |policy: Policy| policy.for_machine("m").unwrap().profiles;
    assert_eq!(names(own.clone().with_profiles(&["recommended"]).unwrap()), ["recommended"]);
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

#[test]
fn more_rules_than_there_can_be_are_refused() {
    let rules = (0..300).map(|n| format!("[[monitor]]\nname = \"r{n}\"\npaths = [\"/a{n}\"]\n")).collect::<String>();
    let policy = policy(&format!("version = 1\n{rules}"));
    assert!(policy.for_machine("m").unwrap_err().to_string().contains("at most 256 rules"));
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() }
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "A", "ab", "*", "?", "**", "a*", "*b", "[ab]", "[a-b]?", "b*a"])
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "A", "ab", "ba", "bba", "c", "é"])
}

fn pattern() -> impl Strategy<Value = String> {
    let root = prop::sample::select(vec!["/", "/", r"C:\", r"\", "@1/", "**/", r"**\"]);
    (root, prop::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(root, segments, container)| {
        let separator = if root.ends_with('/') { "/" } else { "\\" };
        let tail = if container && !segments.is_empty() { separator } else { "" };
        format!("{root}{}{tail}", segments.join(separator))
    })
}

fn place() -> impl Strategy<Value = EntityPath> {
    let root = prop::sample::select(vec!["/", "/", r"C:\", r"D:\", "@1/"]);
    (root, prop::collection::vec(name(), 0..5)).prop_map(|(root, names)| {
        let separator = if root.ends_with('/') { "/" } else { "\\" };
        path(format!("{root}{}", names.join(separator)))
    })
}

fn walk(matcher: &Matcher, at: &EntityPath, container: bool) -> Vec<State> {
    let mut states = vec![matcher.root(&at.root)];
    for (depth, name) in at.segments.iter().enumerate() {
        let container = container || depth + 1 < at.segments.len();
        states.push(matcher.child(states.last().unwrap(), name, container));
    }
    states
}

proptest! {
    #![proptest_config(config(4000))]

    /// One name at a time, a whole path, one pattern at a time, and after a turn through JSON: always the same.
    #[test]
    fn all_ways_to_ask_agree(
        rules in prop::collection::vec((prop::collection::vec(pattern(), 1..3), prop::collection::vec(pattern(), 0..2)), 1..4),
        global in prop::collection::vec(pattern(), 0..2),
        links in prop::collection::vec((0..3usize, place(), place()), 0..4),
        at in place(),
        container in any::<bool>(),
    ) {
        let mut policy = EffectivePolicy { exclude: global.into_iter().map(Into::into).collect(), ..Default::default() };
        for (paths, exclude) in rules {
            policy.rules.push(snapfim::policy::Rule {
                name: "r".into(),
                paths: paths.into_iter().map(Into::into).collect(),
                exclude: exclude.into_iter().map(Into::into).collect(),
                ..Default::default()
            });
        }
        for (rule, spelled, canonical) in &links {
            policy.add_link(*rule, Link::new(spelled, canonical));
        }
        let matcher = Matcher::new(&policy).unwrap();
        let states = walk(&matcher, &at, container);
        let verdict: Verdict = states.last().unwrap().verdict();
        prop_assert_eq!(verdict, matcher.verdict(&at, None, container));
        let [taken, existence] = sum(&matcher, policy.rules.len(), &at, None, container);
        prop_assert_eq!(verdict.rules, taken);
        prop_assert_eq!(verdict.existence, existence);
        if verdict.is_taken() {
            for above in &states[..states.len() - 1] {
                prop_assert!(above.may_cover_below(), "pruned above {:?}", at);
            }
        }
        let json = serde_json::to_string(&policy).unwrap();
        let again = Matcher::new(&serde_json::from_str(&json).unwrap()).unwrap();
        prop_assert_eq!(again.verdict(&at, None, container), verdict);
    }

    /// The same for keys and values, with lists of values.
    #[test]
    fn all_ways_to_ask_agree_on_values(
        patterns in prop::collection::vec((prop::collection::vec(segment(), 0..4), any::<bool>()), 1..4),
        exclude in prop::collection::vec(prop::collection::vec(segment(), 1..4), 0..2),
        values in prop::collection::vec(prop::sample::select(vec!["a", "a*", "[ab]"]), 0..2),
        set_is in prop::sample::select(vec![None, Some("a"), Some("b")]),
        names in prop::collection::vec(name(), 0..4),
        value in prop::option::of(prop::sample::select(vec!["", "a", "B", "ab", "c"])),
    ) {
        let key = |segments: &[&str]| {
            segments.iter().fold("HKLM".to_owned(), |key, segment| format!("{key}\\{segment}"))
        };
        let current = |segments: &[&str]| key(&[&["SYSTEM", "CurrentControlSet"], segments].concat());
        let mut policy = EffectivePolicy { control_set: set_is.map(str::to_owned), ..Default::default() };
        for (at, (segments, through)) in patterns.iter().enumerate() {
            policy.rules.push(snapfim::policy::Rule {
                name: "r".into(),
                registry: vec![if *through { current(segments) } else { key(segments) }.into()],
                values: if at == 0 { values.iter().map(|v| (*v).to_owned().into()).collect() } else { vec![] },
                exclude: exclude.iter().map(|segments| if at == 1 { current(segments) } else { key(segments) }.into()).collect(),
                ..Default::default()
            });
        }
        let matcher = Matcher::new(&policy).unwrap();
        for prefix in [&[][..], &["system"]] {
            let at = path(key(&[prefix, &names].concat()));
            let value = value.map(str::as_bytes);
            let states = walk(&matcher, &at, true);
            let last = states.last().unwrap();
            let verdict = value.map_or(last.verdict(), |value| matcher.value(last, value));
            prop_assert_eq!(verdict, matcher.verdict(&at, value, true));
            let [taken, existence] = sum(&matcher, policy.rules.len(), &at, value, true);
            prop_assert_eq!(verdict.rules, taken);
            prop_assert_eq!(verdict.existence, existence);
            let above = if value.is_some() { &states[..] } else { &states[..states.len() - 1] };
            prop_assert!(!verdict.is_taken() || above.iter().all(State::may_cover_below));
        }
    }

    /// On Linux paths, `globset` matches a path or one of the directories above it exactly where a pattern covers it.
    #[test]
    fn plain_patterns_mean_what_globset_makes_of_them(
        segments in prop::collection::vec(segment(), 1..5),
        names in prop::collection::vec(prop::sample::select(vec!["a", "b", "A", "ab", "ba", "bba", "c", "aab"]), 1..6),
    ) {
        let text = format!("/{}", segments.join("/"));
        let oracle = globset::GlobBuilder::new(&text)
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .unwrap()
            .compile_matcher();
        let want = (1..=names.len()).any(|depth| oracle.is_match(format!("/{}", names[..depth].join("/"))));
        let matcher = matcher(&rule(&[&text], &[]));
        let at = path(format!("/{}", names.join("/")));
        prop_assert_eq!(matcher.verdict(&at, None, false).is_taken(), want, "{} on {:?}", text, names);
    }
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

proptest! {
    #![proptest_config(config(1000))]

    /// Whatever bytes an image has for a name, the walk and the single verdict agree under the largest profile.
    #[test]
    fn any_bytes_are_a_name(names in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..6), root in 0..3usize) {
        let policy = Policy::built_in("extended").unwrap().for_machine("m").unwrap();
        let matcher = Matcher::new(&policy).unwrap();
        let roots = [path("/").root, path("C:").root, path("HKLM").root];
        let at = EntityPath { root: roots[root].clone(), segments: names };
        let verdict = walk(&matcher, &at, false).last().unwrap().verdict();
        prop_assert_eq!(verdict, matcher.verdict(&at, None, false));
        prop_assert_eq!(verdict.rules, sum(&matcher, policy.rules.len(), &at, None, false)[0]);
        let _ = EntityPath::parse(&at.to_bytes());
    }
}
