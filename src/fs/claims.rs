//! What the directories of one volume may hold together, its attributes, and the maps of its files. Any number of them
//! may claim the same blocks, and blocks of a directory that name nothing, or of a map that lead nowhere, cost their
//! writer nothing: a few megabytes may ask for years of reading.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of either, each counted as often as it is read: directories of a hundred million entries, twice over.
const MOST: u64 = 64 << 30;

/// Maps may come to so many bytes for each of a volume that is larger than that: a block of 1 KiB that leads to 256
/// others is a 256th of them, and is read some six times.
const MAPPED: u64 = 16;

/// Bytes of a table of clusters that are read: those of some ten million files that lie apart, four times over.
const CHAINED: u64 = 1 << 40;

/// What was read so far, by all sessions of a volume.
#[derive(Debug)]
pub(super) struct Claims {
    what: &'static str,
    read: AtomicU64,
    most: u64,
}

impl Claims {
    pub(super) fn of_directories() -> Self {
        Self { what: "directories", read: AtomicU64::new(0), most: MOST }
    }

    pub(super) fn of_attributes() -> Self {
        Self { what: "attributes", ..Self::of_directories() }
    }

    /// Of a volume of so many bytes.
    pub(super) fn of_maps(volume: u64) -> Self {
        let most = volume.checked_div(MAPPED).unwrap_or(0).max(MOST);
        Self { what: "block maps", most, ..Self::of_directories() }
    }

    /// The table that chains clusters: whoever follows any number of chains reads it again.
    pub(super) fn of_chains() -> Self {
        Self { what: "chains of clusters", most: CHAINED, ..Self::of_directories() }
    }

    /// With room for so many bytes.
    #[cfg(test)]
    pub(super) fn within(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// Counts what is to be read next.
    ///
    /// # Errors
    /// What is to be said of that, which is not read.
    pub(super) fn take(&self, bytes: u64) -> Result<(), String> {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if read <= self.most {
            return Ok(());
        }
        // Taken back, so that no number of attempts makes it small again.
        self.read.fetch_sub(bytes, Ordering::Relaxed);
        Err(format!("the {} of this volume hold more than {} bytes: the rest is not read", self.what, self.most))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{ops::ControlFlow, sync::Arc};

    use super::*;
    use crate::{
        fs::{FileSystem, Kind, Listed},
        image::{Image, Memory},
    };

    /// That a volume of `fixtures/` says what of it is not read, and hands out all where there is room; `open` is given
    /// what it may read of one kind.
    pub(in crate::fs) fn is_bounded<F: FileSystem>(
        packed: &[u8],
        claims: fn() -> Claims,
        open: impl Fn(Arc<dyn Image>, Claims) -> F,
    ) {
        let image: Arc<dyn Image> = Arc::new(Memory(zstd::decode_all(packed).unwrap()));
        let read = |most| {
            let fs = open(Arc::clone(&image), claims().within(most));
            let mut session = fs.session().unwrap();
            let (mut found, mut faults, mut waiting) = (0, Vec::new(), vec![(session.root(), true)]);
            while let Some((node, is_dir)) = waiting.pop() {
                let metadata = session.metadata(&node).unwrap();
                found += metadata.xattrs.len();
                faults.extend(metadata.faults.iter().map(ToString::to_string));
                let each = &mut |listed: Listed<'_>| {
                    match listed {
                        Listed::Entry(entry) => {
                            found += 1;
                            waiting.push((entry.node, entry.kind == Some(Kind::Dir)));
                        }
                        Listed::Fault(fault) => faults.push(fault.to_string()),
                    }
                    ControlFlow::Continue(())
                };
                if is_dir {
                    session.list(&node, each).unwrap();
                }
            }
            (found, faults)
        };
        let (all, faults) = read(64 << 20);
        assert!(all > 0 && faults.is_empty(), "{all} found, {faults:?}");
        let (some, faults) = read(1);
        let said = format!("the {} of this volume hold more than 1 bytes: the rest is not read", claims().what);
        assert!(some < all && !faults.is_empty(), "{some} of {all} found, {faults:?}");
        assert!(faults.iter().all(|fault| fault.ends_with(&said)), "{faults:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_does_is_still_taken() {
        let claims = Claims::of_attributes().within(100);
        assert!(claims.take(60).is_ok() && claims.take(41).is_err() && claims.take(u64::MAX).is_err());
        assert!(claims.take(40).is_ok() && claims.take(1).is_err() && claims.take(0).is_ok());
        assert!(Claims::of_directories().take(64 << 30).is_ok());
    }
}
