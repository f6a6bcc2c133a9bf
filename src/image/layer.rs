//! One file of a chain, opened: whichever container it is, by its format's name or by magic.
//!
//! To add a container: a [`Format`], its arm in [`open`], its magic in `probe`.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{path::Path, sync::Arc};

use crate::{
    error::{Error, Result},
    image::{
        Raw, beneath::Place, ewf, host_file::HostFile, mapped::Layered, ova, probe, probe::FileUsed, qcow2, structure,
        vhd, vhdx, vmdk,
    },
};

/// A container whose reader this room has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow2,
    Vhd,
    Vhdx,
    Vmdk,
    Ewf,
    Ova,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Ewf => "ewf",
            Self::Ova => "ova",
        }
    }
}

/// What opening a container brought to light besides the disk.
#[derive(Default)]
pub(crate) struct Findings {
    /// The files below and beside the first one.
    pub(crate) files: Vec<FileUsed>,
    pub(crate) notes: Vec<String>,
    pub(crate) gaps: Vec<String>,
    pub(crate) snapshots: Vec<qcow2::Snapshot>,
}

impl Findings {
    /// Takes over what the layer below brought to light, all but its snapshots, and gives its disk.
    pub(crate) fn stand_on(&mut self, below: Layer) -> Arc<dyn Layered> {
        self.files.extend(below.findings.files);
        self.notes.extend(below.findings.notes);
        self.gaps.extend(below.findings.gaps);
        below.image
    }

    /// The layer that `image` is.
    pub(crate) fn with(self, container: &'static str, image: Arc<dyn Layered>) -> Layer {
        Layer { container, image, findings: self }
    }
}

/// An opened layer, with all that is below it.
pub(crate) struct Layer {
    pub(crate) container: &'static str,
    pub(crate) image: Arc<dyn Layered>,
    pub(crate) findings: Findings,
}

/// Opens `file`, which stands at `place`, as `format`.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place, format: Format, snapshot: Option<&str>) -> Result<Layer> {
    if format != Format::Qcow2
        && let Some(name) = snapshot
    {
        return Err(Error::Usage(format!("@{name}: a {} image has no snapshots inside", format.name())));
    }
    match format {
        Format::Raw => Ok(Findings::default().with("raw", file)),
        Format::Qcow2 => qcow2::open(file, place, snapshot),
        Format::Vhd => vhd::open(file, place),
        Format::Vhdx => vhdx::open(file, place),
        Format::Vmdk => vmdk::open(file, place),
        Format::Ewf => ewf::open(file, place),
        Format::Ova => ova::open(file, place),
    }
}

/// Opens the file that the user named.
pub(crate) fn open_top(raw: Raw, format: Format, image_root: Option<&Path>, snapshot: Option<&str>) -> Result<Layer> {
    let file = HostFile::new(raw)?;
    let place = Place::of(&file, image_root)?;
    let used = place.used(&file);
    let mut layer = open(Arc::new(file), &place, format, snapshot).map_err(|error| named(error, format, &place))?;
    layer.findings.files.insert(0, used);
    Ok(layer)
}

/// The same error, saying in which container and which file.
fn named(error: Error, format: Format, place: &Place) -> Error {
    let shown = place.shown();
    let known = error.to_string().contains(&shown);
    let name = |what: String| if known { what } else { format!("{shown}: {what}") };
    let of = |layer| if layer == structure::LAYER { format.name() } else { layer };
    match error {
        Error::Corrupt { layer, at, what } => Error::Corrupt { layer: of(layer), at: name(at), what },
        Error::Unsupported { layer, what } => Error::Unsupported { layer, what: name(what) },
        Error::Budget { layer, what } => Error::Budget { layer, what: name(what) },
        Error::Io { layer, what, source } => Error::Io { layer: of(layer), what: name(what), source },
        other => other,
    }
}

/// Opens the `role` that the file at `place` calls `name`: as `format`, else as what it is by magic.
pub(crate) fn open_named(
    place: &Place,
    layer: &'static str,
    role: &str,
    name: &[u8],
    format: Option<Format>,
) -> Result<(Layer, Place)> {
    let (file, at) = place.open(layer, role, name)?;
    let used = at.used(&file);
    let found = match format {
        Some(format) => Ok(format),
        None => probe::format_of(&file, at.path()),
    };
    let mut below = found
        .and_then(|format| open(Arc::new(file), &at, format, None))
        .map_err(|error| within(error, &format!("{role} '{}'", at.shown())))?;
    below.findings.files.insert(0, used);
    Ok((below, at))
}

/// The same error, saying in which file of the chain.
fn within(error: Error, file: &str) -> Error {
    match error {
        Error::Corrupt { layer, at, what } => Error::Corrupt { layer, at: format!("{file}: {at}"), what },
        Error::Io { layer, what, source } if !what.contains(file) => {
            Error::Io { layer, what: format!("{file}: {what}"), source }
        }
        Error::Unsupported { layer, what } if !what.contains(file) => {
            Error::Unsupported { layer, what: format!("{file}: {what}") }
        }
        other => other,
    }
}
