//! What the root directory says of the volume besides its files: allocation bitmaps (7.1), the up-case table (7.2)
//! and the label (7.3).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | type |
//! | 1 | 1 | bitmap: bit 0: that of the second FAT; label: its length in units |
//! | 2 | 22 | label |
//! | 4 | 4 | up-case table: checksum |
//! | 20, 24 | 4, 8 | bitmap and table: first cluster, length in bytes |

use std::ops::ControlFlow;

use super::{
    BootSector,
    entry_set::{BITMAP, END, LABEL, UPCASE},
    upcase,
};
use crate::{
    error::Result,
    field::{byte, le32, le64, units},
    fs::{
        Sink, VolumeInfo,
        clusters::{self, Chain, Slot, Table},
        upcase::UpCase,
    },
};

/// A label has at most this many units (7.3.2).
const MAX_LABEL: usize = 11;

/// The entries that were found; of several alike, the first.
#[derive(Default)]
pub(super) struct System {
    /// Length and place of the bitmap that is in use.
    bitmap: Option<Chain>,
    upcase: Option<(u32, Chain)>,
    label: Option<String>,
}

impl System {
    /// Looks through the root directory. What cannot be read of it is a fault when it is listed.
    pub(super) fn read(boot: &BootSector, table: &mut Table<'_>) -> Self {
        let mut system = Self::default();
        clusters::slots(table, boot.root(), &mut |_| Ok(()), &mut |slot| {
            let Slot::Raw { bytes, .. } = slot else { return ControlFlow::Continue(()) };
            match byte(bytes, 0) {
                Some(END) => return ControlFlow::Break(()),
                Some(BITMAP) if byte(bytes, 1).is_some_and(|flags| flags & 1 == boot.active) => {
                    system.bitmap = system.bitmap.or(chain(bytes));
                }
                Some(UPCASE) => system.upcase = system.upcase.or(le32(bytes, 4).zip(chain(bytes))),
                Some(LABEL) => {
                    system.label.get_or_insert_with(|| label(bytes));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        system
    }

    /// Tells label and defects, and gives the table by which names are folded.
    pub(super) fn describe(self, boot: &BootSector, table: &mut Table<'_>, info: &mut VolumeInfo) -> UpCase {
        info.label = self.label.filter(|label| !label.is_empty());
        let needed = u64::from(boot.heap.clusters).div_ceil(8);
        match self.bitmap {
            None => info.notes.push("it has no allocation bitmap".to_owned()),
            Some(bitmap) if bitmap.len < needed => {
                info.notes.push(format!("its allocation bitmap has {} bytes of {needed}", bitmap.len));
            }
            Some(bitmap) => {
                if let Err(error) = bitmap.extents(table) {
                    info.notes.push(format!("its allocation bitmap is damaged: {error}"));
                }
            }
        }
        let folded = match self.upcase {
            None => Err("there is none".to_owned()),
            Some((_, chain)) if chain.len > upcase::MAX_LEN => Err(format!("it has {} bytes", chain.len)),
            Some((sum, chain)) => {
                bytes(&chain, table).and_then(|bytes| upcase::unpack(&bytes, sum)).map_err(|error| error.to_string())
            }
        };
        folded.unwrap_or_else(|why| {
            info.gaps.push(format!("the up-case table cannot be read, names are folded by Unicode's table: {why}"));
            UpCase::new(Vec::new())
        })
    }
}

fn chain(entry: &[u8; 32]) -> Option<Chain> {
    let (first, len) = (le32(entry, 20)?, le64(entry, 24)?);
    Some(Chain { first, len, written: len, contiguous: false })
}

fn label(entry: &[u8; 32]) -> String {
    let len = byte(entry, 1).map_or(0, usize::from).min(MAX_LABEL);
    let units: Vec<u16> = units(entry.get(2..24).unwrap_or_default()).take(len).collect();
    String::from_utf16_lossy(&units)
}

fn bytes(chain: &Chain, table: &mut Table<'_>) -> Result<Vec<u8>> {
    struct Collect(Vec<u8>);
    impl Sink for Collect {
        fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.0.extend_from_slice(bytes);
            ControlFlow::Continue(())
        }
        fn hole(&mut self, _: u64) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    let mut sink = Collect(Vec::new());
    clusters::read(chain, table, &mut sink)?;
    Ok(sink.0)
}
