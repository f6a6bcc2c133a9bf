//! qcow2, the format of QEMU: versions 2 and 3. In comes a file and the place it stands at, out comes the disk
//! as it is now or as one of its internal snapshots was, on top of its backing chain.
//!
//! Reference: QEMU, docs/interop/qcow2.rst, named in this room by its section titles.
//!
//! To add a feature: its bit in `header`, its place in the mapping in `cluster`.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod cluster;
mod compressed;
mod header;
mod header_extension;
mod snapshot;

use std::sync::Arc;

pub(crate) use self::cluster::Clusters;
use self::{
    compressed::Compressed,
    header::{Crypt, Header},
    header_extension::Extensions,
};
use crate::{
    error::{Error, Result},
    image::{
        beneath::Place,
        layer::{self, Findings, Format, Layer},
        mapped::{Layered, Mapped},
        tables::Tables,
    },
};

pub use self::snapshot::Snapshot;

const LAYER: &str = "qcow2";

/// Opens the disk in `file`, or the snapshot of it that has this id or name.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place, wanted: Option<&str>) -> Result<Layer> {
    let header = Header::read(&*file)?;
    let extensions = Extensions::read(&*file, &header)?;
    if let Some(unknown) = header.unknown_features(&extensions) {
        return Err(Error::unsupported(LAYER, format!("{}: it needs {unknown}", place.shown())));
    }
    match header.crypt {
        Crypt::None => {}
        Crypt::Aes => return Err(encrypted(place, "AES")),
        Crypt::Luks => return Err(encrypted(place, "LUKS")),
    }
    let snapshots = snapshot::read(&*file, &header)?;

    let mut opened = Findings::default();
    if header.is_dirty() {
        opened
            .notes
            .push(format!("qcow2: {}: it was not closed properly; its mapping is read as it stands", place.shown()));
    }
    if header.is_corrupt() {
        opened.gaps.push(format!("qcow2: {}: QEMU has marked it as corrupt; what is read may be wrong", place.shown()));
    }

    let (l1, size) = match wanted {
        None => (header.l1, header.size),
        Some(wanted) => {
            let snapshot = snapshot::find(&snapshots, wanted).ok_or_else(|| absent(place, wanted, &snapshots))?;
            (snapshot.l1, snapshot.size.unwrap_or(header.size))
        }
    };
    header.check_l1(l1, size)?;

    let data = if header.has_external_data() {
        let name = extensions.data_file.as_deref().ok_or_else(|| {
            Error::corrupt(LAYER, "header", "the data lies in another file, and no header extension names it")
        })?;
        let (below, at) = place.open(LAYER, "data file", name)?;
        opened.files.push(at.used(&below));
        let below: Arc<dyn Layered> = Arc::new(below);
        Some(below)
    } else {
        None
    };
    let below = match header.backing(&*file)? {
        None => None,
        Some(name) => {
            let format = extensions.backing_format.as_deref().map(|text| backing_format(place, text)).transpose()?;
            let (below, _) = layer::open_named(place, LAYER, "backing file", &local_name(place, &name)?, format)?;
            Some(opened.stand_on(below))
        }
    };
    opened.snapshots = snapshots;
    let id = place.id();
    Ok(opened.with(
        LAYER,
        Arc::new(Mapped(Clusters {
            bits: header.cluster_bits,
            extended: header.has_extended_l2(),
            version: header.version,
            size,
            l1,
            compressed: Compressed::new(Arc::clone(&file), id, header.compression, header.cluster_bits),
            external: data.is_some(),
            data: data.unwrap_or_else(|| Arc::clone(&file)),
            tables: Tables::new(LAYER, file),
            below,
        })),
    ))
}

fn encrypted(place: &Place, how: &str) -> Error {
    Error::unsupported(
        LAYER,
        format!("{}: it is {how}-encrypted; decrypt it: qemu-img convert with --object secret", place.shown()),
    )
}

fn absent(place: &Place, wanted: &str, snapshots: &[Snapshot]) -> Error {
    let names: Vec<String> = snapshots.iter().take(20).map(|s| s.name.escape_debug().to_string()).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::Target(format!("qcow2: {}: no snapshot '{}'; there is: {there}", place.shown(), wanted.escape_debug()))
}

/// The format that the header extension "Backing file format name" gives.
fn backing_format(place: &Place, text: &[u8]) -> Result<Format> {
    match text {
        b"raw" | b"host_device" => Ok(Format::Raw),
        b"qcow2" => Ok(Format::Qcow2),
        b"vpc" => Ok(Format::Vhd),
        b"vhdx" => Ok(Format::Vhdx),
        b"vmdk" => Ok(Format::Vmdk),
        other => Err(Error::unsupported(
            LAYER,
            format!(
                "{}: its backing file is of the format '{}', which is not read",
                place.shown(),
                String::from_utf8_lossy(other).escape_debug()
            ),
        )),
    }
}

/// The file that a backing file name means: QEMU takes `file:` before it, and refuses nothing else than what is
/// no file of this host.
fn local_name(place: &Place, name: &[u8]) -> Result<Vec<u8>> {
    let local = name.strip_prefix(b"file:").unwrap_or(name);
    let protocol = local.split(|b| *b == b':').next().filter(|head| head.len() < local.len());
    match protocol {
        Some(head) if !head.is_empty() && head.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'+') => {
            Err(Error::unsupported(
                LAYER,
                format!(
                    "{}: its backing file '{}' is not a file of this host; rebase it: qemu-img rebase -u -b FILE -F FORMAT",
                    place.shown(),
                    String::from_utf8_lossy(name).escape_debug()
                ),
            ))
        }
        _ => Ok(local.to_vec()),
    }
}
