//! File capabilities: the extended attribute `security.capability`.
//!
//! On disk (Linux, `include/uapi/linux/capability.h`, `struct vfs_ns_cap_data`), little-endian: revision in the
//! upper 8 bits of the first word and the effective flag in its lowest; then permitted and inheritable, 32 bits
//! each, once (revision 1) or twice (2 and 3); then, in revision 3, the user id that is root of the namespace.

use std::fmt::Write as _;

use crate::{
    error::{Error, Result},
    field::{le32, narrow},
};

const LAYER: &str = "capability";
const REVISION_MASK: u32 = 0xFF00_0000;
const EFFECTIVE_FLAG: u32 = 1;
/// Bits of the two sets together.
const BITS: u32 = 64;

/// Names by bit number: `capabilities(7)`, Linux 5.9 and later. That the number of names is fixed here makes
/// the text a function of the bytes; `getcap` asks the kernel that it runs on.
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// In which of the three sets a capability is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u8);

impl State {
    const EFFECTIVE: u8 = 1;
    const PERMITTED: u8 = 2;
    const INHERITABLE: u8 = 4;
    const COUNT: u8 = 8;

    /// The sets' letters in the order in which `getcap` prints them.
    fn letters(self) -> String {
        [(Self::EFFECTIVE, 'e'), (Self::INHERITABLE, 'i'), (Self::PERMITTED, 'p')]
            .iter()
            .filter(|(set, _)| self.0 & set != 0)
            .map(|(_, letter)| *letter)
            .collect()
    }
}

/// The value as parsed.
struct Capabilities {
    permitted: u64,
    inheritable: u64,
    effective: bool,
    root: Option<u32>,
}

impl Capabilities {
    fn parse(value: &[u8]) -> Option<Self> {
        let magic = le32(value, 0)?;
        let (words, owned) = match magic & REVISION_MASK {
            0x0100_0000 => (1, false),
            0x0200_0000 => (2, false),
            0x0300_0000 => (2, true),
            _ => return None,
        };
        let high = |at| if words == 2 { le32(value, at) } else { Some(0) };
        let set = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let expected = match (words, owned) {
            (1, _) => 12,
            (_, false) => 20,
            (_, true) => 24,
        };
        if value.len() != expected {
            return None;
        }
        Some(Self {
            permitted: set(le32(value, 4)?, high(12)?),
            inheritable: set(le32(value, 8)?, high(16)?),
            effective: magic & EFFECTIVE_FLAG != 0,
            root: if owned { Some(le32(value, 20)?) } else { None },
        })
    }

    /// The effective flag is one for all: what is permitted or inheritable is then effective too.
    fn state(&self, bit: u32) -> State {
        let set = |sets: u64| sets.checked_shr(bit).unwrap_or(0) & 1 == 1;
        let (permitted, inheritable) = (set(self.permitted), set(self.inheritable));
        let mut state = 0;
        if permitted {
            state |= State::PERMITTED;
        }
        if inheritable {
            state |= State::INHERITABLE;
        }
        if self.effective && (permitted || inheritable) {
            state |= State::EFFECTIVE;
        }
        State(state)
    }

    /// Numbers from `bits` in this state, joined by commas, by name where there is one.
    fn list(&self, bits: std::ops::Range<u32>, state: State) -> String {
        let mut list = String::new();
        for bit in bits.filter(|bit| self.state(*bit) == state) {
            if !list.is_empty() {
                list.push(',');
            }
            match NAMES.get(narrow(bit)) {
                Some(name) => list.push_str(name),
                None => list.push_str(&bit.to_string()),
            }
        }
        list
    }
}

/// The value as `getcap -n` prints it: `cap_net_raw=ep`, `=ep` where all capabilities are meant, with
/// ` [rootid=1000]` behind it where a user namespace owns it.
///
/// The text starts from the state that most named capabilities share and lists what differs, which is how
/// libcap's `cap_to_text(3)` keeps it short.
///
/// # Errors
/// [`Error::Corrupt`] for an unknown revision or a length that does not go with it.
pub fn to_text(value: &[u8]) -> Result<String> {
    let Some(capabilities) = Capabilities::parse(value) else {
        let magic = le32(value, 0).unwrap_or(0);
        let what = format!(
            "revision 1 in 12 bytes, 2 in 20 or 3 in 24 expected, found {magic:#010x} in {} bytes",
            value.len()
        );
        return Err(Error::corrupt(LAYER, "header at 0x0", what));
    };
    let named = 0..u32::try_from(NAMES.len()).unwrap_or(0);
    let unnamed = named.end..BITS;
    let usual = (0..State::COUNT)
        .map(State)
        .rev()
        .max_by_key(|state| named.clone().filter(|bit| capabilities.state(*bit) == *state).count())
        .unwrap_or(State(0));

    let mut clauses = Vec::new();
    if usual != State(0) {
        clauses.push(format!("={}", usual.letters()));
    }
    for state in (0..State::COUNT).rev().map(State).filter(|state| *state != usual) {
        let mut clause = capabilities.list(named.clone(), state);
        if clause.is_empty() {
            continue;
        }
        let (raised, lowered) = (State(state.0 & !usual.0), State(usual.0 & !state.0));
        if raised != State(0) {
            let operator = if clauses.is_empty() { '=' } else { '+' };
            let _ = write!(clause, "{operator}{}", raised.letters());
        }
        if lowered != State(0) {
            let _ = write!(clause, "-{}", lowered.letters());
        }
        clauses.push(clause);
    }
    if clauses.is_empty() {
        clauses.push("=".to_owned());
    }
    for state in (1..State::COUNT).rev().map(State) {
        let list = capabilities.list(unnamed.clone(), state);
        if !list.is_empty() {
            clauses.push(format!("{list}+{}", state.letters()));
        }
    }
    if let Some(root) = capabilities.root.filter(|root| *root != 0) {
        clauses.push(format!("[rootid={root}]"));
    }
    Ok(clauses.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::tests::{mutants, table};

    #[test]
    fn text_is_that_of_getcap() {
        let rows = table(include_str!("../../fixtures/security/capabilities.tsv"));
        assert_eq!(rows.len(), 187);
        for (value, text) in rows {
            assert_eq!(to_text(&value).unwrap(), text, "{value:02x?}");
        }
    }

    /// Today's kernels do not store revision 1 any more; its layout is that of `struct vfs_cap_data`.
    #[test]
    fn revision_1_has_one_word_for_each_set() {
        assert_eq!(to_text(&[1, 0, 0, 1, 0, 0x20, 0, 0, 0, 0, 0, 0]).unwrap(), "cap_net_raw=ep");
    }

    #[test]
    fn damage_is_an_error() {
        let error = to_text(&[0, 0, 0, 2, 0]).unwrap_err().to_string();
        assert_eq!(
            error,
            "capability: header at 0x0: revision 1 in 12 bytes, 2 in 20 or 3 in 24 expected, found 0x02000000 in 5 bytes"
        );
        assert!(to_text(&[]).is_err());
        let (value, _) = table(include_str!("../../fixtures/security/capabilities.tsv")).swap_remove(11);
        mutants(&value, |bytes| drop(to_text(bytes)));
    }
}
