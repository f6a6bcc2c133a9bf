//! Which parts of the registry are secrets, and are kept as hashes only.
//!
//! `HKLM\SECURITY` and `HKLM\SAM` hold password hashes and the machine's own secrets; the class names of four
//! keys below `Lsa` together are the key that these are encrypted with; `DefaultPassword` is one in the clear.
//!
//! A hive is a copy of these whatever its file is called and wherever it is mounted, and a part of one where it was
//! saved from a key further down. So a secret is known by the names of keys and values around it, without case, and
//! not by the mount alone. Too much costs a text beside a hash; too little costs the passwords.

/// What of a key is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// This class name.
    Class(&'a [u8]),
    /// The value of this name.
    Value(&'a [u8]),
}

/// Where a key stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The path at which its hive is mounted, as `["HKLM", "SYSTEM"]`.
    pub mount: &'a [&'a [u8]],
    /// The name of the hive's root key, which no path shows; of a hive that was saved from a key, that key's.
    pub root: &'a [u8],
    /// The names from below the root key to the key itself.
    pub below: &'a [&'a [u8]],
}

/// What stands right below the root of SAM and SECURITY, and hardly of another hive.
const TOPS: [&[u8]; 5] = [b"SAM", b"Policy", b"Cache", b"RXACT", b"Recovery"];
/// Pairs of names, one below the other, that lead to secrets wherever they stand.
const PAIRS: [(&[u8], &[u8]); 6] = [
    (b"SAM", b"Domains"),
    (b"Domains", b"Account"),
    (b"Domains", b"Builtin"),
    (b"Policy", b"Secrets"),
    (b"Policy", b"PolEKList"),
    (b"Policy", b"PolSecretEncryptionKey"),
];
/// The keys below `Lsa` whose class names are the boot key, each eight hexadecimal digits of it.
const BOOT_KEY: [&[u8]; 4] = [b"JD", b"Skew1", b"GBG", b"Data"];
/// Values of an account, whose key is named by its number.
const ACCOUNT: [&[u8]; 3] = [b"F", b"V", b"SupplementalCredentials"];
/// What the names of cached domain logons begin with.
const CACHED_LOGON: &[u8] = b"NL$";
/// A password for logging on without being asked.
const DEFAULT_PASSWORD: &[u8] = b"DefaultPassword";

/// Whether this part of the key must never be shown or stored as data.
#[must_use]
pub fn is_secret(place: &Place<'_>, part: Part<'_>) -> bool {
    let key = place.below.last().copied().unwrap_or(place.root);
    is_beneath_secrets(place)
        || match part {
            Part::Class(class) => is_one_of(key, &BOOT_KEY) || is_eight_digits(class),
            Part::Value(name) => {
                is(name, DEFAULT_PASSWORD)
                    || name.get(..CACHED_LOGON.len()).is_some_and(|start| is(start, CACHED_LOGON))
                    || is_eight_digits(key) && is_one_of(name, &ACCOUNT)
            }
        }
}

/// Whether everything at this place is a secret.
fn is_beneath_secrets(place: &Place<'_>) -> bool {
    let vault = |name: &[u8]| is(name, b"SECURITY") || is(name, b"SAM");
    let mounted = match place.mount {
        [root, hive, ..] => (is(root, b"HKLM") || is(root, b"HKEY_LOCAL_MACHINE")) && vault(hive),
        _ => false,
    };
    let names = || std::iter::once(place.root).chain(place.below.iter().copied());
    mounted
        || vault(place.root)
        || names().take(2).any(|name| is_one_of(name, &TOPS))
        || names()
            .zip(names().skip(1))
            .any(|(above, name)| PAIRS.iter().any(|(first, second)| is(above, first) && is(name, second)))
}

/// Names match as Windows matches them; those that are looked for are ASCII.
fn is(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

fn is_one_of(name: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|known| is(name, known))
}

fn is_eight_digits(name: &[u8]) -> bool {
    name.len() == 8 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `path` is that of the mount, then `|`, then that below the root.
    fn rooted(root: &str, path: &str, part: Part<'_>) -> bool {
        let (mount, below) = path.split_once('|').unwrap_or((path, ""));
        let [mount, below]: [Vec<&[u8]>; 2] =
            [mount, below].map(|path| path.split('\\').filter(|name| !name.is_empty()).map(str::as_bytes).collect());
        is_secret(&Place { mount: &mount, root: root.as_bytes(), below: &below }, part)
    }

    fn secret(path: &str, part: Part<'_>) -> bool {
        rooted("ROOT", path, part)
    }

    const CLASS: Part<'_> = Part::Class(b"a class");

    #[test]
    fn what_is_secret() {
        assert!(secret(r"HKLM\SECURITY|Policy\Secrets\$MACHINE.ACC\CurrVal", Part::Value(b"")));
        assert!(secret(r"HKLM\sam|SAM\Domains\Account\Users\000001F4", Part::Value(b"V")));
        assert!(secret(r"HKLM\SAM|Anything", Part::Value(b"V")));
        assert!(secret(r"HKEY_LOCAL_MACHINE\SECURITY", CLASS));
        assert!(secret(r"HKLM\SYSTEM|ControlSet002\Control\Lsa\jd", CLASS));
        assert!(secret(r"HKLM\SYSTEM|CurrentControlSet\Control\LSA\Skew1", CLASS));
        let logon = r"HKLM\SOFTWARE|WOW6432Node\Microsoft\Windows NT\CurrentVersion\winlogon";
        assert!(secret(logon, Part::Value(b"defaultpassword")));
    }

    #[test]
    fn a_secret_is_one_wherever_its_hive_is_mounted() {
        for mount in [r"HKLM\HIVE", r"HKLM\SOFTWARE", r"HKU\NTUSER.DAT", r"HKU\@Users\Bob", r"HKU\S-1-5-21-1"] {
            let at = |below: &str, part| secret(&format!("{mount}|{below}"), part);
            assert!(at(r"sam\Domains\Account", Part::Value(b"F")), "{mount}");
            assert!(at(r"SAM\LastSkuUpgrade", CLASS), "{mount}");
            assert!(at(r"POLICY\PolEKList", Part::Value(b"")), "{mount}");
            assert!(at("cache", Part::Value(b"NL$1")), "{mount}");
            assert!(at("RXACT", Part::Value(b"Log")), "{mount}");
            assert!(at(r"ControlSet001\Control\Lsa\GBG", CLASS), "{mount}");
            assert!(at(r"Backup\SAM\Domains\Builtin", Part::Value(b"C")), "{mount}");
        }
    }

    #[test]
    fn a_part_of_a_hive_that_was_saved_keeps_its_secrets() {
        let at = |root: &str, below: &str, part| rooted(root, &format!(r"HKLM\HIVE|{below}"), part);
        assert!(at("SECURITY", "", Part::Value(b"")));
        assert!(at("Domains", r"Account\Users\000001F4", Part::Value(b"V")));
        assert!(at("000001f4", "", Part::Value(b"supplementalcredentials")));
        assert!(at("Users", "000003E8", Part::Value(b"F")));
        assert!(at("Policy", r"PolAdtEv", Part::Value(b"")));
        assert!(at("Lsa", "Data", CLASS));
        assert!(at("renamed", "", Part::Class(b"0A1b2c3d")));
        assert!(at("Winlogon", "", Part::Value(b"DefaultPassword")));
    }

    #[test]
    fn what_is_not() {
        assert!(!secret(r"HKLM\SYSTEM|ControlSet001\Control\Lsa\JD", Part::Value(b"Lookup")));
        assert!(!secret(r"HKLM\SYSTEM|ControlSet001\Control\Lsa\Other", CLASS));
        assert!(!secret(r"HKLM\SOFTWARE|Vendor\SAM", Part::Value(b"V")));
        assert!(!secret(r"HKLM\SOFTWARE|Microsoft\Policy", Part::Value(b"V")));
        assert!(!secret(r"HKU\S-1-5-18|SECURITY", Part::Value(b"V")));
        assert!(!secret(r"HKLM\SYSTEM|ControlSet001\Control\Keyboard Layouts\00000409", Part::Value(b"Layout Text")));
        assert!(!secret(r"HKLM\SOFTWARE|Microsoft\Windows NT\CurrentVersion\Winlogon", Part::Value(b"Shell")));
        assert!(!is_secret(&Place { mount: &[], root: b"", below: &[] }, CLASS));
    }
}
