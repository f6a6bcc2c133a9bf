//! `snapfim cat TARGET PATH`: one file's bytes out of a target, links inside the image followed; or the data of a
//! registry value, byte for byte.

use std::{ops::ControlFlow, os::unix::ffi::OsStrExt};

use super::{args::CatArgs, output::Output};
use crate::{
    error::{Error, Result},
    fs::{Kind, Sink, Stream},
    machine::{Machine, Resolution, Resolver, Sessions, resolve::Place},
    policy::{EntityPath, Root},
    registry::{Hive, KeyId},
    report::escape,
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
    target.require_filesystem()?;
    let shown = escape::escaped_bytes(args.path.as_bytes());
    // The name as it stands wins; else it may be spelled as the log spells it.
    let spelled = args.path.to_str().and_then(escape::unescaped);
    let paths = || [Some(args.path.as_bytes()), spelled.as_deref()].into_iter().flatten();
    let key = |path| EntityPath::parse(path).ok().filter(|path| matches!(path.root, Root::Hive(_)));
    let keys: Vec<_> = paths().filter_map(key).collect();
    match (keys.is_empty(), &args.value) {
        (false, Some(value)) => return registry_value(&target.machine, keys, value, output),
        (false, None) => return Err(Error::Usage(format!("{shown}: a registry key needs --value NAME"))),
        (true, Some(_)) => return Err(Error::Usage(format!("{shown}: --value is for registry keys"))),
        (true, None) => {}
    }
    let mut sessions = target.machine.sessions();
    let mut resolver = Resolver::new(&mut sessions);
    let meant: Vec<_> = paths().flat_map(|path| meant(&target.machine, path)).collect();
    for path in &meant {
        if let Some((place, stream)) = find(&mut resolver, path)? {
            return file(resolver.sessions(), &place, &stream, &shown, output);
        }
    }
    for path in &meant {
        if let Some(why) = dead_link(&mut resolver, path)? {
            return Err(Error::Target(format!("{shown}: {why}")));
        }
    }
    Err(Error::Target(format!("{shown}: no such file in the target")))
}

/// Prints a stream of a file.
fn file(sessions: &mut Sessions<'_>, place: &Place, stream: &Stream, shown: &str, output: &mut Output) -> Result<u8> {
    if *stream == Stream::Content && place.kind != Some(Kind::File) {
        let found = match place.kind {
            Some(Kind::Dir) => "a directory",
            Some(Kind::Symlink) => "a link that is not followed",
            Some(Kind::Char | Kind::Block) => "a device",
            Some(Kind::Fifo) => "a named pipe",
            Some(Kind::Socket) => "a socket",
            Some(Kind::Reparse) => "a reparse point",
            Some(Kind::File) | None => "something of no kind",
        };
        return Err(Error::Target(format!("{shown}: expected a file, found {found}")));
    }
    let session = sessions.of(place.volume)?;
    let read = session.read(&place.node, stream, &mut Print(output));
    if let (Err(_), Stream::Named(name)) = (&read, stream) {
        let streams = session.metadata(&place.node)?.windows.map(|windows| windows.streams).unwrap_or_default();
        let without_case = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        if !streams.iter().any(|stream| without_case(&stream.name) == without_case(name)) {
            let names: Vec<_> = streams.iter().map(|stream| escape::escaped_bytes(&stream.name)).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Error::Target(format!("{shown}: no such stream in the file; it has {names}")));
        }
    }
    read.map(|()| 0)
}

/// Prints the data of a value of the first of these keys that is there; `(Default)` is the unnamed value where none
/// has that name.
fn registry_value(machine: &Machine, keys: Vec<EntityPath>, name: &str, output: &mut Output) -> Result<u8> {
    let mut missing = None;
    for mut key in keys {
        if let (Some(set), [system, current, ..]) = (&machine.control_set, key.segments.as_mut_slice())
            && system.eq_ignore_ascii_case(b"SYSTEM")
            && current.eq_ignore_ascii_case(b"CurrentControlSet")
        {
            *current = set.clone().into_bytes();
        }
        let path = key.to_bytes();
        let shown = escape::escaped_bytes(&path).into_owned();
        let absent = |what: &str| Error::Target(format!("{shown}: {what}"));
        let (file, below) = machine.hive_of(&path).ok_or_else(|| absent("no hive of the target holds this key"))?;
        let hive = file.open(&mut machine.sessions(), Budgets::default().hive_bytes)?.hive;
        let names: Vec<_> = below.split(|byte| *byte == b'\\').filter(|name| !name.is_empty()).collect();
        let found = hive.find(&names)?;
        let key = match (found.keys.first(), found.faults.into_iter().next()) {
            (Some(key), _) => *key,
            (None, Some(fault)) => return Err(absent(&fault.to_string())),
            (None, None) => {
                missing.get_or_insert_with(|| absent("no such key in the target"));
                continue;
            }
        };
        return value_of(&hive, key, name, &absent, output);
    }
    Err(missing.unwrap_or_else(|| Error::Bug("a value of no key".to_owned())))
}

/// Prints the data of a value of this key.
fn value_of(hive: &Hive, key: KeyId, name: &str, absent: &dyn Fn(&str) -> Error, output: &mut Output) -> Result<u8> {
    let spelled = escape::unescaped(name);
    let unnamed = name.eq_ignore_ascii_case("(Default)").then_some(&b""[..]);
    let mut missing = absent(&format!("no value {name} in this key"));
    for name in [Some(name.as_bytes()), spelled.as_deref(), unnamed].into_iter().flatten() {
        match hive.value(key, name) {
            Ok(Some(value)) => {
                let value = value.whole().map_err(|fault| absent(&fault.to_string()))?;
                output.data(&value.data);
                return Ok(0);
            }
            Ok(None) => {}
            Err(damaged) => missing = absent(&damaged.to_string()),
        }
    }
    Err(missing)
}

/// The paths that a path may stand for: itself, and what begins with a separator on each drive, or on a volume that
/// stands alone, which needs no id in front of its paths.
fn meant(machine: &Machine, path: &[u8]) -> Vec<Vec<u8>> {
    let mut meant = vec![path.to_vec()];
    if let [b'/' | b'\\', rest @ ..] = path {
        let roots = machine.mounts.iter().filter_map(|mount| match mount.path.as_slice() {
            drive @ [_, b':', b'\\'] => Some(drive),
            alone @ [b'@', ..] if machine.mounts.len() == 1 => Some(alone),
            _ => None,
        });
        meant.extend(roots.map(|root| [root, rest].concat()));
    }
    meant
}

/// The entity that a path names, and the stream behind its last colon, where the path as it stands names nothing.
fn find(resolver: &mut Resolver<'_, '_>, path: &[u8]) -> Result<Option<(Place, Stream)>> {
    if let Resolution::Found(place) = resolver.resolve(path)? {
        return Ok(Some((place, Stream::Content)));
    }
    let colon = path.iter().rposition(|byte| *byte == b':');
    let (file, stream) = path.split_at(colon.unwrap_or(path.len()));
    if let [b':', stream @ ..] = stream
        && !stream.iter().any(|byte| matches!(byte, b'/' | b'\\'))
        && let Resolution::Found(place) = resolver.resolve(file)?
    {
        return Ok(Some((place, Stream::Named(stream.to_vec()))));
    }
    Ok(None)
}

/// Of a path that leads to nothing though it is there: where the link leads that it is.
fn dead_link(resolver: &mut Resolver<'_, '_>, path: &[u8]) -> Result<Option<String>> {
    let Resolution::Found(link) = resolver.resolve_link(path)? else { return Ok(None) };
    let target = resolver.sessions().of(link.volume)?.metadata(&link.node)?.target.unwrap_or_default();
    let target = escape::escaped_bytes(&target);
    Ok(Some(match resolver.resolve(path)? {
        Resolution::Loop => format!("it is a link to {target}, and its links lead round in circles"),
        _ => format!("it is a link to {target}, which does not exist in the target"),
    }))
}
