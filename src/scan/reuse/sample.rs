//! Which of the contents whose hashes are taken over are read all the same.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const ALL: u64 = 1_000_000;

/// A share of all contents. The choice is made by a hash over the scan and the path: the same when a run is repeated,
/// another in the next scan, and nothing that a guest can foresee without knowing when it is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    parts_per_million: u64,
    salt: String,
}

impl Sample {
    /// A share as a person writes it, `5%` or `0.1`, for a scan.
    ///
    /// # Errors
    /// When it is not a number from 0 to 100.
    pub fn parse(percent: &str, scan: impl Into<String>) -> Result<Self> {
        let number: Option<f64> = percent.strip_suffix('%').unwrap_or(percent).trim().parse().ok();
        let number = number.filter(|number| (0.0..=100.0).contains(number));
        let number = number.ok_or_else(|| {
            Error::Usage(format!("--verify-reuse {percent}: expected a percentage from 0 to 100, as 5%"))
        })?;
        // A share above nothing is never rounded to nothing; the range was checked, so nothing is cut off.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a million")]
        let parts_per_million = (number * 10_000.0).ceil() as u64;
        Ok(Self { parts_per_million, salt: scan.into() })
    }

    /// Whether the content of this path and stream is read.
    pub(in crate::scan) fn takes(&self, path: &[u8], stream: &[u8]) -> bool {
        let mut hash = Sha256::new();
        for part in [self.salt.as_bytes(), path, stream] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % ALL < self.parts_per_million
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_about_what_it_says() {
        let taken = |percent: &str, salt: &str| {
            let sample = Sample::parse(percent, salt).unwrap();
            (0..10_000_u32).filter(|n| sample.takes(&n.to_le_bytes(), b"")).collect::<Vec<_>>()
        };
        assert_eq!((taken("0", "a").len(), taken("100%", "a").len()), (0, 10_000));
        assert!((400..600).contains(&taken("5%", "a").len()));
        assert_eq!(taken("5", "a"), taken("5%", "a"));
        assert_ne!(taken("5", "a"), taken("5", "b"));
        for bad in ["-1", "101", "x", "", "NaN", "%"] {
            assert!(Sample::parse(bad, "a").is_err(), "{bad}");
        }
    }
}
