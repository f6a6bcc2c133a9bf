//! From what was typed to what it means: budgets, threads, policies.

use std::{io::Read, path::Path};

use super::{
    args::{OpenArgs, PolicyArgs, RescanArgs, WorkArgs},
    throttle,
};
use crate::{
    error::{Error, Result},
    job::Rescan,
    manifest::attribute,
    policy::Policy,
    scan::Budgets,
    target,
    volume::{KeyLimits, Keys, MAX_KEY_FILE},
};

/// Policies are small; a file larger than this is none.
const POLICY_CAP: u64 = 16 << 20;

impl WorkArgs {
    /// Worker threads: as said, else one for each core.
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from)
    }

    pub(super) fn budgets(&self) -> Budgets {
        Budgets {
            hole_bytes: self.max_hole_bytes,
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
            keys: self.keys()?,
        })
    }

    fn keys(&self) -> Result<Keys> {
        let memory = self.max_key_memory.saturating_mul(1024);
        let mut keys = Keys::new(KeyLimits { memory, rounds: self.max_key_rounds });
        for path in &self.key_files {
            let shown = path.display().to_string();
            let failed = |error| Error::io("key file", shown.clone(), error);
            let mut bytes = Vec::new();
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(MAX_KEY_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
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
    /// The policy file with the profiles named beside it; without either, the profile `default`.
    pub(super) fn policy(&self, default: &str) -> Result<NamedPolicy> {
        let profiles: Vec<&str> = self.profiles.iter().map(String::as_str).collect();
        match &self.policy {
            Some(path) => {
                let shown = path.display().to_string();
                let policy = Policy::parse(&policy_text(path)?, &shown, &comparable())?;
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

/// The text of a policy file.
pub(super) fn policy_text(path: &Path) -> Result<String> {
    let shown = path.display();
    let unreadable = |error| Error::Policy(format!("{shown}: {error}"));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(POLICY_CAP.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > POLICY_CAP {
        return Err(Error::Policy(format!("{shown}: longer than {POLICY_CAP} bytes, which no policy is")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (text, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = text.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let found = rest.first().copied().unwrap_or_default();
        Error::Policy(format!("{shown}:{line}: expected a text in UTF-8, found the byte {found:#04x}"))
    })
}

/// The names that a rule's `compare` may use: attributes and groups of attributes.
pub(super) fn comparable() -> Vec<&'static str> {
    let mut names: Vec<_> =
        attribute::TABLE.iter().flat_map(|row| std::iter::once(row.name).chain(row.groups.iter().copied())).collect();
    names.sort_unstable();
    names.dedup();
    names
}
