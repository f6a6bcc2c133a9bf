//! `snapfim manifest FILE`: a manifest's records as they stand in it, but for characters that steer a terminal.

use super::{args::ManifestArgs, output::Output};
use crate::{error::Result, job, report::ndjson};

pub(super) fn run(args: &ManifestArgs, output: &mut Output) -> Result<u8> {
    let mut reader = job::manifest(&args.file)?;
    if args.header {
        output.data(&ndjson::escaped(reader.header_line()));
        output.data(b"\n");
        return Ok(0);
    }
    reader = reader.ahead()?;
    while !output.is_closed() && reader.advance()? {
        output.data(&ndjson::escaped(reader.line()));
        output.data(b"\n");
    }
    Ok(0)
}
