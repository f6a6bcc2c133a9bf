//! Small text files of the image, read with a cap.

use super::{Resolution, Resolver};
use crate::{
    error::Result,
    fs::{self, Kind, Stream},
};

/// Configuration files are small; a hostile one is not read past this many bytes.
const TEXT_FILE_CAP: usize = 4 << 20;

/// The bytes of a regular file at an absolute path of the machine, links followed; `None` when it is not there.
pub(super) fn read(resolver: &mut Resolver<'_, '_>, path: &[u8]) -> Result<Option<Vec<u8>>> {
    match resolver.resolve(path)? {
        Resolution::Found(place) if place.kind == Some(Kind::File) => {
            let session = resolver.sessions().of(place.volume)?;
            fs::read_small(session, &place.node, &Stream::Content, TEXT_FILE_CAP).map(Some)
        }
        _ => Ok(None),
    }
}
