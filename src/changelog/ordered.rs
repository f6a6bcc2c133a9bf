//! Sorting what need not fit into memory: the source is read again and again, and each time the next keys in
//! order are picked, as many as the budget holds. One reading is enough for all but the largest logs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::error::Result;

/// How many bytes of keys are held at once.
pub(super) const KEY_BUDGET: usize = 64 * 1024 * 1024;

/// What a key takes besides what it says, in the set that holds it.
const KEY_OVERHEAD: usize = 64;

/// Hands out in order the keys that `source` hands out in any order. Keys must differ from each other, so they
/// hold the place of what they stand for. `weight` is a key's size in bytes.
///
/// # Errors
/// What `source` and `each` return.
pub fn in_order<K: Ord + Clone>(
    weight: impl Fn(&K) -> usize,
    source: impl FnMut(&mut dyn FnMut(K)) -> Result<()>,
    each: impl FnMut(K) -> Result<ControlFlow<()>>,
) -> Result<()> {
    in_order_within(KEY_BUDGET, weight, source, each)
}

fn in_order_within<K: Ord + Clone>(
    budget: usize,
    weight: impl Fn(&K) -> usize,
    mut source: impl FnMut(&mut dyn FnMut(K)) -> Result<()>,
    mut each: impl FnMut(K) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let weight = |key: &K| weight(key).saturating_add(KEY_OVERHEAD);
    let mut last: Option<K> = None;
    loop {
        let mut picked: BTreeSet<K> = BTreeSet::new();
        let (mut held, mut more) = (0_usize, false);
        source(&mut |key| {
            if last.as_ref().is_some_and(|last| key <= *last) {
                return;
            }
            if more && picked.last().is_some_and(|greatest| key > *greatest) {
                return;
            }
            let added = weight(&key);
            if picked.insert(key) {
                held = held.saturating_add(added);
            }
            while held > budget && picked.len() > 1 {
                more = true;
                if let Some(dropped) = picked.pop_last() {
                    held = held.saturating_sub(weight(&dropped));
                }
            }
        })?;
        last = picked.last().cloned().or(last);
        for key in picked {
            if each(key)?.is_break() {
                return Ok(());
            }
        }
        if !more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_come_once_and_in_order_whatever_the_budget() {
        let keys: Vec<u64> = (0..997).map(|n| n * 7919 % 997).collect();
        let mut expected = keys.clone();
        expected.sort_unstable();
        for budget in [0, 1, 72, 720, 7200, 1 << 20] {
            let (mut got, mut passes) = (Vec::new(), 0);
            in_order_within(
                budget,
                |_| 8,
                |take| {
                    passes += 1;
                    keys.iter().for_each(|key| take(*key));
                    Ok(())
                },
                |key| {
                    got.push(key);
                    Ok(ControlFlow::Continue(()))
                },
            )
            .unwrap();
            assert_eq!(got, expected, "budget {budget}");
            assert!(budget < 1 << 20 || passes == 1);
        }
    }
}
