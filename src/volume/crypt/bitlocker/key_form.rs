//! What the bytes of a key file may mean for BitLocker: a recovery password, a file with a startup key, a password.

use zeroize::Zeroizing;

use super::entry;
use crate::{
    field::{array, le16, le32, units, wide},
    volume::crypt::{derive::Secret, keys::KeyFile},
};

/// A text that holds more recovery passwords has its first ones tried.
const MAX_RECOVERY: usize = 8;

/// Longer texts hold neither a password nor a recovery password.
const MAX_TEXT: usize = 64 << 10;

/// A key file, understood in every way that fits.
pub(super) struct KeyForms {
    pub(super) external: Option<External>,
    /// 16 bytes each.
    pub(super) recovery: Vec<Secret>,
    /// UTF-16, little-endian.
    pub(super) passwords: Vec<Secret>,
}

/// The key in a file `GUID.BEK`.
pub(super) struct External {
    /// The protector that it is for.
    pub(super) guid: [u8; 16],
    pub(super) key: Secret,
}

impl KeyForms {
    pub(super) fn of(file: &KeyFile) -> Self {
        let bytes = file.bytes.as_slice();
        let external = external(bytes);
        let text = text(bytes).filter(|_| external.is_none());
        let recovery = text.as_ref().map(|text| recovery_passwords(text)).unwrap_or_default();
        // A file with a recovery password is no password.
        let texts = file.passphrases().filter(|_| external.is_none() && recovery.is_empty() && bytes.len() <= MAX_TEXT);
        let passwords = texts.filter_map(|bytes| std::str::from_utf8(bytes).ok()).map(utf16).collect();
        Self { external, recovery, passwords }
    }
}

fn utf16(text: &str) -> Secret {
    Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

/// The file as text: UTF-16 with its mark, as Windows saves recovery passwords, or UTF-8.
fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    if bytes.len() > MAX_TEXT {
        return None;
    }
    let text = match bytes.strip_prefix(b"\xff\xfe") {
        Some(rest) => char::decode_utf16(units(rest)).map(|c| c.unwrap_or('\u{fffd}')).collect(),
        None => std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    Some(Zeroizing::new(text))
}

/// Eight groups of six digits, each 11 times a number of 16 bits (libbde, 5.4.3 "Recovery password").
fn recovery_passwords(text: &str) -> Vec<Secret> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '-');
    words.filter_map(recovery_password).take(MAX_RECOVERY).collect()
}

fn recovery_password(word: &str) -> Option<Secret> {
    let groups: Vec<&str> = if word.len() == 48 {
        (0..48_usize).step_by(6).filter_map(|at| word.get(at..at.checked_add(6)?)).collect()
    } else {
        word.split('-').collect()
    };
    if groups.len() != 8 {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(16));
    for group in groups.into_iter().filter(|group| group.len() == 6) {
        let number: u32 = group.parse().ok()?;
        let part = u16::try_from(number.checked_div(11).filter(|_| number.is_multiple_of(11))?).ok()?;
        key.extend_from_slice(&part.to_le_bytes());
    }
    (key.len() == 16).then_some(key)
}

/// A file with a startup key (libbde, 6 "BitLocker External Key (BEK) file").
fn external(bytes: &[u8]) -> Option<External> {
    const HEADER: usize = 48;
    /// GUID and time in front of the entries of an external key.
    const VALUE_HEADER: usize = 24;
    if le32(bytes, 0).map(u64::from) != Some(wide(bytes.len()))
        || le32(bytes, 4) != Some(1)
        || le16(bytes, 8) != Some(48)
    {
        return None;
    }
    let outer = entry::all(bytes.get(HEADER..)?).next()?.ok()?;
    if outer.kind != entry::STARTUP_KEY || outer.value != entry::EXTERNAL_KEY {
        return None;
    }
    let inner = entry::all(outer.data.get(VALUE_HEADER..)?).filter_map(Result::ok);
    let key = inner.filter(|entry| entry.value == entry::KEY).find_map(|entry| entry.data.get(4..))?;
    Some(External { guid: array(bytes, 16)?, key: Zeroizing::new(key.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> KeyForms {
        let mut keys = crate::volume::crypt::keys::Keys::default();
        keys.add("k", bytes.to_vec());
        let (_, file) = keys.files().next().unwrap();
        KeyForms::of(file)
    }

    #[test]
    fn a_recovery_password_is_found_in_a_text() {
        // 11, 22, ... 88: the numbers 1 to 8.
        let digits = "000011-000022-000033-000044-000055-000066-000077-000088";
        let expected: Vec<u8> = (1..=8_u16).flat_map(u16::to_le_bytes).collect();
        let utf16 = [b"\xff\xfe".to_vec(), super::utf16(&format!("Schlüssel:\r\n  {digits}\r\n")).to_vec()].concat();
        for bytes in [digits.as_bytes(), digits.replace('-', "").as_bytes(), format!("{digits}\n").as_bytes(), &utf16] {
            let forms = of(bytes);
            assert_eq!(
                forms.recovery.iter().map(|key| key.to_vec()).collect::<Vec<_>>(),
                std::slice::from_ref(&expected)
            );
            assert!(forms.passwords.is_empty());
        }
        for wrong in [
            &digits[1..],
            "000012-000022-000033-000044-000055-000066-000077-000088",
            "720896-000022-000033-000044-000055-000066-000077-000088",
        ] {
            assert!(of(wrong.as_bytes()).recovery.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_password_with_and_without_its_newline() {
        let forms = of("p\u{e4}\n".as_bytes());
        let passwords: Vec<_> = forms.passwords.iter().map(|password| password.to_vec()).collect();
        assert_eq!(passwords, [b"p\0\xe4\0\n\0".to_vec(), b"p\0\xe4\0".to_vec()]);
        assert!(of(b"\xff\xfe\xff").passwords.is_empty());
    }
}
