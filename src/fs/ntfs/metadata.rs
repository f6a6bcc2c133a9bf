//! What is known about a file besides its content.

use std::{collections::HashSet, sync::Arc};

use crate::{
    error::{Error, Fault, Result},
    fs::{Kind, Metadata, NamedStream, Windows},
};

use super::{
    LAYER,
    attribute::{self, Attribute},
    content, directory, extended_attributes,
    file::File,
    interix,
    reader::Reader,
    reparse_point::{self, ReparsePoint},
    secure::{Descriptors, Secure},
    standard_information::StandardInformation,
    wof, wtf8,
};

const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;
/// Bytes of a descriptor that a file carries itself.
const MAX_OWN_DESCRIPTOR: usize = 256 << 10;

/// The parsed `$STANDARD_INFORMATION` of a file.
pub(super) fn standard_information(file: &File) -> Option<StandardInformation> {
    file.resident_values(attribute::STANDARD_INFORMATION).next().and_then(StandardInformation::parse)
}

/// Gathers the metadata of a file; damage to a part of it is a fault inside.
pub(super) fn gather(reader: &mut Reader<'_>, secure: &Secure, descriptors: &mut Descriptors, file: &File) -> Metadata {
    let mut faults = file.faults.clone();
    let fault = |what: &str| Fault::new(LAYER, format!("record {}", file.reference.number()), what);
    let mut windows = Windows::default();
    let mut metadata = Metadata {
        size: size(file),
        nlink: Some(links(file)),
        id: Some(format!("{}:{}", file.reference.number(), file.reference.sequence())),
        ..Metadata::default()
    };

    let information = standard_information(file);
    match &information {
        Some(information) => {
            metadata.times = information.times;
            windows.attributes = information.attributes;
        }
        None => faults.push(fault("it has no $STANDARD_INFORMATION that parses")),
    }
    if file.directory {
        windows.attributes |= FILE_ATTRIBUTE_DIRECTORY;
    }

    let point = keep(content::reparse_point(reader.volume, file), &mut faults).flatten();
    metadata.kind = Some(match &point {
        Some(point) => point.kind(file.directory, metadata.size),
        None if file.directory => Kind::Dir,
        None => Kind::File,
    });
    metadata.target = point.as_ref().and_then(ReparsePoint::target).and_then(|target| match target {
        Ok(target) => Some(target),
        Err(what) => {
            faults.push(fault(&what));
            None
        }
    });

    let size = metadata.size;
    if point.is_none()
        && let Some(target) =
            keep(interix::target(reader.volume, file, windows.attributes, size), &mut faults).flatten()
    {
        metadata.kind = Some(Kind::Symlink);
        metadata.target = Some(target);
    }

    windows.streams = streams(file, point.as_ref(), &mut faults);
    let id = information.and_then(|information| information.security_id);
    windows.descriptor = keep(descriptor(reader, secure, descriptors, file, id), &mut faults).flatten();
    windows.substitute = point.as_ref().and_then(ReparsePoint::substitute);
    windows.reparse = point.map(|point| (point.tag, point.data));

    let extended = file.small_value(reader.volume, attribute::EA, &[], extended_attributes::MAX_SIZE);
    if let Some(value) = keep(extended, &mut faults).flatten() {
        let (xattrs, damage) = extended_attributes::parse(&value);
        metadata.xattrs = xattrs;
        faults.extend(damage.map(|what| fault(&what)));
    }
    metadata.windows = Some(Box::new(windows));
    metadata.faults = faults;
    metadata
}

/// A directory has one name; of a file's names, those that only stand in for a long one do not count.
fn links(file: &File) -> u64 {
    if file.directory {
        return 1;
    }
    file.names().filter(|name| !name.is_dos()).fold(0, |count: u64, _| count.saturating_add(1))
}

fn size(file: &File) -> u64 {
    if file.directory {
        return directory::size(file);
    }
    file.all(attribute::DATA).find(|a| a.name.is_empty() && a.is_first()).map_or(0, Attribute::size)
}

/// The named streams; the one that holds the compressed content of a WOF file is part of the content. Encrypted
/// streams, the content too, are faults beside: their bytes are handed out as they are on disk.
fn streams(file: &File, point: Option<&ReparsePoint>, faults: &mut Vec<Fault>) -> Vec<NamedStream> {
    let backing: Vec<u16> = wof::STREAM.encode_utf16().collect();
    let compressed = point.is_some_and(|point| point.tag == reparse_point::WOF);
    let mut seen: HashSet<&[u16]> = HashSet::new();
    let mut streams = Vec::new();
    let mut add = |what: String| faults.push(Fault::new(LAYER, format!("record {}", file.reference.number()), what));
    for data in file.all(attribute::DATA).filter(|a| a.is_first()) {
        let name = wtf8::encode(data.name.iter().copied());
        let shown = || format!("stream {:?}", String::from_utf8_lossy(&name));
        if !seen.insert(&data.name) {
            add(format!("{} is there twice", shown()));
            continue;
        }
        if data.flags & attribute::ENCRYPTED != 0 {
            add(format!(
                "{} is encrypted (EFS): its bytes are taken as they are on disk",
                if name.is_empty() { "content".to_owned() } else { shown() }
            ));
        }
        let is_content = name.is_empty() || (compressed && data.name == backing);
        if !is_content {
            streams.push(NamedStream { name, size: data.size() });
        }
    }
    // Without its first part nobody knows how long a stream is. Of the content, reading says so.
    for data in file.all(attribute::DATA).filter(|a| !a.is_first() && !a.name.is_empty()) {
        if seen.insert(&data.name) {
            let name = wtf8::encode(data.name.iter().copied());
            add(format!("stream {:?} lacks its first part", String::from_utf8_lossy(&name)));
        }
    }
    streams
}

/// By id from `$Secure`, else the one that the file carries itself (NTFS 1, and files of the system).
fn descriptor(
    reader: &mut Reader<'_>,
    secure: &Secure,
    descriptors: &mut Descriptors,
    file: &File,
    id: Option<u32>,
) -> Result<Option<Arc<[u8]>>, Error> {
    match id {
        Some(id) => descriptors.get(secure, reader, id).map(Some),
        None => {
            let own = file.small_value(reader.volume, attribute::SECURITY_DESCRIPTOR, &[], MAX_OWN_DESCRIPTOR)?;
            Ok(own.map(Arc::from))
        }
    }
}

fn keep<T>(result: Result<T>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|error| faults.push(error.into())).ok()
}
