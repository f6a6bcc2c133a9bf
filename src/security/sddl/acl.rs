//! Access control lists.
//!
//! [MS-DTYP] 2.4.5, little-endian: revision and a reserved byte, size of the whole list in bytes (16 bits), number
//! of ACEs (16 bits), 16 reserved bits; then the ACEs, each with its own size at its offset 2.

use super::{ace, corrupt};
use crate::{
    error::Result,
    field::{le16, len16, slice},
};

const HEADER: usize = 8;

/// Which of the two lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who may do what.
    Discretionary,
    /// What is audited, and the labels.
    System,
}

impl Kind {
    /// The list's prefix, and the control bits that print as `P`, `AR`, `AI`.
    fn prefix(self) -> (&'static str, [(u16, &'static str); 3]) {
        match self {
            Self::Discretionary => ("D:", [(0x1000, "P"), (0x0100, "AR"), (0x0400, "AI")]),
            Self::System => ("S:", [(0x2000, "P"), (0x0200, "AR"), (0x0800, "AI")]),
        }
    }
}

/// Appends the list at `at`, until the text is longer than `longest` bytes; offset 0 is a NULL list.
pub(super) fn print(
    kind: Kind,
    control: u16,
    descriptor: &[u8],
    at: usize,
    longest: usize,
    text: &mut String,
) -> Result<()> {
    let (prefix, flags) = kind.prefix();
    text.push_str(prefix);
    for (_, name) in flags.iter().filter(|(bit, _)| control & bit != 0) {
        text.push_str(name);
    }
    if at == 0 {
        text.push_str("NO_ACCESS_CONTROL");
        return Ok(());
    }
    let head = descriptor.get(at..).unwrap_or_default();
    let (Some(size), Some(count)) = (le16(head, 2), le16(head, 4)) else {
        return Err(corrupt(at, format!("an ACL of at least {HEADER} bytes expected, found {}", head.len())));
    };
    let list = head
        .get(..usize::from(size))
        .ok_or_else(|| corrupt(at, format!("an ACL of {size} bytes expected, found {}", head.len())))?;
    let mut next = HEADER;
    for number in 0..count {
        let place = at.saturating_add(next);
        let size = len16(list, next.saturating_add(2)).unwrap_or(0);
        let ace = slice(list, next, size)
            .filter(|ace| ace.len() >= ace::HEADER)
            .ok_or_else(|| corrupt(place, format!("ACE {number} of {count}: its {size} bytes leave the ACL")))?;
        ace::print(ace, text);
        if text.len() > longest {
            return Ok(());
        }
        next = next.saturating_add(size);
    }
    Ok(())
}
