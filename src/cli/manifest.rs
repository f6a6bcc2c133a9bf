//! `snapfim manifest FILE`: a manifest's records as they stand in it.

use super::{args::ManifestArgs, output::Output};
use crate::{error::Result, job};

pub(super) fn run(args: &ManifestArgs, output: &mut Output) -> Result<u8> {
    let mut reader = job::manifest(&args.file)?;
    if args.header {
        output.data(reader.header_line());
        output.data(b"\n");
        return Ok(0);
    }
    reader = reader.ahead()?;
    while !output.is_closed() && reader.advance()? {
        output.data(reader.line());
        output.data(b"\n");
    }
    Ok(0)
}
