//! Volumes of the fixtures in memory, without their zeros.

use std::{collections::BTreeMap, io::Read, path::PathBuf, sync::Arc};

use snapfim::{
    error::Result,
    image::{Image, past_end},
};

const BLOCK: usize = 4096;

/// An image of which only the blocks that are not all zeros are kept.
#[derive(Clone)]
pub(crate) struct Sparse {
    blocks: BTreeMap<u64, Arc<[u8]>>,
    len: u64,
}

impl Sparse {
    /// The volume of a fixture.
    pub(crate) fn fixture(name: &str) -> Self {
        let mut decoder = zstd::Decoder::new(open(&format!("{name}.raw.zst"))).expect("zstd");
        decoder.window_log_max(27).expect("a window");
        let mut sparse = Self { blocks: BTreeMap::new(), len: 0 };
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            decoder.by_ref().take(BLOCK as u64).read_to_end(&mut block).expect("zstd");
            if block.is_empty() {
                return sparse;
            }
            let at = sparse.len / BLOCK as u64;
            sparse.len += block.len() as u64;
            block.resize(BLOCK, 0);
            if block.iter().any(|byte| *byte != 0) {
                sparse.blocks.insert(at, block.into());
            }
        }
    }

    /// Where a sequence of bytes begins that lies inside one block.
    pub(crate) fn find(&self, wanted: &[u8]) -> Vec<u64> {
        let inside = |block: &[u8]| {
            let hits = block.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
            hits.map(|(at, _)| at as u64).collect::<Vec<_>>()
        };
        self.blocks
            .iter()
            .flat_map(|(number, block)| inside(block).into_iter().map(move |at| number * BLOCK as u64 + at))
            .collect()
    }

    /// Changes bytes.
    pub(crate) fn patch(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let block = self.blocks.entry(at / BLOCK as u64).or_insert_with(|| vec![0; BLOCK].into());
            Arc::make_mut(block)[(at % BLOCK as u64) as usize] = *byte;
        }
    }

    /// Cuts the end off.
    pub(crate) fn truncate(&mut self, len: u64) {
        self.len = self.len.min(len);
    }

    /// The numbers of the blocks that are kept.
    pub(crate) fn used(&self) -> Vec<u64> {
        self.blocks.keys().copied().collect()
    }
}

impl Image for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(past_end("image", offset, buf.len() as u64, self.len));
        }
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let skip = (at % BLOCK as u64) as usize;
            let (part, tail) = rest.split_at_mut(rest.len().min(BLOCK - skip));
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => part.copy_from_slice(&block[skip..skip + part.len()]),
                None => part.fill(0),
            }
            at += part.len() as u64;
            rest = tail;
        }
        Ok(())
    }
}

/// A file of the fixtures.
pub(crate) fn open(name: &str) -> std::fs::File {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/ntfs").join(name);
    std::fs::File::open(path).expect("a fixture")
}

/// The oracle's table of a fixture.
pub(crate) fn truth(name: &str) -> String {
    let mut text = String::new();
    zstd::Decoder::new(open(&format!("{name}.tsv.zst"))).expect("zstd").read_to_string(&mut text).expect("UTF-8");
    text
}
