//! What is known about the paths above the one at hand, while paths go by in sorted order.
//!
//! `/a` stands before `/a-b`, and `/a/c` behind both; yet all that still matters at a path are beginnings of it, so
//! there are never more levels than it has bytes.

/// The separator of a path: `/` on Linux and on volumes that nothing places, else `\`.
pub(super) fn separator(path: &[u8]) -> u8 {
    if matches!(path.first(), Some(b'/' | b'@')) { b'/' } else { b'\\' }
}

/// Whether `path`, which begins with its first `len` bytes, is what those name or lies beneath it.
pub(super) fn is_at_or_beneath(path: &[u8], len: usize) -> bool {
    let separator = separator(path);
    match path.get(len) {
        None => true,
        Some(next) => *next == separator || path[..len].last() == Some(&separator),
    }
}

/// Levels above a path, each with something known about it.
#[derive(Debug)]
pub(super) struct Ancestors<T> {
    path: Vec<u8>,
    /// How much of `path` names the level, and what is known about it.
    levels: Vec<(usize, T)>,
}

impl<T> Default for Ancestors<T> {
    fn default() -> Self {
        Self { path: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Ancestors<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Adds a level. Paths must come in sorted order here and in [`Ancestors::nearest`].
    pub(super) fn push(&mut self, path: &[u8], known: T) {
        self.settle(path);
        self.path.clear();
        self.path.extend_from_slice(path);
        self.levels.push((path.len(), known));
    }

    /// The nearest level at or above the path: its length in bytes, and what is known about it.
    pub(super) fn nearest(&mut self, path: &[u8]) -> Option<(usize, &T)> {
        self.outward(path).next()
    }

    /// As [`Ancestors::nearest`], and those above it, outward.
    pub(super) fn outward<'s>(&'s mut self, path: &[u8]) -> impl Iterator<Item = (usize, &'s T)> {
        self.settle(path);
        let levels = self.levels.iter().rev().filter(|(len, _)| is_at_or_beneath(path, *len));
        levels.map(|(len, known)| (*len, known))
    }

    fn settle(&mut self, path: &[u8]) {
        while let Some((len, _)) = self.levels.last()
            && path.get(..*len) != Some(&self.path[..*len])
        {
            self.levels.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest<'a>(ancestors: &mut Ancestors<&'a str>, path: &str) -> Option<&'a str> {
        ancestors.nearest(path.as_bytes()).map(|(_, known)| *known)
    }

    #[test]
    fn the_nearest_level_is_found_across_siblings_that_sort_between() {
        let mut above = Ancestors::default();
        above.push(b"/a", "a");
        assert_eq!(nearest(&mut above, "/a"), Some("a"));
        assert_eq!(nearest(&mut above, "/a-b/c"), None);
        above.push(b"/a-c", "a-c");
        assert_eq!(nearest(&mut above, "/a-c/d"), Some("a-c"));
        assert_eq!(nearest(&mut above, "/a/b"), Some("a"));
        above.push(b"/a/b", "a/b");
        assert_eq!(nearest(&mut above, "/a/b/c/d"), Some("a/b"));
        assert_eq!(nearest(&mut above, "/a/bc"), Some("a"));
        assert_eq!(nearest(&mut above, "/b"), None);
        assert!(above.is_empty());
    }

    #[test]
    fn roots_and_windows_paths_have_their_own_separators() {
        let mut above = Ancestors::default();
        above.push(b"/", "root");
        assert_eq!(nearest(&mut above, "/x"), Some("root"));
        let mut above = Ancestors::default();
        above.push(br"C:\", "C");
        above.push(br"C:\a", "a");
        assert_eq!(nearest(&mut above, r"C:\a/b"), Some("C"));
        assert_eq!(nearest(&mut above, r"C:\a\b"), Some("a"));
    }
}
