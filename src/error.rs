//! What can go wrong, in two sizes: an [`Error`] stops a target, a [`Fault`] is a fact about one entity.
//!
//! Messages follow one form: `layer: what, at which offset, expected and found`, lower case, no full stop.

use std::{fmt, io};

/// The result of everything that reads a target.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that stops the work at hand: the reader of a volume, a target, or the whole run.
///
/// A reader returns only [`Error::Io`], [`Error::Unsupported`], [`Error::Corrupt`] and [`Error::Budget`];
/// the others belong to the rooms that deal with people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host could not deliver bytes: a file that cannot be opened, a short read, a failing device.
    #[error("{layer}: {what}: {source}")]
    Io {
        /// The room that was reading, as `raw`, `ext4`, `qcow2`.
        layer: &'static str,
        /// What was being done, with path or offset.
        what: String,
        /// The host's own error.
        source: io::Error,
    },
    /// The bytes are well formed and use a feature that this reader does not have; names the feature.
    #[error("{layer}: {what}")]
    Unsupported {
        /// The room that was reading.
        layer: &'static str,
        /// The feature, and what to do instead where something can be done.
        what: String,
    },
    /// The bytes contradict the format: says where, what was expected and what was found.
    #[error("{layer}: {at}: {what}")]
    Corrupt {
        /// The room that was reading.
        layer: &'static str,
        /// Where: a structure and its number or byte offset, as `inode 12` or `group 3 at 0x8000`.
        at: String,
        /// Expected and found.
        what: String,
    },
    /// A named budget was reached (depth, entries, bytes of holes): the input asks for more than is sane.
    #[error("{layer}: {what}")]
    Budget {
        /// The room that was reading.
        layer: &'static str,
        /// Which budget, its value, and the flag that raises it.
        what: String,
    },
    /// The command line asks for something that does not fit together.
    #[error("{0}")]
    Usage(String),
    /// The policy is wrong, or the configuration of the machine is ambiguous.
    #[error("{0}")]
    Policy(String),
    /// The target could not be opened at all, or holds nothing that is recognised.
    #[error("{0}")]
    Target(String),
    /// The state directory, a manifest or a log could not be read or written.
    #[error("{0}")]
    State(String),
    /// Somebody else holds the lock.
    #[error("{0}")]
    Busy(String),
    /// A defect of this program.
    #[error("internal error: {0}; please report it")]
    Bug(String),
}

impl Error {
    /// An I/O error with its context.
    pub fn io(layer: &'static str, what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { layer, what: what.into(), source }
    }

    /// A feature that this reader does not have.
    pub fn unsupported(layer: &'static str, what: impl Into<String>) -> Self {
        Self::Unsupported { layer, what: what.into() }
    }

    /// Bytes that contradict the format.
    pub fn corrupt(layer: &'static str, at: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Corrupt { layer, at: at.into(), what: what.into() }
    }

    /// A named budget that was reached.
    pub fn budget(layer: &'static str, what: impl Into<String>) -> Self {
        Self::Budget { layer, what: what.into() }
    }

    /// The exit code of a run that this error ended; see `docs/cli.md`, "Exit codes".
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unsupported { .. } | Self::Corrupt { .. } | Self::Budget { .. } | Self::Target(_) => 65,
            Self::Io { .. } => 66,
            Self::Bug(_) => 70,
            Self::State(_) => 74,
            Self::Busy(_) => 75,
            Self::Policy(_) => 78,
        }
    }
}

/// A fact about one entity that could not be read, or not in full; it stands in the manifest as a record of
/// kind `fault`, so that nothing vanishes in silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The room that was reading.
    pub layer: String,
    /// Where in that room: a structure and its number or byte offset. May be empty for I/O errors.
    pub at: String,
    /// What was expected and found, in one line.
    pub error: String,
}

impl Fault {
    /// A fault of `layer` at a place.
    pub fn new(layer: impl Into<String>, at: impl Into<String>, error: impl Into<String>) -> Self {
        Self { layer: layer.into(), at: at.into(), error: error.into() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { layer, what, source } => Self::new(layer, what, source.to_string()),
            Error::Corrupt { layer, at, what } => Self::new(layer, at, what),
            Error::Unsupported { layer, what } | Error::Budget { layer, what } => Self::new(layer, "", what),
            other => Self::new("snapfim", "", other.to_string()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            write!(f, "{}: {}", self.layer, self.error)
        } else {
            write!(f, "{}: {}: {}", self.layer, self.at, self.error)
        }
    }
}
