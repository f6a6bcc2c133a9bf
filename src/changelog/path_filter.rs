//! Which events are about a path that a person names.

use std::borrow::Cow;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::entity_path::short_hive;
use super::{EntityType, Event};
use crate::error::{Error, Result};
use crate::text::readable;

/// Paths and keys, by a pattern or by one exact path.
#[derive(Debug, Clone)]
pub enum PathFilter {
    /// What a pattern covers.
    Glob(PathGlob),
    /// One file or key, with its streams or values, wherever it was renamed from or to, also along with what it
    /// lies beneath; and when the volume that it lies on could not be seen.
    Exact(ExactPath),
}

/// One path, as an event spells it.
#[derive(Debug, Clone)]
pub struct ExactPath {
    spelled: String,
    /// Whether it is valid Unicode: else an event that is about it has its bytes, too.
    is_unicode: bool,
    /// Only this value of the key.
    value: Option<String>,
}

/// A pattern: `*`, `?` and `[a-z]` stay inside one segment, `**` crosses segments; what it matches is covered
/// with all beneath. Windows and registry paths match without case. A pattern without a separator matches in any
/// directory.
#[derive(Debug, Clone)]
pub struct PathGlob {
    /// For paths with `/`.
    slash: Option<GlobSet>,
    /// For paths with `\`, which are matched with `/` in its place.
    backslash: Option<GlobSet>,
    /// Whether it matches in any directory; a drive's letter is none.
    is_anywhere: bool,
}

impl PathFilter {
    /// What `pattern` covers.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is not a pattern.
    pub fn glob(pattern: &str) -> Result<Self> {
        let backslash = looks_windows(pattern);
        let unplaced = pattern.starts_with('@');
        let windows = if backslash { with_short_hive(pattern).replace('\\', "/") } else { pattern.to_owned() };
        let set = |pattern: &str, fold| glob_set(pattern, fold).map(Some);
        Ok(Self::Glob(PathGlob {
            slash: if backslash { None } else { set(pattern, false)? },
            backslash: if unplaced { None } else { set(&windows, true)? },
            is_anywhere: windows.starts_with("**/") || !windows.contains('/') && !windows.ends_with(':'),
        }))
    }

    /// The history of one path or key, by its exact bytes; a Windows path also with `/`, and without its drive.
    #[must_use]
    pub fn exact(path: &[u8]) -> Self {
        Self::Exact(ExactPath::new(path, None))
    }

    /// The histories of one value, in every way in which the text of the log, `KEY [value]`, may be read.
    pub fn values(text: &[u8]) -> impl Iterator<Item = Self> {
        let named = text.strip_suffix(b"]").filter(|_| is_registry(&readable(text))).unwrap_or_default();
        named.windows(2).enumerate().filter(|(_, pair)| pair == b" [").filter_map(|(at, _)| {
            let (key, value) = named.split_at_checked(at)?;
            Some(Self::Exact(ExactPath::new(key, Some(readable(value.get(2..)?)))))
        })
    }

    /// Whether an event is about such a path.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(event),
            Self::Exact(wanted) => wanted.matches(event),
        }
    }
}

impl ExactPath {
    fn new(path: &[u8], value: Option<String>) -> Self {
        let is_unicode = std::str::from_utf8(path).is_ok();
        let path = readable(path);
        let path = match path.as_bytes() {
            // Names on a drive have no slash.
            [b'\\', ..] | [_, b':', ..] if looks_windows(&path) => Cow::Owned(path.replace('/', "\\")),
            _ if looks_windows(&path) => with_short_hive(&path),
            _ => Cow::Borrowed(path.as_str()),
        };
        let trimmed = path.trim_end_matches(if looks_windows(&path) { '\\' } else { '/' });
        let is_root = trimmed.is_empty() || trimmed.ends_with(':');
        let spelled = if is_root { path.into_owned() } else { trimmed.to_owned() };
        Self { spelled, is_unicode, value }
    }

    fn matches(&self, event: &Event) -> bool {
        if event.monitored_entity_type == EntityType::Scan {
            // Of a volume: it stands where it is mounted, else under its own id.
            let place = event.ext.mount.as_ref().or(event.ext.volume.as_ref());
            return place.is_some_and(|place| same(place, &self.spelled) || is_beneath(&self.spelled, place));
        }
        let names = Names::of(event);
        let (hex, stream_hex) = (event.ext.path_hex.is_some(), event.ext.name_hex.is_some());
        let named = [
            (Some(names.path.as_str()), hex || names.file().is_some() && stream_hex),
            (names.file(), hex),
            (names.original.as_deref(), event.ext.original_path_hex.is_some()),
            (names.current.as_deref(), hex),
        ];
        let is_it = |(name, has_bytes): (&str, bool)| same(name, &self.spelled) && has_bytes != self.is_unicode;
        let moved_along = |name: &str| event.ext.count.is_some() && is_beneath(&self.spelled, name);
        // The bytes of a rule's spelling are not known.
        let spelled = event.ext.spelled.as_deref().is_some_and(|spelled| same(spelled, &self.spelled));
        let mut named = named.into_iter().filter_map(|(name, has_bytes)| Some((name?, has_bytes)));
        self.is_about_value(event) && (spelled || named.any(|named| is_it(named) || moved_along(named.0)))
    }

    fn is_about_value(&self, event: &Event) -> bool {
        let names = [&event.new_value_name, &event.old_value_name];
        let is = |value: &str| names.into_iter().flatten().any(|name| name.to_lowercase() == value.to_lowercase());
        self.value.as_deref().is_none_or(is)
    }
}

/// What the entity of an event is called.
struct Names {
    path: String,
    is_stream: bool,
    original: Option<String>,
    /// The path of what lies in a control set, as `CurrentControlSet` has it.
    current: Option<String>,
}

impl Names {
    fn of(event: &Event) -> Self {
        let path = event.path();
        let is_stream = event.file_type.as_deref() == Some("stream");
        Self { current: through_current_set(&path), original: event.original_path(), is_stream, path }
    }

    /// Of a stream: the file that it belongs to.
    fn file(&self) -> Option<&str> {
        self.path.rsplit_once(':').filter(|_| self.is_stream).map(|(file, _)| file)
    }
}

impl PathGlob {
    fn matches(&self, event: &Event) -> bool {
        if event.monitored_entity_type == EntityType::Scan {
            return false;
        }
        let names = Names::of(event);
        let keys = [Some(names.path.as_str()), names.current.as_deref()];
        let value = |key: &str| event.value_name().is_some_and(|value| self.covers(&format!("{key}\\{value}")));
        let others = [names.file(), names.original.as_deref(), event.ext.spelled.as_deref()];
        keys.into_iter().flatten().any(|key| self.covers(key) || value(key))
            || others.into_iter().flatten().any(|name| self.covers(name))
    }

    fn covers(&self, path: &str) -> bool {
        let set = |set: &Option<GlobSet>, path: &str| set.as_ref().is_some_and(|set| set.is_match(path));
        if path.starts_with(['/', '@']) {
            set(&self.slash, path)
        } else {
            let path = path.replace('\\', "/");
            let on_drive = path.get(2..).filter(|_| self.is_anywhere && path.get(1..2) == Some(":"));
            set(&self.backslash, on_drive.unwrap_or(&path))
        }
    }
}

/// Whether a path of an event is the one that is wanted, which may leave the drive open.
fn same(one: &str, wanted: &str) -> bool {
    let (one, other) = in_one_form(one, wanted);
    if looks_windows(one) { one.to_lowercase() == other.to_lowercase() } else { one == other }
}

fn is_beneath(path: &str, directory: &str) -> bool {
    let (directory, path) = in_one_form(directory, path);
    let separator = if looks_windows(directory) { '\\' } else { '/' };
    let directory = directory.trim_end_matches(separator);
    let (path, directory) = match separator {
        '\\' => (path.to_lowercase(), directory.to_lowercase()),
        _ => (path.into_owned(), directory.to_owned()),
    };
    path.strip_prefix(&directory).is_some_and(|rest| rest.starts_with(separator))
}

/// A path of an event and what is wanted: where that leaves the drive open, without a drive and with `\`. Names on a
/// drive have no slash.
fn in_one_form<'a>(path: &'a str, wanted: &'a str) -> (&'a str, Cow<'a, str>) {
    match path.as_bytes() {
        [_, b':', b'\\', ..] if wanted.starts_with(['/', '\\']) => {
            (path.get(2..).unwrap_or(path), wanted.replace('/', "\\").into())
        }
        _ => (path, wanted.into()),
    }
}

fn looks_windows(path: &str) -> bool {
    let drive = path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && path.as_bytes().get(1) == Some(&b':');
    drive || is_registry(path) || path.contains('\\') && !path.starts_with(['/', '@'])
}

fn is_registry(path: &str) -> bool {
    let first = path.split('\\').next().unwrap_or_default().to_ascii_uppercase();
    ["HKLM", "HKU", "HKEY_LOCAL_MACHINE", "HKEY_USERS"].contains(&first.as_str())
}

/// The path of what lies in a control set, any of them, as `CurrentControlSet` has it: nobody who asks knows which one
/// was the current.
fn through_current_set(path: &str) -> Option<String> {
    const SETS: &str = r"HKLM\SYSTEM\ControlSet";
    let (sets, rest) = path.split_at_checked(SETS.len())?;
    let (number, below) = rest.split_at_checked("001".len())?;
    let is_set = sets.eq_ignore_ascii_case(SETS) && number.bytes().all(|digit| digit.is_ascii_digit());
    (is_set && (below.is_empty() || below.starts_with('\\'))).then(|| format!(r"HKLM\SYSTEM\CurrentControlSet{below}"))
}

fn with_short_hive(path: &str) -> Cow<'_, str> {
    let (hive, rest) = path.split_at(path.find('\\').unwrap_or(path.len()));
    let long = hive.to_ascii_uppercase();
    match short_hive(&long) {
        short if short == long => Cow::Borrowed(path),
        short => Cow::Owned(format!("{short}{rest}")),
    }
}

fn glob_set(pattern: &str, fold: bool) -> Result<GlobSet> {
    let wrong = |error: globset::Error| Error::Usage(format!("not a pattern: {pattern:?}: {}", error.kind()));
    let trimmed = pattern.trim_end_matches('/');
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let rooted = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
    let rooted = if fold && rooted.starts_with('/') { format!("?:{rooted}") } else { rooted };
    let plain = without_alternatives(&rooted);
    let beneath = format!("{}/**", plain.trim_end_matches('/'));
    let mut set = GlobSetBuilder::new();
    for text in [plain, beneath] {
        let mut glob = GlobBuilder::new(&text);
        set.add(glob.literal_separator(true).backslash_escape(false).case_insensitive(fold).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// Braces are characters like any other here: keys are named by GUIDs.
fn without_alternatives(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut in_class = false;
    for c in pattern.chars() {
        match c {
            '{' | '}' if !in_class => plain.extend(['[', c, ']']),
            c => {
                in_class = if in_class { c != ']' } else { c == '[' };
                plain.push(c);
            }
        }
    }
    plain
}
