//! What the directories of one volume may hold together. Any number of them may claim the same blocks, and blocks that
//! name nothing cost their writer nothing: a few megabytes may ask for years of listing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of directories, each counted as often as it is listed: those of a hundred million entries, twice over.
const MOST: u64 = 64 << 30;

/// The bytes that were listed so far, by all sessions of a volume.
pub(super) struct Listings {
    listed: AtomicU64,
    most: u64,
}

impl Default for Listings {
    fn default() -> Self {
        Self { listed: AtomicU64::new(0), most: MOST }
    }
}

impl Listings {
    /// With room for so many bytes.
    #[cfg(test)]
    pub(super) fn of(most: u64) -> Self {
        Self { most, ..Self::default() }
    }

    /// Counts what is to be listed next.
    ///
    /// # Errors
    /// What is to be said of a directory that is not listed for that.
    pub(super) fn take(&self, bytes: u64) -> Result<(), String> {
        let listed = self.listed.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if listed <= self.most {
            return Ok(());
        }
        // Taken back, so that no number of attempts makes it small again.
        self.listed.fetch_sub(bytes, Ordering::Relaxed);
        Err(format!("the directories of this volume hold more than {} bytes: the rest is not listed", self.most))
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

    /// That a volume of `fixtures/` says which directory it does not list, and lists all where there is room.
    pub(in crate::fs) fn is_bounded<F: FileSystem>(packed: &[u8], open: impl Fn(Arc<dyn Image>, Listings) -> F) {
        let image: Arc<dyn Image> = Arc::new(Memory(zstd::decode_all(packed).unwrap()));
        let list = |most| {
            let fs = open(Arc::clone(&image), Listings::of(most));
            let mut session = fs.session().unwrap();
            let (mut names, mut faults, mut waiting) = (0, Vec::new(), vec![session.root()]);
            while let Some(dir) = waiting.pop() {
                let each = &mut |listed: Listed<'_>| {
                    match listed {
                        Listed::Entry(entry) => {
                            names += 1;
                            waiting.extend((entry.kind == Some(Kind::Dir)).then_some(entry.node));
                        }
                        Listed::Fault(fault) => faults.push(fault.to_string()),
                    }
                    ControlFlow::Continue(())
                };
                session.list(&dir, each).unwrap();
            }
            (names, faults)
        };
        let (names, faults) = list(64 << 20);
        assert!(names > 0 && faults.is_empty(), "{names} names, {faults:?}");
        let (none, faults) = list(511);
        let says_so = |fault: &String| fault.ends_with("hold more than 511 bytes: the rest is not listed");
        assert!(none < names && !faults.is_empty() && faults.iter().all(says_so), "{none} names, {faults:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_does_is_still_taken() {
        let listings = Listings::of(100);
        assert!(listings.take(60).is_ok() && listings.take(41).is_err() && listings.take(u64::MAX).is_err());
        assert!(listings.take(40).is_ok() && listings.take(1).is_err() && listings.take(0).is_ok());
        assert!(Listings::default().take(64 << 30).is_ok());
    }
}
