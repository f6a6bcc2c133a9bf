//! One policy file as written: TOML in, fields with their lines out. Values are checked one by one here; what
//! they mean together (profiles, `disable`, machines) is `Policy`'s.

use std::{collections::HashMap, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    compare::CompareSpec,
    effective::Rule,
    gap::Gap,
    glob::Segment,
    issues::Issues,
    nearest::or_nearest,
    pattern::{Pattern, Place},
    source::{Entry, Source},
};
use crate::severity::Severity;

const FIELDS: &[&str] = &["version", "profiles", "disable", "exclude", "accept", "monitor"];
const MONITOR_FIELDS: &[&str] = &["name", "paths", "registry", "values", "exclude", "compare", "severity", "machines"];

/// A policy file as written.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    pub(super) profiles: Vec<Entry>,
    pub(super) disable: Vec<Entry>,
    pub(super) exclude: Vec<Entry>,
    pub(super) accept: Vec<Entry>,
    pub(super) monitors: Vec<Monitor>,
}

/// One `[[monitor]]`: a rule, and the machines that it is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Monitor {
    pub(super) rule: Rule,
    pub(super) machines: Vec<Entry>,
}

/// Who wrote the file: in a built-in profile, rules have the profile's name.
pub(super) enum Author<'a> {
    User,
    Profile(&'a str),
}

pub(super) struct Reader<'a> {
    pub(super) issues: Issues,
    /// Names of attributes and of groups of attributes.
    pub(super) known: &'a [&'a str],
    pub(super) author: Author<'a>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    /// Reads a whole file; what is wrong is in `issues`.
    pub(super) fn read(&mut self, text: &str) -> Document {
        let mut document = Document::default();
        let (table, errors) = DeTable::parse_recoverable(text);
        let broken = !errors.is_empty();
        for error in errors {
            let source = self.issues.source(&error.span().unwrap_or(0..0));
            self.issues.add(&source, "toml", &error.message().replace('\n', "; "));
        }
        if broken {
            // Half a table would only add errors that follow from the first.
            return document;
        }
        let mut versioned = false;
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "version" => {
                    versioned = true;
                    self.version(value);
                }
                "profiles" => document.profiles = self.strings("profiles", value),
                "disable" => document.disable = self.patterns("disable", value, Place::Either),
                "exclude" => document.exclude = self.patterns("exclude", value, Place::Either),
                "accept" => document.accept = self.checked("accept", value, |text| Gap::parse(text).map(drop)),
                "monitor" => document.monitors = self.monitors(value),
                other => self.unknown(other, key.span(), FIELDS),
            }
        }
        if !versioned {
            self.issues.add(&self.issues.source(&(0..0)), "version", "expected 1, found none");
        }
        document
    }

    fn version(&mut self, value: &Value<'_>) {
        let found = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 && number.as_str() == "1" => return,
            DeValue::Integer(number) => number.as_str().to_owned(),
            other => kind(other),
        };
        self.issues.add(&self.issues.source(&value.span()), "version", &format!("expected 1, found {found}"));
    }

    fn unknown(&mut self, field: &str, span: Range<usize>, known: &[&str]) {
        let what =
            format!("unknown field, expected one of {}{}", known.join(", "), or_nearest(field, known.iter().copied()));
        self.issues.add(&self.issues.source(&span), field, &what);
    }

    fn monitors(&mut self, value: &Value<'_>) -> Vec<Monitor> {
        let Some(tables) = self.array("monitor", value, "a table, as [[monitor]]") else { return Vec::new() };
        let mut monitors = Vec::<Monitor>::new();
        let mut names = HashMap::<String, Source>::new();
        for value in tables {
            let source = self.issues.source(&value.span());
            let DeValue::Table(table) = value.get_ref() else {
                self.issues.add(
                    &source,
                    "monitor",
                    &format!("expected a table, as [[monitor]], found {}", kind(value.get_ref())),
                );
                continue;
            };
            let (monitor, source) = self.monitor(table, source);
            if matches!(self.author, Author::User) && !monitor.rule.name.is_empty() {
                let name = &monitor.rule.name;
                if let Some(first) = names.get(name) {
                    let what = format!("expected a name of its own, found \"{name}\", which line {} has", first.line);
                    self.issues.add(&source, "name", &what);
                } else {
                    names.insert(name.clone(), source);
                }
            }
            monitors.push(monitor);
        }
        monitors
    }

    /// One rule, and the line of its name.
    fn monitor(&mut self, table: &DeTable<'_>, at: Source) -> (Monitor, Source) {
        let mut monitor = Monitor::default();
        let mut named = at.clone();
        let rule = &mut monitor.rule;
        let mut has_name = false;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "name" => {
                    has_name = true;
                    named = self.issues.source(&value.span());
                    rule.name = self.name(value, &named);
                }
                "paths" => rule.paths = self.patterns("paths", value, Place::Paths),
                "registry" => rule.registry = self.patterns("registry", value, Place::Registry),
                "values" => {
                    rule.values =
                        self.checked("values", value, |text| Segment::parse(text, true).and_then(one_segment));
                    self.not_empty("values", value);
                }
                "exclude" => rule.exclude = self.patterns("exclude", value, Place::Either),
                "compare" => rule.compare = self.compare(value),
                "severity" => rule.severity = self.severity(value),
                "machines" => {
                    monitor.machines =
                        self.checked("machines", value, |text| Segment::parse(text, false).and_then(one_segment));
                    self.not_empty("machines", value);
                }
                other => self.unknown(other, key.span(), MONITOR_FIELDS),
            }
        }
        match &self.author {
            Author::User if !has_name => self.issues.add(&at, "monitor", "expected a name, found none"),
            Author::User => {}
            Author::Profile(name) => (*name).clone_into(&mut rule.name),
        }
        let listed = |field: &str| table.keys().any(|key| key.get_ref() == field);
        if rule.paths.is_empty() && rule.registry.is_empty() {
            // An entry that was there and wrong has its own line.
            let silent = [("paths", "paths"), ("registry", "registry")].iter().all(|(field, _)| {
                !listed(field)
                    || table.iter().any(|(key, value)| {
                        key.get_ref() == field && value.get_ref().as_array().is_some_and(|array| array.is_empty())
                    })
            });
            if silent {
                self.issues.add(&at, &rule_label(rule), "expected at least one entry in paths or registry, found none");
            }
        }
        if listed("values") && !listed("registry") {
            self.issues.add(&at, &rule_label(rule), "expected registry beside values, found none");
        }
        (monitor, named)
    }

    fn name(&mut self, value: &Value<'_>, source: &Source) -> String {
        const RULE: &str = "a name of 1 to 128 characters, none of them a control character";
        let name = match value.get_ref().as_str() {
            Some(name) => name,
            None => {
                self.issues.add(source, "name", &format!("expected a string, found {}", kind(value.get_ref())));
                return String::new();
            }
        };
        if name.is_empty() || name.chars().count() > 128 || name.chars().any(char::is_control) {
            self.issues.add(source, "name", &format!("expected {RULE}, found \"{}\"", name.escape_debug()));
        }
        if super::profile::NAMES.contains(&name) {
            self.issues.add(
                source,
                "name",
                &format!("expected a name of its own, found \"{name}\", a built-in profile"),
            );
        }
        name.to_owned()
    }

    fn severity(&mut self, value: &Value<'_>) -> Severity {
        let found = match value.get_ref().as_str() {
            Some(name) => match Severity::by_name(name) {
                Some(severity) => return severity,
                None => format!("\"{name}\""),
            },
            None => kind(value.get_ref()),
        };
        let what = format!("expected info, low, medium or high, found {found}");
        self.issues.add(&self.issues.source(&value.span()), "severity", &what);
        Severity::default()
    }

    fn compare(&mut self, value: &Value<'_>) -> CompareSpec {
        let tokens = self.strings("compare", value);
        let source = self.issues.source(&value.span());
        if value.get_ref().as_array().is_none() {
            return CompareSpec::default();
        }
        let lines = tokens.clone();
        CompareSpec::parse(tokens.into_iter().map(|token| token.text).collect(), self.known).unwrap_or_else(|wrong| {
            for what in wrong {
                let token = lines.iter().find(|token| what.contains(&format!("found \"{}\"", token.text)));
                self.issues.add(token.map_or(&source, |token| &token.source), "compare", &what);
            }
            CompareSpec::default()
        })
    }

    fn patterns(&mut self, field: &str, value: &Value<'_>, place: Place) -> Vec<Entry> {
        self.checked(field, value, |text| {
            let pattern = Pattern::parse(text, place)?;
            match pattern.stream() {
                Some(name) => {
                    Err(format!("expected a name without \":\" (streams go with their file), found \"{name}\""))
                }
                None => Ok(()),
            }
        })
    }

    /// Strings of which each has to pass a check.
    fn checked(&mut self, field: &str, value: &Value<'_>, check: impl Fn(&str) -> Result<(), String>) -> Vec<Entry> {
        let mut entries = self.strings(field, value);
        entries.retain(|entry| match check(&entry.text) {
            Ok(()) => true,
            Err(mut what) => {
                if !what.contains(&entry.text) {
                    what.push_str(&format!("; the whole is \"{}\"", entry.text));
                }
                self.issues.add(&entry.source, field, &what);
                false
            }
        });
        entries
    }

    fn strings(&mut self, field: &str, value: &Value<'_>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for item in self.array(field, value, "an array of strings").into_iter().flatten() {
            let source = self.issues.source(&item.span());
            match item.get_ref().as_str() {
                Some(text) => entries.push(Entry { text: text.to_owned(), source }),
                None => self.issues.add(&source, field, &format!("expected a string, found {}", kind(item.get_ref()))),
            }
        }
        entries
    }

    fn array<'v, 'i>(&mut self, field: &str, value: &'v Value<'i>, expected: &str) -> Option<&'v DeArray<'i>> {
        let array = value.get_ref().as_array();
        if array.is_none() {
            let what = format!("expected {expected}, found {}", kind(value.get_ref()));
            self.issues.add(&self.issues.source(&value.span()), field, &what);
        }
        array
    }

    /// For fields that narrow a rule: an empty list would leave nothing, or everything.
    fn not_empty(&mut self, field: &str, value: &Value<'_>) {
        if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
            let what = "expected at least one entry, found none (leave the field out for all)";
            self.issues.add(&self.issues.source(&value.span()), field, what);
        }
    }
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

fn rule_label(rule: &Rule) -> String {
    if rule.name.is_empty() { "monitor".into() } else { format!("rule \"{}\"", rule.name) }
}

/// Names are one segment: `**` says nothing there.
fn one_segment(segment: Segment) -> Result<(), String> {
    match segment {
        Segment::Globstar => Err("expected a name, found \"**\"".into()),
        Segment::Literal(name) if name.is_empty() => Err("expected a name, found \"\"".into()),
        _ => Ok(()),
    }
}
