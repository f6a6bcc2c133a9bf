//! A record's path, cut into the columns that an event has for it.

use std::borrow::Cow;

use crate::text::hex;

const HIVES: [(&str, &str); 2] = [("HKLM", "HKEY_LOCAL_MACHINE"), ("HKU", "HKEY_USERS")];

/// The short name of a hive by its long one; any other name is returned as it is.
pub(super) fn short_hive(long: &str) -> &str {
    HIVES.iter().find(|(_, l)| *l == long).map_or(long, |(short, _)| short)
}

/// A registry path's hive by its long name, and what follows it; `None` for a path in a filesystem.
pub(super) fn hive_and_key(path: &[u8]) -> Option<(&'static str, &[u8])> {
    HIVES.iter().find_map(|(short, long)| {
        let rest = path.strip_prefix(short.as_bytes())?;
        match rest.strip_prefix(b"\\") {
            Some(key) => Some((*long, key)),
            None if rest.is_empty() => Some((*long, rest)),
            None => None,
        }
    })
}

/// A file path's directory with its trailing separator, and its base name; the root of a volume has no base name.
pub(super) fn directory_and_name(path: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let windows = path.first().is_some_and(u8::is_ascii_alphabetic) && path.get(1) == Some(&b':');
    let separator = if windows { b'\\' } else { b'/' };
    match path.iter().rposition(|&byte| byte == separator) {
        Some(at) => {
            let (directory, name) = path.split_at(at.saturating_add(1));
            (Cow::Borrowed(directory), name)
        }
        None if windows || path.first() == Some(&b'@') => (Cow::Owned([path, &[separator]].concat()), &[]),
        None => (Cow::Borrowed(&[]), path),
    }
}

/// The exact bytes in hexadecimal, where they are not valid Unicode.
pub(super) fn hex_unless_unicode(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).is_err().then(|| hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::readable;

    fn split(path: &str) -> (String, String) {
        let (directory, name) = directory_and_name(path.as_bytes());
        (readable(&directory), readable(name))
    }

    #[test]
    fn a_file_path_is_cut_behind_its_last_separator() {
        for (path, directory, name) in [
            ("/usr/bin/passwd", "/usr/bin/", "passwd"),
            ("/etc", "/", "etc"),
            ("/", "/", ""),
            (r"C:\Windows\System32\userinit.exe", r"C:\Windows\System32\", "userinit.exe"),
            (r"C:\", r"C:\", ""),
            ("C:", r"C:\", ""),
            ("@5d1e/boot/grub.cfg", "@5d1e/boot/", "grub.cfg"),
            ("@5d1e", "@5d1e/", ""),
            (r"/tmp/a\b", "/tmp/", r"a\b"),
        ] {
            assert_eq!(split(path), (directory.to_owned(), name.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_registry_path_is_told_by_its_hive() {
        assert_eq!(hive_and_key(br"HKLM\SOFTWARE\X"), Some(("HKEY_LOCAL_MACHINE", &br"SOFTWARE\X"[..])));
        assert_eq!(hive_and_key(br"HKU\S-1-5-18"), Some(("HKEY_USERS", &b"S-1-5-18"[..])));
        assert_eq!(hive_and_key(b"HKLM"), Some(("HKEY_LOCAL_MACHINE", &b""[..])));
        assert_eq!(hive_and_key(b"/HKLM"), None);
        assert_eq!(hive_and_key(b"HKLMX\\a"), None);
    }

    #[test]
    fn bytes_that_are_not_unicode_are_shown_and_kept() {
        assert_eq!(hex_unless_unicode(b"a\xff").as_deref(), Some("61ff"));
        assert_eq!(hex_unless_unicode("ä".as_bytes()), None);
    }
}
