//! Known coverage gaps: `volume:@8f3c…`, `path:/var/lib/x/**`.

use super::{
    entity_path::EntityPath,
    glob::Segment,
    pattern::{Pattern, Place},
};
use crate::text::fold::fold;

/// One entry of `accept`: a gap's kind, and which gaps of that kind.
pub(super) struct Gap {
    kind: String,
    which: Which,
}

enum Which {
    /// A path's pattern, for the kind `path`.
    Path(Pattern),
    /// Wildcards over the whole name, without case.
    Name(Segment),
}

impl Gap {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((kind, name)) = text.split_once(':').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        else {
            return Err(format!("expected a kind and a name (\"volume:@id\", \"path:/glob\"), found \"{text}\""));
        };
        let which = match kind {
            "path" => Which::Path(Pattern::parse(name, Place::Either)?),
            // A gap's name is one string: its separators are not special.
            "volume" => Which::Name(Segment::parse(&name.replace("**", "*"), true)?),
            _ => return Err(format!("expected volume or path as the kind of a gap, found \"{kind}\" in \"{text}\"")),
        };
        Ok(Self { kind: kind.to_owned(), which })
    }

    pub(super) fn accepts(&self, gap: &[u8]) -> bool {
        let Some(name) = gap.strip_prefix(self.kind.as_bytes()).and_then(|rest| rest.strip_prefix(b":")) else {
            return false;
        };
        match &self.which {
            Which::Path(pattern) => EntityPath::parse(name).is_ok_and(|path| pattern.reach(&path, true).is_some()),
            Which::Name(glob) => glob.matches(&fold(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_accepted_by_name() {
        for (accept, gap, want) in [
            ("volume:@8f3c", "volume:@8F3C", true),
            ("volume:@8f3c", "volume:@8f3d", false),
            ("volume:*", "volume:@8f3c", true),
            ("path:/var/lib/x", "path:/var/lib/x/y", true),
            ("path:/var/*.db", "path:/var/a.db", true),
            ("path:/var/*.db", "path:/var/a/b.db", false),
            ("path:/var", "volume:/var", false),
        ] {
            assert_eq!(Gap::parse(accept).unwrap().accepts(gap.as_bytes()), want, "{accept} on {gap}");
        }
        for bad in ["@8f3c", "path:var", ":x", "volume:", "path:/[a", "volumes:@8f3c", "Volume:@8f3c", "disk:*"] {
            assert!(Gap::parse(bad).is_err(), "{bad}");
        }
    }
}
