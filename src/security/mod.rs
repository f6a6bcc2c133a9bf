//! Security metadata. In come the bytes that a filesystem or a hive keeps (a POSIX ACL, a file capability, a
//! security descriptor), out comes the text that administrators know: `getfacl`, `getcap`, `lsattr`, SDDL.
//! Pure functions; this room reads no images and looks nothing up: ids and SIDs stay numbers, names are extra.
//!
//! To add a kind of metadata: a file here with one function `to_text`, and a table made by the tool that
//! prints it in `fixtures/security/`.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing))]

pub mod capability;
pub mod inode_flags;
pub mod posix_acl;
pub mod sddl;
pub mod selinux;
pub mod sid;

#[cfg(test)]
mod tests {
    /// Rows of a fixture: bytes in hexadecimal, a tab, the text of the tool that made the table.
    pub(super) fn table(rows: &str) -> Vec<(Vec<u8>, String)> {
        rows.lines()
            .map(|row| {
                let (bytes, text) = row.split_once('\t').expect("two columns");
                (unhex(bytes), text.to_owned())
            })
            .collect()
    }

    /// Bytes written as two digits each.
    pub(super) fn unhex(digits: &str) -> Vec<u8> {
        digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Every truncation of `value`, and every byte replaced by the values that decoders stumble over.
    pub(super) fn mutants(value: &[u8], mut each: impl FnMut(&[u8])) {
        for len in 0..value.len() {
            each(&value[..len]);
            for byte in [0, 1, 0x7F, 0x80, 0xFF, value[len] ^ 0x10, value[len].wrapping_add(1)] {
                let mut mutant = value.to_vec();
                mutant[len] = byte;
                each(&mutant);
            }
        }
    }
}
