//! One worker's reader of an exFAT volume.

use std::ops::ControlFlow;

use super::{
    ExFat, LAYER, corrupt,
    entry_set::{DIRECTORY, EntrySet, FILE, IN_USE, Sets, Told},
};
use crate::{
    error::{Error, Fault, Result},
    field::{byte, wide},
    fs::{
        DirEntry, Extent, Kind, Listed, Metadata, NodeId, Session, Sink, Stream, Windows,
        clusters::{self, Chain, ROOT, SLOT, Slot, Source, Table},
        find, wtf8,
    },
};

/// Read at first: the entries of a file with the longest name.
const USUAL: u64 = 19 * SLOT;

pub(super) struct ExFatSession<'a> {
    exfat: &'a ExFat,
    table: Table<'a>,
}

impl<'a> ExFatSession<'a> {
    pub(super) fn new(exfat: &'a ExFat) -> Self {
        Self { exfat, table: exfat.boot.table(exfat.image.as_ref()) }
    }

    /// The entries that a node is called by; `None` for the root.
    fn node(&mut self, node: &NodeId) -> Result<Option<EntrySet>> {
        let NodeId::Number(offset) = *node else {
            return Err(Error::Bug("a path was given to an exFAT reader, whose nodes have numbers".to_owned()));
        };
        if offset == ROOT {
            return Ok(None);
        }
        let mut at = offset;
        let mut slots: Vec<[u8; 32]> = Vec::new();
        // One entry, and as many more as it says.
        let mut count = 1;
        while slots.len() < count {
            let (end, next) = self.exfat.ownership.around(&mut self.table, at)?;
            let wanted = wide(count.saturating_sub(slots.len())).saturating_mul(SLOT).max(USUAL);
            let mut bytes = vec![0; usize::try_from(wanted.min(end.saturating_sub(at))).unwrap_or_default()];
            self.exfat.image.read_at(at, &mut bytes)?;
            slots.extend_from_slice(bytes.as_chunks().0);
            let first = slots.first().filter(|slot| byte(*slot, 0) == Some(FILE));
            let first = first.ok_or_else(|| corrupt(format!("entry at {offset:#x}"), "no file begins here"))?;
            count = byte(first, 1).map_or(0, usize::from).saturating_add(1);
            at = match (slots.len() < count, next) {
                (false, _) => break,
                (true, Some(next)) => next,
                (true, None) => {
                    let what = format!("{count} entries expected, and the directory ends after {}", slots.len());
                    return Err(corrupt(format!("entry at {offset:#x}"), what));
                }
            };
        }
        slots.truncate(count);
        EntrySet::new(offset, slots).map(Some).map_err(|fault| corrupt(fault.at, fault.error))
    }

    fn dir(&mut self, node: &NodeId) -> Result<(u64, Source)> {
        match self.node(node)? {
            None => Ok((ROOT, self.exfat.boot.root())),
            Some(set) if set.is_dir() => Ok((set.offset, set.source())),
            Some(set) => Err(corrupt(format!("entry at {:#x}", set.offset), "not a directory")),
        }
    }

    fn chain(&mut self, node: &NodeId) -> Result<Chain> {
        match self.node(node)? {
            None => Err(corrupt("root directory", "it has no content")),
            Some(set) if set.is_dir() => {
                Err(corrupt(format!("entry at {:#x}", set.offset), "a directory has no content"))
            }
            Some(set) => Ok(set.chain()),
        }
    }
}

impl Session for ExFatSession<'_> {
    fn root(&self) -> NodeId {
        NodeId::Number(ROOT)
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        let (owner, source) = self.dir(dir)?;
        let exfat = self.exfat;
        let mut sets = Sets::default();
        let (mut ended, mut stopped) = (false, false);
        let mut hand_out = |listed: Listed<'_>| {
            let flow = each(listed);
            stopped |= flow.is_break();
            flow
        };
        let mut may_read = |cluster| exfat.ownership.check(&exfat.boot.heap, cluster, owner);
        clusters::slots(&mut self.table, source, &mut may_read, &mut |slot| {
            let (broken, told) = match slot {
                // Behind the mark that ends a directory all entries are such marks (6.2.1); deleted ones there are known
                // of some writers. One in use shows that the mark is none, or that the chain leads elsewhere.
                Slot::Raw { offset, bytes } if ended => {
                    if byte(bytes, 0).is_none_or(|kind| kind & IN_USE == 0) {
                        return ControlFlow::Continue(());
                    }
                    let what = "an entry behind the mark that ends the directory";
                    let _ = hand_out(Listed::Fault(Fault::new(LAYER, format!("entry at {offset:#x}"), what)));
                    return ControlFlow::Break(());
                }
                Slot::Raw { offset, bytes } => sets.push(offset, bytes),
                Slot::Fault(fault) => (sets.interrupt(), Told::Fault(fault)),
            };
            if let Some(fault) = broken {
                hand_out(Listed::Fault(fault))?;
            }
            match told {
                Told::Nothing => ControlFlow::Continue(()),
                Told::System if owner == ROOT => ControlFlow::Continue(()),
                Told::End => {
                    ended = true;
                    ControlFlow::Continue(())
                }
                Told::Fault(fault) => hand_out(Listed::Fault(fault)),
                Told::System => {
                    let at = format!("directory whose entry is at {owner:#x}");
                    hand_out(Listed::Fault(Fault::new(LAYER, at, "an entry that belongs into the root directory")))
                }
                Told::Set(set) => {
                    // The name that stood here before was not read where this one is damaged.
                    if let Some(fault) = set.wrong_checksum() {
                        hand_out(Listed::Fault(fault))?;
                    }
                    hand_out(Listed::Entry(DirEntry {
                        name: &set.name,
                        node: NodeId::Number(set.offset),
                        kind: Some(if set.is_dir() { Kind::Dir } else { Kind::File }),
                        link: None,
                    }))
                }
            }
        });
        if let Some(fault) = sets.interrupt()
            && !stopped
        {
            let _ = each(Listed::Fault(fault));
        }
        Ok(())
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let windows = |attributes: u16| Some(Box::new(Windows { attributes: attributes.into(), ..Windows::default() }));
        // The root has no entry, and so no times.
        let Some(set) = self.node(node)? else {
            return Ok(Metadata {
                kind: Some(Kind::Dir),
                size: self.exfat.boot.root().len(&mut self.table),
                windows: windows(DIRECTORY),
                ..Metadata::default()
            });
        };
        Ok(Metadata {
            kind: Some(if set.is_dir() { Kind::Dir } else { Kind::File }),
            size: set.len(),
            times: set.times(),
            windows: windows(set.attributes()),
            faults: set.faults(),
            ..Metadata::default()
        })
    }

    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        let exfat = self.exfat;
        let fold = |name: &[u8]| {
            wtf8::decode(name).map(|units| units.into_iter().map(|unit| exfat.upcase.fold(unit)).collect())
        };
        let Some(wanted) = fold(name) else { return Ok(None) };
        let wanted: Vec<u16> = wanted;
        find(self, dir, name, &mut |stored| fold(stored).is_some_and(|stored| stored == wanted))
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        stream.only_content(LAYER)?;
        self.chain(node)?.extents(&mut self.table)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        stream.only_content(LAYER)?;
        clusters::read(&self.chain(node)?, &mut self.table, sink)
    }
}
