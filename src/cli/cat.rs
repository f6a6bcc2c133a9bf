//! `snapfim cat TARGET PATH`: one file's bytes out of a target, links inside the image followed; or the data of a
//! registry value, byte for byte.

use std::ops::ControlFlow;

use super::{args::CatArgs, output::Output};
use crate::{
    error::{Error, Result},
    fs::{Kind, Sink, Stream},
    machine::{Machine, Resolution, Resolver, resolve::Place},
    policy::{EntityPath, Root},
    scan::Budgets,
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
    let target = target::open(&args.target, &args.open.options(None)?)?;
    let key = EntityPath::parse(args.path.as_bytes()).ok().filter(|path| matches!(path.root, Root::Hive(_)));
    match (key, &args.value) {
        (Some(key), Some(value)) => return registry_value(&target.machine, key, value, output),
        (Some(_), None) => return Err(Error::Usage(format!("{}: a registry key needs --value NAME", args.path))),
        (None, Some(_)) => return Err(Error::Usage(format!("{}: --value is for registry keys", args.path))),
        (None, None) => {}
    }
    let mut sessions = target.machine.sessions();
    let mut resolver = Resolver::new(&mut sessions);
    let (place, stream) = find(&target.machine, &mut resolver, &args.path)?;
    if stream == Stream::Content && place.kind != Some(Kind::File) {
        return Err(Error::Target(format!("{}: expected a file, found something else", args.path)));
    }
    resolver.sessions().of(place.volume)?.read(&place.node, &stream, &mut Print(output))?;
    Ok(0)
}

/// Prints the data of a value of a key; `(Default)` is the unnamed value where none has that name.
fn registry_value(machine: &Machine, mut key: EntityPath, name: &str, output: &mut Output) -> Result<u8> {
    if let (Some(set), [system, current, ..]) = (&machine.control_set, key.segments.as_mut_slice())
        && system.eq_ignore_ascii_case(b"SYSTEM")
        && current.eq_ignore_ascii_case(b"CurrentControlSet")
    {
        *current = set.clone().into_bytes();
    }
    let path = key.to_bytes();
    let shown = String::from_utf8_lossy(&path).into_owned();
    let absent = |what: &str| Error::Target(format!("{shown}: {what}"));
    let (file, below) = machine.hive_of(&path).ok_or_else(|| absent("no hive of the target holds this key"))?;
    let hive = file.open(&mut machine.sessions(), Budgets::default().hive_bytes)?.hive;
    let names: Vec<_> = below.split(|byte| *byte == b'\\').filter(|name| !name.is_empty()).collect();
    let found = hive.find(&names)?;
    let key = match (found.keys.first(), found.faults.into_iter().next()) {
        (Some(key), _) => *key,
        (None, Some(fault)) => return Err(absent(&fault.to_string())),
        (None, None) => return Err(absent("no such key in the target")),
    };
    let mut value = hive.value(key, name)?;
    if value.is_none() && name.eq_ignore_ascii_case("(Default)") {
        value = hive.value(key, "")?;
    }
    let value = value.ok_or_else(|| absent(&format!("no value {name} in this key")))?;
    if let Some(fault) = value.fault {
        return Err(absent(&fault.to_string()));
    }
    output.data(&value.data);
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
