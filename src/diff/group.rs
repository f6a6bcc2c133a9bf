//! Records of one side that have the same key: nearly always one, more where a directory holds a name twice.

use std::collections::HashMap;

use super::cursor::{Cursor, JoinKey};
use crate::{
    error::Result,
    manifest::{
        Attribute,
        json::{Malformed, Raw},
    },
};

/// How many records of one key are matched with each other; those behind them make another group.
const GROUP_MAX: usize = 4096;

/// Lines of the same key.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The memory of former groups is used again.
    lines: Vec<Vec<u8>>,
    len: usize,
}

impl Group {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn lines(&self) -> &[Vec<u8>] {
        &self.lines[..self.len]
    }

    /// Takes the lines of `key` from the cursor.
    pub(super) fn take(&mut self, cursor: &mut Cursor, key: &JoinKey) -> Result<()> {
        self.clear();
        while self.len < GROUP_MAX && cursor.is_at(key)? {
            if self.len == self.lines.len() {
                self.lines.push(Vec::new());
            }
            self.lines[self.len].clear();
            self.lines[self.len].extend_from_slice(cursor.line());
            self.len += 1;
            cursor.advance()?;
        }
        Ok(())
    }
}

/// The places of a line and of the one on the other side that belongs to it, where there is one.
pub(super) type Pair = (Option<usize>, Option<usize>);

/// Which line of one side belongs to which of the other: where each side has one, they do, whatever their ids;
/// else those of equal id, in order, then the others, in order.
pub(super) fn pair(old: &[impl AsRef<[u8]>], new: &[impl AsRef<[u8]>]) -> Result<Vec<Pair>, Malformed> {
    if old.len() <= 1 && new.len() <= 1 {
        return Ok(vec![(old.first().map(|_| 0), new.first().map(|_| 0))]);
    }
    let mut by_id: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, line) in new.iter().enumerate().rev() {
        if let Some(id) = id(line.as_ref())? {
            by_id.entry(id).or_default().push(at);
        }
    }
    let mut pairs = Vec::with_capacity(old.len().max(new.len()));
    let mut rest = Vec::new();
    let mut taken = vec![false; new.len()];
    for (at, line) in old.iter().enumerate() {
        let same = id(line.as_ref())?.and_then(|id| by_id.get_mut(&id)?.pop());
        match same {
            Some(same) => {
                taken[same] = true;
                pairs.push((Some(at), Some(same)));
            }
            None => rest.push(at),
        }
    }
    let mut others = (0..new.len()).filter(|at| !taken[*at]);
    for at in rest {
        pairs.push((Some(at), others.next()));
    }
    pairs.extend(others.map(|at| (None, Some(at))));
    Ok(pairs)
}

fn id(line: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    Ok(Raw::of(line)?.get(Attribute::Id).map(|field| field.json.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ids: &[&str]) -> Vec<Vec<u8>> {
        ids.iter().map(|id| format!(r#"{{"path":"/a","kind":"file","id":"{id}"}}"#).into_bytes()).collect()
    }

    #[test]
    fn duplicates_are_matched_by_id_then_in_order() {
        let pairs = |old: &[&str], new: &[&str]| pair(&lines(old), &lines(new)).unwrap();
        assert_eq!(pairs(&["1"], &["2"]), [(Some(0), Some(0))]);
        assert_eq!(pairs(&["1", "2"], &["2"]), [(Some(1), Some(0)), (Some(0), None)]);
        assert_eq!(pairs(&["1"], &["1", "2"]), [(Some(0), Some(0)), (None, Some(1))]);
        assert_eq!(pairs(&["1", "2"], &["2", "3"]), [(Some(1), Some(0)), (Some(0), Some(1))]);
        assert_eq!(pairs(&["1", "1"], &["1", "1"]), [(Some(0), Some(0)), (Some(1), Some(1))]);
    }
}
