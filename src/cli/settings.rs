//! From what was typed to what it means: budgets, threads, policies.

use std::{ffi::OsStr, path::Path};

use super::{
    groups::{OpenArgs, PolicyArgs, RescanArgs, WorkArgs},
    throttle,
};
use crate::{
    error::{Error, Result},
    job::{Rescan, input},
    manifest::attribute,
    policy::Policy,
    scan::Budgets,
    target,
    volume::{KeyLimits, Keys, MAX_KEY_FILE},
};

/// Policies are small; a file larger than this is none.
const MAX_POLICY: u64 = 16 << 20;

impl WorkArgs {
    /// Worker threads: as said, else one for each core.
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from)
    }

    pub(super) fn budgets(&self) -> Budgets {
        Budgets {
            hole_bytes: self.max_hole_bytes,
            total_hole_bytes: self.max_total_hole_bytes,
            total_bytes: self.max_total_bytes,
            depth: self.max_depth,
            entries: self.max_entries,
            hive_bytes: self.max_hive_bytes,
            records: self.max_records,
            memory: self.max_memory.saturating_mul(1 << 20),
        }
    }
}

impl OpenArgs {
    /// Reads the key files, too.
    pub(super) fn options(&self, work: Option<&WorkArgs>) -> Result<target::Options> {
        Ok(target::Options {
            on_read: work.and_then(|work| work.max_read_rate).map(throttle::limit),
            root: self.root.clone(),
            image_root: self.image_root.clone(),
            cross_devices: self.cross_devices,
            hive_bytes: work.map_or(0, |work| work.max_hive_bytes),
            keys: self.keys()?,
        })
    }

    /// The files named.
    pub(super) fn files(&self) -> impl Iterator<Item = &OsStr> {
        self.key_files.iter().map(|path| path.as_os_str())
    }

    fn keys(&self) -> Result<Keys> {
        standard_input_once(self.files())?;
        let memory = self.max_key_memory.saturating_mul(1024);
        let mut keys = Keys::new(KeyLimits { memory, rounds: self.max_key_rounds });
        for path in &self.key_files {
            let shown = input::shown(path);
            let bytes = input::read(path, MAX_KEY_FILE).map_err(|error| Error::io("key file", shown.clone(), error))?;
            if bytes.is_empty() || bytes.len() as u64 > MAX_KEY_FILE {
                return Err(Error::Usage(format!("--key-file {shown}: expected 1 to {MAX_KEY_FILE} bytes")));
            }
            keys.add(shown, bytes);
        }
        Ok(keys)
    }
}

impl RescanArgs {
    pub(super) fn rescan(&self) -> Rescan {
        Rescan {
            changed: self.changed.clone(),
            since: self.changed_since.clone(),
            no_reuse: self.no_reuse,
            verify: self.verify_reuse.clone(),
        }
    }
}

/// A policy, and what people call it.
pub(super) struct NamedPolicy {
    pub(super) policy: Policy,
    pub(super) name: String,
}

impl PolicyArgs {
    /// The file named.
    pub(super) fn files(&self) -> impl Iterator<Item = &OsStr> {
        self.policy.iter().map(|path| path.as_os_str())
    }

    /// Whether a person named any.
    pub(super) fn is_named(&self) -> bool {
        self.policy.is_some() || !self.profiles.is_empty()
    }

    /// The policy file with the profiles named beside it; without either, the profile `default`.
    pub(super) fn policy(&self, default: &str) -> Result<NamedPolicy> {
        let profiles: Vec<&str> = self.profiles.iter().map(String::as_str).collect();
        match &self.policy {
            Some(path) => {
                let (policy, shown) = policy_file(path)?;
                let policy = if profiles.is_empty() { policy } else { policy.with_profiles(&profiles)? };
                Ok(NamedPolicy { policy, name: shown })
            }
            None => {
                let names = if profiles.is_empty() { vec![default] } else { profiles };
                let mut policy = Policy::built_in(names.first().copied().unwrap_or(default))?;
                if names.len() > 1 {
                    policy = policy.with_profiles(&names)?;
                }
                Ok(NamedPolicy { policy, name: names.join(", ") })
            }
        }
    }
}

/// Reads a policy file; what messages call it stands beside it.
pub(super) fn policy_file(path: &Path) -> Result<(Policy, String)> {
    let shown = input::shown(path);
    let wrong = |what: &dyn std::fmt::Display| Error::Policy(format!("{shown}: {what}"));
    let bytes = input::read(path, MAX_POLICY).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > MAX_POLICY {
        return Err(wrong(&format!("longer than {MAX_POLICY} bytes, which no policy is")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let (text, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = text.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let found = rest.first().copied().unwrap_or_default();
        Error::Policy(format!("{shown}:{line}: expected a text in UTF-8, found the byte {found:#04x}"))
    })?;
    Ok((Policy::parse(&text, &shown, &comparable())?, shown))
}

/// What an option means, if it is given; an error names it.
pub(super) fn option<T>(name: &str, text: Option<&str>, meaning: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    let named = |error: Error| Error::Usage(format!("{name}: {error}"));
    text.map(|text| meaning(text).map_err(named)).transpose()
}

/// That standard input, which can be read once, is asked for once.
pub(super) fn standard_input_once<'n>(names: impl IntoIterator<Item = &'n OsStr>) -> Result<()> {
    if names.into_iter().filter(|name| input::is_standard(name)).count() > 1 {
        return Err(Error::Usage(
            "- is standard input, which can be read once, and is given more than once".to_owned(),
        ));
    }
    Ok(())
}

/// The names that a rule's `compare` may use: attributes and groups of attributes.
pub(super) fn comparable() -> Vec<&'static str> {
    let mut names: Vec<_> =
        attribute::TABLE.iter().flat_map(|row| std::iter::once(row.name).chain(row.groups.iter().copied())).collect();
    names.sort_unstable();
    names.dedup();
    names
}
