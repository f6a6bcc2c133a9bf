//! Colour, where somebody wants it.

use std::fmt;

use crate::severity::Severity;

/// How text is to look; the caller knows whether it goes to a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether to write terminal colours.
    pub colour: bool,
}

/// What a piece of text is, by which it gets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A severity.
    Severity(Severity),
    /// Something that a person should see.
    Alarm,
    /// A heading.
    Strong,
    /// What matters less.
    Faint,
}

impl Style {
    /// Text in the colour of its role.
    pub fn paint<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        let code = match role {
            _ if !self.colour => "",
            Role::Severity(Severity::High) | Role::Alarm => "31",
            Role::Severity(Severity::Medium) => "33",
            Role::Severity(Severity::Low) => "36",
            Role::Severity(Severity::Info) | Role::Faint => "2",
            Role::Strong => "1",
        };
        Painted { code, text }
    }
}

/// Text with its colour.
#[derive(Debug)]
pub struct Painted<T> {
    code: &'static str,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            return self.text.fmt(f);
        }
        write!(f, "\x1b[{}m", self.code)?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}
