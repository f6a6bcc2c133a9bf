//! The order of records as bytes: encoded keys compare, as plain bytes, as the [`Key`]s themselves do.

use super::record::Key;

/// Appends the encoded key. Two keys compare as their encodings do.
pub fn encode(key: &Key<'_>, out: &mut Vec<u8>) {
    encode_name(key.path, out);
    out.push(key.class as u8);
    encode_name(key.name, out);
    encode_name(key.id.as_bytes(), out);
}

/// Appends bytes so that what follows cannot change their order: NUL, which a registry name may hold, becomes
/// 00 FF, and 00 00 ends the name.
pub fn encode_name(name: &[u8], out: &mut Vec<u8>) {
    let mut rest = name;
    while let Some(at) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(0xff);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::manifest::Class;

    fn names() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, 1, b'/', b'a', b'b', 0xfe, 0xff]), 0..6)
    }

    fn class() -> impl Strategy<Value = Class> {
        prop::sample::select(vec![Class::Fault, Class::File, Class::Stream, Class::Key, Class::Value])
    }

    proptest! {
        #[test]
        fn encoded_keys_compare_as_keys(
            a in (names(), class(), names(), "[ab\0]{0,3}"), b in (names(), class(), names(), "[ab\0]{0,3}"),
        ) {
            let [a, b] = [&a, &b].map(|(path, class, name, id)| {
                let key = Key { path, class: *class, name, id: Cow::Borrowed(id.as_str()) };
                let mut bytes = Vec::new();
                encode(&key, &mut bytes);
                (key, bytes)
            });
            prop_assert_eq!(a.0.cmp(&b.0), a.1.cmp(&b.1));
        }
    }
}
