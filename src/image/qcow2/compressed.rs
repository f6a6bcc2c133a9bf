//! "Compressed Clusters Descriptor": a cluster as one deflate stream or as zstd frames, beginning at any byte.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{LAYER, header::Compression};
use crate::{
    error::{Error, Result},
    field::narrow,
    image::{
        mapped::{FileId, Layered, Pack},
        structure::read_vec,
        tables::Cache,
    },
};

/// Unpacked clusters that are kept, in bytes; walks of a filesystem come back to neighbours.
const CACHE: usize = 2 << 20;
/// Largest window of zstd that memory is given for: 8 MiB, what RFC 8878, 3.1.1.1.2 asks of every decoder.
const MAX_WINDOW: u32 = 23;

/// The compressed clusters of one file.
pub(crate) struct Compressed {
    file: Arc<dyn Layered>,
    id: FileId,
    how: Compression,
    cluster: usize,
    unpacked: Cache<Arc<[u8]>>,
}

impl Compressed {
    pub(super) fn new(file: Arc<dyn Layered>, id: FileId, how: Compression, cluster_bits: u32) -> Self {
        let cluster = 1_usize.checked_shl(cluster_bits).unwrap_or(CACHE);
        let capacity = CACHE.checked_div(cluster).unwrap_or(1).min(32);
        Self { file, id, how, cluster, unpacked: Cache::new(capacity) }
    }

    fn unpack_now(&self, at: u64, len: u64) -> Result<Arc<[u8]>> {
        // The length is a number of sectors; the file may end before the last of them does.
        let there = self.file.len().saturating_sub(at).min(len);
        let packed = read_vec(&*self.file, at, narrow(there))?;
        let mut cluster = vec![0; self.cluster];
        let outcome = match self.how {
            Compression::Zlib => inflate(&packed, &mut cluster),
            Compression::Zstd => unzstd(&packed, &mut cluster),
        };
        match outcome {
            Ok(done) if done == self.cluster => Ok(cluster.into()),
            Ok(done) => Err(wrong(at, format!("it unpacks to {done:#x} bytes, {:#x} expected", self.cluster))),
            Err(what) => Err(wrong(at, what)),
        }
    }
}

fn wrong(at: u64, what: String) -> Error {
    Error::corrupt(LAYER, format!("compressed cluster at {at:#x}"), what)
}

/// Raw deflate; behind the stream may stand anything up to the end of the sector.
fn inflate(packed: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
    let mut stream = Decompress::new(false);
    match stream.decompress(packed, cluster, FlushDecompress::Finish) {
        Ok(Status::Ok | Status::BufError | Status::StreamEnd) => Ok(narrow(stream.total_out())),
        Err(error) => Err(error.to_string()),
    }
}

/// One or more frames until the cluster is full.
fn unzstd(packed: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut decoder = Decoder::new().map_err(text)?;
    decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW)).map_err(text)?;
    let (mut input, mut output) = (InBuffer::around(packed), OutBuffer::around(cluster));
    loop {
        let before = (input.pos(), output.pos());
        decoder.run(&mut input, &mut output).map_err(text)?;
        if output.pos() == output.capacity() || (input.pos(), output.pos()) == before {
            return Ok(output.pos());
        }
    }
}

impl Pack for Compressed {
    fn file(&self) -> FileId {
        self.id
    }

    fn unpack(&self, at: u64, len: u64) -> Result<Arc<[u8]>> {
        self.unpacked.get(at, || self.unpack_now(at, len))
    }
}
