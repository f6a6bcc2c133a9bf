//! Where the bytes of a BitLocker volume come from: its first ones were moved away, and where its metadata lie it
//! shows zeros (libbde, 3 "Volume").

use std::sync::Arc;

use super::block::{Block, COPY};
use crate::{
    field::wide,
    image::Image,
    volume::crypt::{
        decrypted::{Decrypted, Part, Source},
        sectors::Sectors,
    },
};

pub(super) fn decrypted(
    image: &Arc<dyn Image>,
    block: &Block,
    sectors: Sectors,
    iv_step: u64,
) -> Result<Decrypted, String> {
    let sector = wide(block.sector);
    let end = image.len().saturating_sub(image.len().checked_rem(sector).unwrap_or_default());
    let (header_at, header_len) = block.header;
    let mut hidden: Vec<(u64, u64)> = block.copies.iter().map(|at| (*at, COPY)).collect();
    hidden.push((header_at, header_len));
    let ends = |(start, len): (u64, u64)| start.checked_add(len).filter(|stop| *stop <= end);
    if header_len == 0 || hidden.iter().any(|part| ends(*part).is_none()) {
        return Err("its metadata are damaged: they lie past its end".to_owned());
    }
    if hidden.iter().any(|(start, len)| !start.is_multiple_of(sector) || !len.is_multiple_of(sector)) {
        return Err("its metadata are damaged: they are not whole sectors".to_owned());
    }
    let at = |offset: u64| Source::Ciphertext { offset, iv: offset.checked_div(iv_step).unwrap_or_default() };
    let mut parts = vec![Part { end: header_len, source: at(header_at) }];
    hidden.sort_unstable();
    let mut behind = header_len;
    for (start, len) in hidden {
        let stop = start.saturating_add(len);
        if start > behind {
            parts.push(Part { end: start, source: at(behind) });
        }
        if stop > behind {
            parts.push(Part { end: stop, source: Source::Zeros });
            behind = stop;
        }
    }
    if end > behind {
        parts.push(Part { end, source: at(behind) });
    }
    Ok(Decrypted { inner: Arc::clone(image), sectors, sector: block.sector, iv_step, parts, start: 0, key: 0 })
}
