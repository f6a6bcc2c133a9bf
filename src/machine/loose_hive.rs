//! A machine of which nothing is at hand but one hive file, with its logs beside it.

use std::sync::Arc;

use super::{Family, HiveFile, Machine, Volume, caseless::caseless, hive};
use crate::{
    error::{Error, Result},
    fs::FileSystem,
};

/// Beginnings of file names, in upper case, and the path of the root key in the registry.
const ROOTS: [(&str, &str); 9] = [
    ("SYSTEM", r"HKLM\SYSTEM"),
    ("SOFTWARE", r"HKLM\SOFTWARE"),
    ("SECURITY", r"HKLM\SECURITY"),
    ("SAM", r"HKLM\SAM"),
    ("BCD", r"HKLM\BCD00000000"),
    ("AMCACHE", r"HKLM\Amcache"),
    ("DEFAULT", r"HKU\.DEFAULT"),
    ("NTUSER", r"HKU\NTUSER.DAT"),
    ("USRCLASS", r"HKU\USRCLASS.DAT"),
];
/// Where the keys of any other hive stand.
const OTHER: &str = r"HKLM\HIVE";

impl Machine {
    /// The machine of the hive `name` in the root of `fs`. Where its keys stand is guessed from the name, so that
    /// `SOFTWARE.old` and `SOFTWARE.new` can be compared. `hive_bytes` is as in [`Machine::assemble_within`].
    ///
    /// # Errors
    /// When the file is not there.
    pub fn of_hive(name: &str, fs: Arc<dyn FileSystem>, hive_bytes: usize) -> Result<Self> {
        let volume = Volume { uuid: None, label: None, ..Volume::alone("@hive", caseless(&fs)) };
        let mut machine = Self::of(vec![volume]);
        machine.os.family = Family::Windows;
        let mut sessions = machine.sessions();
        let session = sessions.of(0)?;
        let root = session.root();
        let mount = root_of(name).as_bytes().to_vec();
        let file = HiveFile::find(session, 0, &root, name.as_bytes(), mount)?
            .ok_or_else(|| Error::Target(format!("{name}: no such hive")))?;
        let set = if root_of(name) == ROOTS[0].1 {
            let cap = hive_bytes.max(hive::LEARN_CAP);
            file.open(&mut sessions, cap).and_then(|opened| hive::control_set(&opened.hive)).ok()
        } else {
            None
        };
        drop(sessions);
        machine.control_set = set;
        machine.hives.push(file);
        Ok(machine)
    }
}

fn root_of(name: &str) -> &'static str {
    let name = name.to_ascii_uppercase();
    let begins = |start: &str| {
        name.strip_prefix(start).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphabetic()))
    };
    ROOTS.iter().find(|(start, _)| begins(start)).map_or(OTHER, |(_, root)| root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_key_is_guessed_from_the_name() {
        for (name, root) in [
            ("SOFTWARE.old", r"HKLM\SOFTWARE"),
            ("system", r"HKLM\SYSTEM"),
            ("SAM_copy", r"HKLM\SAM"),
            ("sample.hiv", r"HKLM\HIVE"),
            ("ntuser.dat.bak", r"HKU\NTUSER.DAT"),
            ("Default", r"HKU\.DEFAULT"),
        ] {
            assert_eq!(root_of(name), root, "{name}");
        }
    }
}
