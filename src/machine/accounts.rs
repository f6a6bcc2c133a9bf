//! Account names, from the image's own `passwd` and `group`, see `passwd(5)` and `group(5)`.

use std::collections::{BTreeMap, HashMap};

/// Names of users and groups by number. The first line that names a number wins, as in the C library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    sids: HashMap<String, String>,
}

/// More accounts than this are not named; numbers are recorded all the same.
const ACCOUNT_CAP: usize = 1 << 20;

impl Accounts {
    /// Reads both files; lines that do not parse name nobody.
    #[must_use]
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: names(passwd), groups: names(group), sids: HashMap::new() }
    }

    /// The name of a user.
    #[must_use]
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(String::as_str)
    }

    /// The name of a group.
    #[must_use]
    pub fn group(&self, gid: u32) -> Option<&str> {
        self.groups.get(&gid).map(String::as_str)
    }

    /// Appends all names, in one order, so that equal accounts are equal bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        for names in [&self.users, &self.groups] {
            let sorted: BTreeMap<_, _> = names.iter().collect();
            out.extend_from_slice(&(sorted.len() as u64).to_le_bytes());
            for (number, name) in sorted {
                out.extend_from_slice(&number.to_le_bytes());
                text(out, name);
            }
        }
        for (sid, name) in self.sids.iter().collect::<BTreeMap<_, _>>() {
            text(out, sid);
            text(out, name);
        }
    }

    /// Names a Windows account or group; the first name of a SID holds.
    pub(super) fn name_sid(&mut self, sid: String, name: String) {
        if self.sids.len() < ACCOUNT_CAP {
            self.sids.entry(sid).or_insert(name);
        }
    }

    /// The name of a Windows account or group of this machine, by its SID.
    #[must_use]
    pub fn sid(&self, sid: &str) -> Option<&str> {
        self.sids.get(sid).map(String::as_str)
    }
}

/// Both files have the name in the first field and the number in the third.
fn names(file: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in file.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        let number = std::str::from_utf8(number).ok().and_then(|text| text.trim().parse().ok());
        if let (Some(number), false) = (number, name.is_empty() || names.len() >= ACCOUNT_CAP) {
            names.entry(number).or_insert_with(|| String::from_utf8_lossy(name).into_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_wins_and_bad_lines_name_nobody() {
        let accounts = Accounts::parse(
            b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nbroken\nbad:x:-1:0::\nwww-data:x:33:33:\n",
            b"root:x:0:\nshadow:x:42:\n",
        );
        assert_eq!(accounts.user(0), Some("root"));
        assert_eq!(accounts.user(33), Some("www-data"));
        assert_eq!(accounts.user(1), None);
        assert_eq!(accounts.group(42), Some("shadow"));
    }
}
