//! Operations into transactions. A record holds operations of several transactions, and one of them may be split over
//! records; what counts is what was committed. See "Log Operations" in *XFS Algorithms & Data Structures*, and
//! `xlog_recover_process_ophdr` of the kernel for what the flags mean together.

use std::collections::HashMap;

use super::{
    super::{
        LAYER,
        bytes::{be32, capped, le16, le32, u8_at},
    },
    record::Record,
    ring::bad,
};
use crate::error::{Error, Result};

/// Transaction, length, client, flags.
const OPERATION: usize = 12;
/// `XFS_TRANSACTION` and `XFS_LOG`.
const CLIENTS: [u8; 2] = [0x69, 0xAA];
const START: u8 = 0x01;
const COMMIT: u8 = 0x02;
const CONTINUES: u8 = 0x04;
const CONTINUED: u8 = 0x08;
const END: u8 = 0x10;
const UNMOUNT: u8 = 0x20;

/// Begins each transaction, in the writer's byte order: `TRAN`.
const MAGIC: u32 = 0x5452_414E;
const HEADER: usize = 16;
/// What all transactions that are not committed yet may hold, with what it takes to keep their parts. The kernel
/// commits at 64 MiB.
const MAX_OPEN: usize = 256 << 20;
/// What a part takes beside its bytes.
const PART: usize = 16;
/// Regions of one item (`XLOG_MAX_REGIONS_IN_ITEM`).
const MAX_REGIONS: usize = 257;

/// A transaction as far as it was met.
#[derive(Default)]
pub(super) struct Transaction {
    /// The number of the record in which it began.
    pub(super) lsn: u64,
    /// Bytes of its header that were met.
    header: usize,
    bytes: Vec<u8>,
    /// Where each part ends in `bytes`.
    ends: Vec<usize>,
}

/// The transactions that were not committed yet.
#[derive(Default)]
pub(super) struct Open {
    transactions: HashMap<u32, Transaction>,
    held: usize,
}

/// An item: what kind it is, and its regions, the first of which describes it.
pub(super) struct Item<'a> {
    pub(super) kind: u16,
    bytes: &'a [u8],
    /// Where its first region begins in `bytes`, and where each ends.
    start: usize,
    ends: &'a [usize],
}

impl<'a> Item<'a> {
    /// A region; empty where there is none.
    pub(super) fn region(&self, index: usize) -> &'a [u8] {
        let start = index.checked_sub(1).map_or(Some(self.start), |before| self.ends.get(before).copied());
        let range = start.zip(self.ends.get(index)).and_then(|(start, end)| self.bytes.get(start..*end));
        range.unwrap_or_default()
    }
}

impl Open {
    /// Takes a record's operations; what is committed by one is handed out.
    pub(super) fn record(
        &mut self,
        record: &Record,
        committed: &mut dyn FnMut(&Transaction) -> Result<()>,
    ) -> Result<()> {
        let mut rest = record.body.as_slice();
        for _ in 0..record.header.operations {
            if rest.is_empty() {
                break;
            }
            let Some((operation, behind)) = rest.split_at_checked(OPERATION) else {
                return Err(bad(record.at, "an operation is cut off"));
            };
            let len = capped(u64::from(be32(operation, 4)), usize::MAX);
            let (client, flags) = (u8_at(operation, 8), u8_at(operation, 9));
            if !CLIENTS.contains(&client) {
                return Err(bad(record.at, format!("an operation of client {client:#x}")));
            }
            let Some((data, behind)) = behind.split_at_checked(len) else {
                return Err(bad(record.at, format!("an operation of {len} bytes, {} are left", behind.len())));
            };
            rest = behind;
            self.operation(record, be32(operation, 0), flags, data, committed)?;
        }
        Ok(())
    }

    fn operation(
        &mut self,
        record: &Record,
        number: u32,
        flags: u8,
        data: &[u8],
        committed: &mut dyn FnMut(&Transaction) -> Result<()>,
    ) -> Result<()> {
        let Some(transaction) = self.transactions.get_mut(&number) else {
            // What belongs to one that began before the tail is not needed.
            if flags & START != 0 {
                self.hold(PART.saturating_mul(8))?;
                self.transactions.insert(number, Transaction { lsn: record.header.lsn, ..Transaction::default() });
            }
            return Ok(());
        };
        let flags = flags & !END;
        let flags = if flags & CONTINUED != 0 { flags & !CONTINUES } else { flags };
        match flags {
            0 | CONTINUES | CONTINUED => {
                let what = transaction.add(data, flags == CONTINUED);
                what.map_err(|what| bad(record.at, format!("transaction {number:#x}: {what}")))?;
                self.hold(data.len().saturating_add(PART))
            }
            COMMIT | UNMOUNT => {
                let Some(transaction) = self.transactions.remove(&number) else { return Ok(()) };
                let parts = transaction.ends.len().saturating_add(8);
                let freed = transaction.bytes.len().saturating_add(parts.saturating_mul(PART));
                self.held = self.held.saturating_sub(freed);
                if flags == COMMIT { committed(&transaction) } else { Ok(()) }
            }
            _ => Err(bad(record.at, format!("transaction {number:#x}: an operation with the flags {flags:#x}"))),
        }
    }

    fn hold(&mut self, bytes: usize) -> Result<()> {
        self.held = self.held.saturating_add(bytes);
        if self.held > MAX_OPEN {
            let what = format!("the log's transactions that are not committed yet hold more than {MAX_OPEN} bytes");
            return Err(Error::budget(LAYER, what));
        }
        Ok(())
    }
}

impl Transaction {
    /// Takes what an operation carries: of the header first, then parts, of which the last may go on.
    fn add(&mut self, data: &[u8], goes_on: bool) -> Result<(), String> {
        if self.header < HEADER {
            if self.header == 0 && !data.is_empty() && le32(data, 0) != MAGIC {
                return Err(format!("it begins with {:#010x}", le32(data, 0)));
            }
            self.header = self.header.saturating_add(data.len());
            return if self.header > HEADER { Err("its header is too long".to_owned()) } else { Ok(()) };
        }
        match self.ends.last_mut() {
            Some(end) if goes_on => *end = self.bytes.len().saturating_add(data.len()),
            None if goes_on => return Err("nothing that could go on".to_owned()),
            // A part that begins in the next record.
            _ if data.is_empty() => return Ok(()),
            _ => self.ends.push(self.bytes.len().saturating_add(data.len())),
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Its items, in the order in which they were written, up to the first that makes no sense. They are made one by
    /// one: the regions of an item may be tiny, and it would take more than they do.
    pub(super) fn items(&self) -> impl Iterator<Item = Result<Item<'_>, String>> {
        let (mut start, mut rest) = (0, self.ends.as_slice());
        std::iter::from_fn(move || {
            let first = self.bytes.get(start..*rest.first()?).unwrap_or_default();
            let (kind, count) = (le16(first, 0), usize::from(le16(first, 2)));
            let left = std::mem::take(&mut rest);
            if first.len() < 4 || count == 0 || count > MAX_REGIONS {
                return Some(Err(format!("an item of kind {kind:#06x} with {count} regions, {} bytes", first.len())));
            }
            let Some((ends, behind)) = left.split_at_checked(count) else {
                return Some(Err(format!("an item of kind {kind:#06x} with {} of {count} regions", left.len())));
            };
            let item = Item { kind, bytes: &self.bytes, start, ends };
            start = ends.last().copied().unwrap_or(start);
            rest = behind;
            Some(Ok(item))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut header = MAGIC.to_le_bytes().to_vec();
        header.resize(HEADER, 0);
        header
    }

    // `xlog_recover_add_to_trans` and `xlog_recover_add_to_cont_trans` of the kernel.
    #[test]
    fn parts_go_on_and_a_header_may_be_split() {
        let mut transaction = Transaction::default();
        let header = header();
        transaction.add(&header[..10], false).unwrap();
        transaction.add(&header[10..], true).unwrap();
        transaction.add(&[0x3C, 0x12, 2, 0], false).unwrap();
        transaction.add(&[], false).unwrap();
        transaction.add(&[1, 2], false).unwrap();
        transaction.add(&[3], true).unwrap();
        let items: Vec<_> = transaction.items().map(Result::unwrap).collect();
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].kind, items[0].region(1), items[0].region(2)), (0x123C, &[1, 2, 3][..], &[][..]));
        transaction.add(&[0x3C, 0x12, 2, 0], false).unwrap();
        assert!(transaction.items().last().unwrap().is_err());
    }

    #[test]
    fn items_of_tiny_regions_are_made_one_by_one() {
        let mut transaction = Transaction::default();
        transaction.add(&header(), false).unwrap();
        for kind in [0x36, 0x37] {
            transaction.add(&[kind, 0x12, 2, 0], false).unwrap();
            transaction.add(&[kind], false).unwrap();
        }
        transaction.add(&[0x38, 0x12, 0, 0], false).unwrap();
        transaction.add(&[0x39, 0x12, 1, 0], false).unwrap();
        let told: Vec<_> = transaction.items().map(|item| item.map(|item| (item.kind, item.region(1)))).collect();
        // Nothing is handed out behind one that makes no sense.
        let broken = "an item of kind 0x1238 with 0 regions, 4 bytes".to_owned();
        assert_eq!(told, [Ok((0x1236, &[0x36][..])), Ok((0x1237, &[0x37][..])), Err(broken)]);
    }

    #[test]
    fn what_does_not_begin_as_one_is_refused() {
        assert!(Transaction::default().add(&[0; 16], false).is_err());
        let mut transaction = Transaction::default();
        transaction.add(&header(), false).unwrap();
        assert!(transaction.add(&[1], true).is_err());
    }
}
