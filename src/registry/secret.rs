//! Which parts of the registry are secrets, and are kept as hashes only.
//!
//! `HKLM\SECURITY` and `HKLM\SAM` hold password hashes and the machine's own secrets; the class names of four
//! keys below `Lsa` together are the key that these are encrypted with; `DefaultPassword` is one in the clear.

use super::name::same;

/// What of a key is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The class name.
    Class,
    /// The value of this name.
    Value(&'a [u8]),
}

/// Whether this part of the key must never be shown or stored as data. `path` begins with `HKLM` or
/// `HKEY_LOCAL_MACHINE` and the hive, as `["HKLM", "SYSTEM", "ControlSet001", …]`; names match without case.
#[must_use]
pub fn is_secret(path: &[&[u8]], part: Part<'_>) -> bool {
    let machine = |root: &[u8]| same(root, b"HKLM") || same(root, b"HKEY_LOCAL_MACHINE");
    match (path, part) {
        ([root, hive, ..], _) if machine(root) && (same(hive, b"SECURITY") || same(hive, b"SAM")) => true,
        ([root, system, set, control, lsa, key], Part::Class) => {
            machine(root)
                && same(system, b"SYSTEM")
                && is_control_set(set)
                && same(control, b"Control")
                && same(lsa, b"Lsa")
                && [&b"JD"[..], b"Skew1", b"GBG", b"Data"].iter().any(|known| same(key, known))
        }
        ([.., key], Part::Value(name)) => same(key, b"Winlogon") && same(name, b"DefaultPassword"),
        _ => false,
    }
}

/// `ControlSet001` and the like, and the name that the current one has while Windows runs.
fn is_control_set(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"ControlSet";
    name.get(..PREFIX.len()).is_some_and(|start| same(start, PREFIX)) || same(name, b"CurrentControlSet")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(path: &str, part: Part<'_>) -> bool {
        is_secret(&path.split('\\').map(str::as_bytes).collect::<Vec<_>>(), part)
    }

    #[test]
    fn what_is_secret() {
        assert!(secret(r"HKLM\SECURITY\Policy\Secrets\$MACHINE.ACC\CurrVal", Part::Value(b"")));
        assert!(secret(r"HKLM\sam\SAM\Domains\Account\Users\000001F4", Part::Value(b"V")));
        assert!(secret(r"HKEY_LOCAL_MACHINE\SECURITY", Part::Class));
        assert!(secret(r"HKLM\SYSTEM\ControlSet002\Control\Lsa\jd", Part::Class));
        assert!(secret(r"HKLM\SYSTEM\CurrentControlSet\Control\LSA\Skew1", Part::Class));
        let logon = r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows NT\CurrentVersion\winlogon";
        assert!(secret(logon, Part::Value(b"defaultpassword")));
    }

    #[test]
    fn what_is_not() {
        assert!(!secret(r"HKLM\SYSTEM\ControlSet001\Control\Lsa\JD", Part::Value(b"Lookup")));
        assert!(!secret(r"HKLM\SYSTEM\ControlSet001\Control\Lsa\Other", Part::Class));
        assert!(!secret(r"HKLM\SYSTEM\Setup\Control\Lsa\JD", Part::Class));
        assert!(!secret(r"HKLM\SOFTWARE\SAM", Part::Value(b"V")));
        assert!(!secret(r"HKU\S-1-5-18\SECURITY", Part::Value(b"V")));
        assert!(!secret(r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon", Part::Value(b"Shell")));
        assert!(!is_secret(&[], Part::Class));
    }
}
