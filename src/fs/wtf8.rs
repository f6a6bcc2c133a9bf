//! Names: sequences of UTF-16 units on disk, WTF-8 outside, so that lone surrogates survive.
//!
//! Reference: "The WTF-8 encoding", sections 3 and 4.

/// Encodes UTF-16 units; a surrogate without its partner becomes the three bytes of its own number.
pub(in crate::fs) fn encode(units: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let mut out = Vec::new();
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                out.extend_from_slice(&[0xE0 | high >> 4, 0x80 | (high & 0xF) << 2 | low >> 6, 0x80 | low & 0x3F]);
            }
        }
    }
    out
}

/// Decodes WTF-8 into UTF-16 units; `None` where the bytes are not WTF-8.
pub(in crate::fs) fn decode(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(rest.get(..error.valid_up_to())?).ok()?,
        };
        units.extend(valid.encode_utf16());
        rest = rest.get(valid.len()..)?;
        if let [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, ..] = *rest {
            units.push(0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F));
            rest = rest.get(3..)?;
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_survive() {
        for units in
            [vec![0xD800], vec![0xDFFF, 0x61], vec![0x61, 0xDC00, 0xD800], vec![0xD83E, 0xDDEA], vec![0xFFFF, 0]]
        {
            assert_eq!(decode(&encode(units.iter().copied())), Some(units));
        }
        // The WTF-8 document, section 4.2: U+D800 is ED A0 80, and a pair is never written as two lone halves.
        assert_eq!(encode([0xD800]), [0xED, 0xA0, 0x80]);
        assert_eq!(encode([0xD83E, 0xDDEA]), "\u{1F9EA}".as_bytes());
        assert_eq!(decode(&[0xFF]), None);
        assert_eq!(decode(&[0xED, 0xA0]), None);
    }
}
