//! `security.selinux`: the label of a file, stored with or without a trailing NUL.

/// The label without its trailing NUL, as exact bytes: a label from an image need not be text.
#[must_use]
pub fn label(value: &[u8]) -> &[u8] {
    value.strip_suffix(&[0]).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn one_trailing_nul_is_not_part_of_the_label() {
        assert_eq!(label(b"system_u:object_r:etc_t:s0\0"), b"system_u:object_r:etc_t:s0");
        assert_eq!(label(b"system_u:object_r:etc_t:s0"), b"system_u:object_r:etc_t:s0");
        assert_eq!(label(b"a\0\0"), b"a\0");
        assert_eq!(label(b""), b"");
    }
}
