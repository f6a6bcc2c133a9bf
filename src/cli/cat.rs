//! `snapfim cat TARGET PATH`: one file's bytes out of a target, links inside the image followed.

use std::ops::ControlFlow;

use super::{args::CatArgs, output::Output};
use crate::{
    error::{Error, Result},
    fs::{Kind, Sink, Stream},
    machine::{Machine, Resolution, Resolver, resolve::Place},
    target,
};

/// Zeros to print a hole with.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

struct Print<'a>(&'a mut Output);

impl Print<'_> {
    fn flow(&self) -> ControlFlow<()> {
        if self.0.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Sink for Print<'_> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.data(bytes);
        self.flow()
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        let mut left = len;
        while left > 0 && !self.0.is_closed() {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.0.data(&ZEROS[..piece]);
            left -= piece as u64;
        }
        self.flow()
    }
}

pub(super) fn run(args: &CatArgs, output: &mut Output) -> Result<u8> {
    let target = target::open(&args.target, &args.open.options(None))?;
    let mut sessions = target.machine.sessions();
    let mut resolver = Resolver::new(&mut sessions);
    let (place, stream) = find(&target.machine, &mut resolver, &args.path)?;
    if stream == Stream::Content && place.kind != Some(Kind::File) {
        return Err(Error::Target(format!("{}: expected a file, found something else", args.path)));
    }
    resolver.sessions().of(place.volume)?.read(&place.node, &stream, &mut Print(output))?;
    Ok(0)
}

/// The entity that a path names, and the stream behind its last colon, where the path as it stands names nothing.
fn find(machine: &Machine, resolver: &mut Resolver<'_, '_>, path: &str) -> Result<(Place, Stream)> {
    // A volume that stands alone needs no id in front of its paths.
    let path = match (path.strip_prefix('/'), machine.mounts.as_slice()) {
        (Some(rest), [only]) if only.path.starts_with(b"@") => format!("{}{rest}", String::from_utf8_lossy(&only.path)),
        _ => path.to_owned(),
    };
    if let Resolution::Found(place) = resolver.resolve(path.as_bytes())? {
        return Ok((place, Stream::Content));
    }
    if let Some((file, stream)) = path.rsplit_once(':')
        && !stream.contains(['/', '\\'])
        && let Resolution::Found(place) = resolver.resolve(file.as_bytes())?
    {
        return Ok((place, Stream::Named(stream.as_bytes().to_vec())));
    }
    Err(Error::Target(format!("{path}: no such file in the target")))
}
