//! `snapfim manifest FILE`: a manifest's records as they stand in it.

use super::{args::ManifestArgs, output::Output};
use crate::{
    error::{Error, Result},
    job,
};

pub(super) fn run(args: &ManifestArgs, output: &mut Output) -> Result<u8> {
    let mut reader = job::manifest(&args.file)?;
    if args.header {
        let header = serde_json::to_string(reader.header()).map_err(|error| Error::Bug(error.to_string()))?;
        output.line(&header);
        return Ok(0);
    }
    reader = reader.ahead()?;
    while !output.is_closed() && reader.advance()? {
        output.data(reader.line());
        output.data(b"\n");
    }
    Ok(0)
}
