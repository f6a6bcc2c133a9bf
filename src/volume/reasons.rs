//! Reasons why something cannot be read, told in bounded length: names and types in them are the image's, and a volume
//! over others gives theirs as its own.

/// Characters of one reason that are kept; enough for several that are told.
const MAX_REASON: usize = 1280;
/// Of several reasons, so many are told, each with so many characters.
const MAX_TOLD: usize = 8;
const MAX_TOLD_REASON: usize = 128;

/// A reason that may be another's.
pub(super) fn kept(reason: String) -> String {
    cut(reason, MAX_REASON)
}

/// Several reasons as one.
pub(super) fn told(reasons: &[String]) -> String {
    let told: Vec<String> = reasons.iter().take(MAX_TOLD).map(|reason| cut(reason.clone(), MAX_TOLD_REASON)).collect();
    let more = match reasons.len().saturating_sub(MAX_TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    told.join("; ") + &more
}

fn cut(reason: String, most: usize) -> String {
    match reason.char_indices().nth(most).and_then(|(end, _)| reason.get(..end)) {
        Some(start) => format!("{start}…"),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_and_counted() {
        assert_eq!(kept("short".to_owned()), "short");
        assert_eq!(kept("é".repeat(MAX_REASON + 1)), format!("{}…", "é".repeat(MAX_REASON)));
        let reasons: Vec<String> = (0..8).map(|number| format!("leg {number}")).collect();
        assert_eq!(told(&reasons), "leg 0; leg 1; leg 2; leg 3; leg 4; leg 5; leg 6; leg 7");
        let long = vec!["n".repeat(129); 10];
        let one = format!("{}…", "n".repeat(128));
        assert_eq!(told(&long), format!("{}; and 2 more", vec![one; 8].join("; ")));
    }
}
