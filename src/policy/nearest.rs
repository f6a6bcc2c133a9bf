//! What somebody may have meant: the known names that look like an unknown one.

/// How many are shown.
const SHOWN: usize = 3;
/// Names longer than this are compared by their first characters only.
const COMPARED: usize = 256;

/// `; did you mean "a" or "b"?` for the known names that are near, else nothing.
pub(super) fn or_nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let wanted = plain(unknown);
    let most = (wanted.len() / 3).max(2);
    let mut near = known
        .map(|name| (distance(&wanted, &plain(name)), name))
        .filter(|(distance, name)| *distance <= most || same_tail(unknown, name))
        .collect::<Vec<_>>();
    near.sort();
    near.dedup();
    let shown = near.iter().take(SHOWN).map(|(_, name)| format!("\"{name}\"")).collect::<Vec<_>>();
    if shown.is_empty() { String::new() } else { format!("; did you mean {}?", shown.join(" or ")) }
}

fn plain(name: &str) -> Vec<char> {
    name.to_lowercase().chars().take(COMPARED).collect()
}

/// Whether two paths end in the same name.
fn same_tail(one: &str, other: &str) -> bool {
    let tail = |path: &str| path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().map(str::to_lowercase);
    one.contains(['/', '\\']) && tail(one) == tail(other)
}

/// Levenshtein's distance, one row at a time.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row = (0..=other.len()).collect::<Vec<_>>();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other) {
            let here = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        assert_eq!(
            or_nearest("mtim", ["mtime", "ctime", "sha256"].into_iter()),
            "; did you mean \"mtime\" or \"ctime\"?"
        );
        assert_eq!(
            or_nearest(r"D:\boot.ini", [r"C:\boot.ini", "/boot"].into_iter()),
            r#"; did you mean "C:\boot.ini"?"#
        );
        assert_eq!(or_nearest("zebra", ["mtime"].into_iter()), "");
        assert_eq!(distance(&plain("kitten"), &plain("sitting")), 3);
    }
}
