//! The grammar of metadata, that of lvm.conf(5): `name = value` and `name { … }`, where a value is a string, a
//! number or a list in brackets, and `#` begins a comment.

use std::collections::BTreeMap;

/// Sections and lists in one another.
const MAX_DEPTH: usize = 12;

/// Sections, assignments and list elements in one text: what 50,000 segments need.
const MAX_VALUES: usize = 400_000;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A string in quotes.
    Text(String),
    /// A number; metadata has only whole ones.
    Number(i64),
    /// `[a, b]`.
    List(Vec<Value>),
    /// `{ … }`.
    Section(Section),
}

/// Names and what they stand for. No name stands twice in a section: the program that wrote it would not, and two
/// readers could take different ones.
pub(super) type Section = BTreeMap<String, Value>;

/// Parses a whole text.
pub(super) fn parse(text: &[u8]) -> Result<Section, String> {
    let mut parser = Parser { text, at: 0, values: 0 };
    let section = parser.section(MAX_DEPTH)?;
    match parser.peek() {
        None => Ok(section),
        Some(_) => Err(parser.wrong("expected a name")),
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    values: usize,
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("text at byte {}: {what}", self.at)
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that means something.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                // The text ends with a NUL.
                b' ' | b'\t' | b'\n' | b'\r' | 0 => self.step(),
                b'#' => {
                    while self.byte().is_some_and(|byte| byte != b'\n') {
                        self.step();
                    }
                }
                byte => return Some(byte),
            }
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES { Err(self.wrong("more values than are read")) } else { Ok(()) }
    }

    /// What stands from here as long as `belongs`.
    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.byte().is_some_and(&belongs) {
            self.step();
        }
        String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or_default()).into_owned()
    }

    /// Entries up to a closing brace or the end of the text.
    fn section(&mut self, depth: usize) -> Result<Section, String> {
        let below = depth.checked_sub(1).ok_or_else(|| self.wrong("nested too deep"))?;
        let mut section = Section::new();
        while self.peek().is_some_and(|byte| byte != b'}') {
            self.count()?;
            let name = self.word(|byte| byte.is_ascii_alphanumeric() || b"_.+-/".contains(&byte));
            if name.is_empty() {
                return Err(self.wrong("expected a name"));
            }
            let value = match self.peek() {
                Some(b'{') => {
                    self.step();
                    let section = self.section(below)?;
                    self.expect(b'}')?;
                    Value::Section(section)
                }
                Some(b'=') => {
                    self.step();
                    self.value(below)?
                }
                _ => return Err(self.wrong("expected = or {")),
            };
            if section.contains_key(&name) {
                return Err(self.wrong(&format!("{name} stands twice")));
            }
            section.insert(name, value);
        }
        Ok(section)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        if self.peek() != Some(wanted) {
            return Err(self.wrong(&format!("expected {}", char::from(wanted))));
        }
        self.step();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.list(depth).map(Value::List),
            Some(b'-' | b'0'..=b'9') => {
                let word = self.word(|byte| byte == b'-' || byte.is_ascii_digit());
                word.parse().map(Value::Number).map_err(|_| self.wrong("not a whole number"))
            }
            _ => Err(self.wrong("expected a string, a number or a list")),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.step();
        let mut string = Vec::new();
        loop {
            let byte = self.byte().ok_or_else(|| self.wrong("a string without an end"))?;
            self.step();
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&string).into_owned()),
                b'\\' => {
                    string.push(self.byte().ok_or_else(|| self.wrong("a string without an end"))?);
                    self.step();
                }
                byte => string.push(byte),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, String> {
        let below = depth.checked_sub(1).ok_or_else(|| self.wrong("nested too deep"))?;
        self.step();
        let mut list = Vec::new();
        loop {
            match self.peek() {
                Some(b']') => {
                    self.step();
                    return Ok(list);
                }
                Some(b',') if !list.is_empty() => self.step(),
                Some(_) => {
                    self.count()?;
                    list.push(self.value(below)?);
                }
                None => return Err(self.wrong("a list without an end")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_grammar_has() {
        let section = parse(b"# c\na = 12\nb { c = \"x \\\"y\\\\\" # d }\n l = [\n\"p\", 0\n] }\n e=[]\0").unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(section["a"], Value::Number(12));
        assert_eq!(section["e"], Value::List(Vec::new()));
        let Value::Section(inner) = &section["b"] else { unreachable!() };
        assert_eq!(inner["c"], text("x \"y\\"));
        assert_eq!(inner["l"], Value::List(vec![text("p"), Value::Number(0)]));
    }

    #[test]
    fn what_is_refused() {
        for text in ["a", "a = ", "a = x", "a {", "a = 1 a = 2", "}", "a = [1", "a = \"", "a = 99999999999999999999"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("a {".repeat(100_000).as_bytes()).is_err());
        assert!(parse(format!("a = {}", "[".repeat(100_000)).as_bytes()).is_err());
        assert!(parse(format!("a = [{}]", "1 ".repeat(500_000)).as_bytes()).is_err());
    }
}
