//! "Segment file": the file header of 13 bytes, and the names of the files: E01 to E99, then EAA to ZZZ.

use super::LAYER;
use crate::{
    error::{Error, Result},
    image::{
        Image,
        beneath::Place,
        host_file::HostFile,
        structure::{Structure, read_vec},
    },
};

const SIGNATURE: &[u8] = b"EVF\x09\x0d\x0a\xff\0";
/// 4 TB in segments of 2 GB; the open files of one process are not many more.
const MAX_SEGMENTS: usize = 2048;

/// Makes sure that the file is segment `number`.
pub(super) fn check_number(file: &dyn Image, number: usize) -> Result<()> {
    let bytes = read_vec(file, 0, 13)?;
    let s = Structure::new(LAYER, "file header", 0, &bytes);
    if s.slice(0, 8)? != SIGNATURE {
        return Err(s.wrong("the signature is not that of a segment"));
    }
    let found = s.le16(9)?;
    if usize::from(found) != number {
        return Err(s.wrong(format!("it is segment {found}: expected {number}; open the first segment")));
    }
    Ok(())
}

/// Opens the segment behind number `last`.
pub(super) fn open_next(place: &Place, last: usize) -> Result<(HostFile, Place)> {
    if last >= MAX_SEGMENTS {
        return Err(Error::budget(LAYER, format!("{}: more than {MAX_SEGMENTS} segments", place.shown())));
    }
    let path = place.path();
    let first = path.extension().map(|e| e.as_encoded_bytes().to_vec()).unwrap_or_default();
    let name = extension(&first, last.saturating_add(1))
        .and_then(|next| path.file_stem().map(|stem| [stem.as_encoded_bytes(), b".", &next].concat()))
        .ok_or_else(|| {
            Error::corrupt(
                LAYER,
                place.shown(),
                "more segments follow, and the name does not end in .E01: the next cannot be found",
            )
        })?;
    place.open(LAYER, "next segment", &name)
}

/// The extension of segment `number`, in the case of the first one's.
fn extension(first: &[u8], number: usize) -> Option<Vec<u8>> {
    let [letter, b'0', b'1'] = first else { return None };
    let base = if letter.is_ascii_lowercase() { b'a' } else { b'A' };
    if number < 100 {
        return Some(format!("{}{number:02}", char::from(*letter)).into_bytes());
    }
    let n = number.checked_sub(100)?;
    let at = |digit: usize, from: u8| u8::try_from(digit).ok().and_then(|d| from.checked_add(d));
    let high = at(n / 676, *letter)?;
    (high <= base.checked_add(25)?).then_some(vec![high, at(n / 26 % 26, base)?, at(n % 26, base)?])
}

/// The same error, saying in which segment.
pub(super) fn within(error: Error, segment: &str) -> Error {
    match error {
        Error::Corrupt { layer, at, what } => Error::Corrupt { layer, at: format!("'{segment}': {at}"), what },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::extension;

    #[test]
    fn extensions_go_on_with_letters() {
        // "Segment file", "Segment file extensions".
        let of = |first: &str, n| String::from_utf8(extension(first.as_bytes(), n).unwrap()).unwrap();
        assert_eq!(of("E01", 2), "E02");
        assert_eq!(of("E01", 99), "E99");
        assert_eq!(of("E01", 100), "EAA");
        assert_eq!(of("e01", 126), "eba");
        assert_eq!(of("E01", 100 + 26 * 26), "FAA");
        assert_eq!(of("E01", 100 + 26 * 26 * 22 - 1), "ZZZ");
        assert_eq!(extension(b"E01", 100 + 26 * 26 * 22), None);
        assert_eq!(extension(b"raw", 2), None);
    }
}
