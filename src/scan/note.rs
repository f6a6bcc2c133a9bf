//! What a scan has to say beside its records.

/// Something worth knowing that is no gap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A path or key that a rule names is not there, or is no directory where only one is meant. The built-in profiles name many that no one machine has all of.
    Absent(String),
    /// Something about the volume of this id, in one line.
    Volume(String, String),
    /// Anything else, in one line.
    Other(String),
}

impl Note {
    /// The note's text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Absent(text) | Self::Volume(_, text) | Self::Other(text) => text,
        }
    }
}
