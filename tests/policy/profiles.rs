//! The built-in profiles.

use snapfim::policy::{Matcher, Policy, RuleSet};

use crate::{KNOWN, effective, path};

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
