//! One segment of a pattern: `*`, `?` and `[a-z]`, nothing else.
//!
//! Own matching instead of the crate `globset`, for four reasons: names are bytes (or WTF-8) and the language has
//! fewer special characters than globs elsewhere (`{`, `!` and `\` are literal); a walk matches one name at a time
//! against the patterns that are still alive, where a regular expression would start again at the root for every
//! entry; names without case fold as NTFS folds them; and time is bounded by pattern length × name length, since
//! only the last `*` is ever tried again.

use crate::text::fold::{fold, lower, next_unit, upper};

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// No wildcard: these bytes (in upper case where case does not count).
    Literal(Vec<u8>),
    /// With a wildcard.
    Glob(Glob),
    /// `**`: any number of segments, also none.
    Globstar,
}

/// A segment with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This character.
    Unit(u32),
    /// `?`: one character, or one byte that is no part of one.
    Any,
    /// `*`: any number of them.
    Star,
    /// `[a-z]`: one character out of these ranges, ends included.
    Class { ranges: Vec<(u32, u32)>, folded: bool },
}

impl Token {
    fn admits(&self, unit: u32) -> bool {
        match self {
            Self::Unit(own) => *own == unit,
            Self::Any => true,
            Self::Star => false,
            Self::Class { ranges, folded } => ranges.iter().any(|&(low, high)| {
                let holds = |unit| low <= unit && unit <= high;
                holds(unit) || (*folded && holds(lower(unit)))
            }),
        }
    }
}

impl Segment {
    /// Reads one segment; `folded` where case does not count.
    pub(super) fn parse(text: &str, folded: bool) -> Result<Self, String> {
        if text == "**" {
            return Ok(Self::Globstar);
        }
        if text.contains("**") {
            return Err(format!("expected \"**\" as a whole segment, found \"{text}\""));
        }
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '[' => class(&mut rest, text, folded)?,
                c if folded => Token::Unit(upper(u32::from(c))),
                c => Token::Unit(u32::from(c)),
            });
        }
        let literal = tokens.iter().map(|token| match token {
            Token::Unit(unit) => char::from_u32(*unit),
            _ => None,
        });
        Ok(match literal.collect::<Option<String>>() {
            Some(literal) => Self::Literal(literal.into_bytes()),
            None => Self::Glob(Glob(tokens)),
        })
    }

    /// A segment that is this very name.
    pub(super) fn literal(name: &[u8], folded: bool) -> Self {
        Self::Literal(if folded { fold(name).into_owned() } else { name.to_vec() })
    }

    /// `*`.
    pub(super) fn any() -> Self {
        Self::Glob(Glob(vec![Token::Star]))
    }

    /// Whether a name (already in upper case where case does not count) is what this segment says.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(own) => own == name,
            Self::Glob(glob) => glob.matches(name),
            Self::Globstar => true,
        }
    }
}

/// The inside of `[…]`, with its closing bracket. A single character is that literal character.
fn class(rest: &mut std::str::Chars<'_>, segment: &str, folded: bool) -> Result<Token, String> {
    let mut inside = Vec::new();
    loop {
        match rest.next() {
            Some(']') if !inside.is_empty() => break,
            Some(c) => inside.push(c),
            None => return Err(format!("expected \"]\" after \"[\" in \"{segment}\"; the literal \"[\" is \"[[]\"")),
        }
    }
    if let ['!' | '^', _, ..] = inside.as_slice() {
        return Err(format!("expected the wanted characters in \"[…]\", found a negation in \"{segment}\""));
    }
    let mut ranges = Vec::new();
    let mut left = inside.as_slice();
    while let [low, tail @ ..] = left {
        let (high, after) = match tail {
            ['-', high, after @ ..] => (high, after),
            _ => (low, tail),
        };
        if high < low {
            return Err(format!("expected a range in rising order, found \"{low}-{high}\" in \"{segment}\""));
        }
        let single = low == high && folded;
        let bound = |c: char| if single { upper(u32::from(c)) } else { u32::from(c) };
        ranges.push((bound(*low), bound(*high)));
        left = after;
    }
    Ok(match ranges.as_slice() {
        [(low, high)] if low == high => Token::Unit(*low),
        _ => Token::Class { ranges, folded },
    })
}

impl Glob {
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // Behind the last `*`: the token that follows it, and the byte where what it swallowed ends.
        let mut star: Option<(usize, usize)> = None;
        loop {
            let unit = next_unit(name.get(at..).unwrap_or_default());
            match (self.0.get(token), unit) {
                (Some(Token::Star), _) => {
                    token += 1;
                    star = Some((token, at));
                }
                (Some(own), Some((unit, len))) if own.admits(unit) => {
                    token += 1;
                    at += len;
                }
                (None, None) => return true,
                (Some(_), None) => return false,
                _ => {
                    let Some((after, from)) = star else { return false };
                    let Some((_, len)) = next_unit(name.get(from..).unwrap_or_default()) else { return false };
                    (token, at) = (after, from + len);
                    star = Some((after, at));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(pattern: &str, name: &[u8]) -> bool {
        Segment::parse(pattern, false).unwrap().matches(name)
    }

    #[test]
    fn wildcards_and_classes() {
        for (pattern, name, want) in [
            ("*.conf", "host.conf", true),
            ("*.conf", ".conf", true),
            ("*.conf", "host.conf.bak", false),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[abz-]", "-", true),
            ("[*]", "*", true),
            ("[*]", "x", false),
            ("[[]", "[", true),
            ("[]]", "]", true),
            ("[!]", "!", true),
            ("a[?]b", "a?b", true),
            ("{a,b}", "{a,b}", true),
            ("{a,b}", "a", false),
            ("(x86)", "(x86)", true),
            ("!x", "!x", true),
            (r"a\*", r"a\b", true),
            ("]", "]", true),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
        ] {
            assert_eq!(is(pattern, name.as_bytes()), want, "{pattern} on {name}");
        }
        assert!(is("a*\u{e9}?", b"a\xff\xc3\xa9\xff"));
    }

    #[test]
    fn without_case() {
        let folded = |pattern: &str, name: &str| Segment::parse(pattern, true).unwrap().matches(&fold(name.as_bytes()));
        assert!(folded("[a-f]x", "BX") && folded("[A-F]x", "bx") && folded("ÉCRAN", "écran"));
        assert!(folded("[é]*", "Écran") && folded("x[ς]", "xΣ") && !folded("[a-f]x", "gx"));
    }

    #[test]
    fn single_characters_in_brackets_are_literal() {
        assert_eq!(Segment::parse("a[*][[]", false), Ok(Segment::Literal(b"a*[".to_vec())));
    }

    #[test]
    fn bad_patterns_say_what_is_wrong() {
        for (pattern, want) in [
            ("a[", "after \"[\""),
            ("[z-a]", "rising"),
            ("a**", "whole segment"),
            ("[!a]", "negation"),
            ("[]", "\"[\""),
        ] {
            assert!(Segment::parse(pattern, false).unwrap_err().contains(want), "{pattern}");
        }
    }

    #[test]
    fn hostile_names_cost_no_more_than_pattern_times_name() {
        let name = vec![b'a'; 32 << 10];
        let start = std::time::Instant::now();
        assert!(!is("a*a*a*a*a*a*a*a*a*a*a*b", &name));
        assert!(start.elapsed().as_secs() < 2);
    }
}
