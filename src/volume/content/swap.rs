//! Swap space of Linux (`include/linux/swap.h`, `union swap_header`): the magic ends the first page, whose size
//! depends on the machine; at 1036 the UUID, at 1052 the label.

use super::signature::{Class, Found, View};

const PAGE_SIZES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];

/// Magics, and whether a hibernated system lies in there.
const MAGICS: [(&[u8], bool); 7] = [
    (b"SWAPSPACE2", false),
    (b"SWAP-SPACE", false),
    (b"S1SUSPEND", true),
    (b"S2SUSPEND", true),
    (b"ULSUSPEND", true),
    (b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c", true),
    (b"LINHIB0001", true),
];

pub(super) fn swap(view: &View) -> Option<Found> {
    let at_page_end =
        |magic: &[u8]| PAGE_SIZES.iter().any(|page| page.checked_sub(10).is_some_and(|at| view.has(at, magic)));
    let (_, hibernated) = MAGICS.iter().find(|(magic, _)| at_page_end(magic))?;
    let (kind, what) = if *hibernated { ("swsuspend", "swap with a hibernated system") } else { ("swap", "swap") };
    Some(Found::new(kind, Class::Harmless, what).id(view.id(1036)).label(view.bytes(1052, 16)))
}
