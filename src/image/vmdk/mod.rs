//! VMDK, the format of VMware: a descriptor in text, and extents that are flat, sparse, compressed or absent. In
//! comes a descriptor or a sparse file with one inside, out comes the disk, on top of its parent where it has one.
//!
//! Reference: VMware, "Virtual Disk Format 5.0", named in this room by its section titles; what it leaves out
//! (seSparse) is as QEMU's block driver reads it.
//!
//! To add an extent type: its arm in [`extent`].
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod cowd;
mod descriptor;
mod extent;
mod grain;
mod sesparse;
mod sparse_header;

use std::sync::Arc;

use self::descriptor::{Descriptor, ExtentKind};
use crate::{
    error::{Error, Result},
    image::{
        beneath::{Place, from_windows},
        joined::{Joined, Part},
        layer::{self, Findings, Format, Layer},
        mapped::{Layered, Mapped},
    },
};

const LAYER: &str = "vmdk";
const SECTOR: u64 = 512;

/// Opens the disk that `file` describes or holds.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place) -> Result<Layer> {
    let mut findings = Findings::default();
    let Some(embedded) = extent::embedded_descriptor(&*file)? else {
        let descriptor = Descriptor::parse(&descriptor::text_file(&*file)?)?;
        let below = parent(place, &descriptor, &mut findings)?;
        let mut extents = Vec::new();
        for line in &descriptor.extents {
            extents.push(extent_of(place, &descriptor, line, &extents, below.as_ref(), &mut findings)?);
        }
        let disk = Mapped(Joined::new(LAYER, extents)?);
        same_size(place, &disk, below.as_deref())?;
        return Ok(findings.with(LAYER, Arc::new(disk)));
    };
    // A sparse file with the descriptor inside is its own only extent, whatever that calls it.
    let descriptor = match embedded.is_empty() {
        true => None,
        false => Some(Descriptor::parse(&embedded)?),
    };
    let below = match &descriptor {
        Some(descriptor) => parent(place, descriptor, &mut findings)?,
        None => None,
    };
    if let Some(other) = descriptor.iter().flat_map(|d| &d.extents).nth(1) {
        return Err(Error::unsupported(
            LAYER,
            format!(
                "{}: a descriptor inside a sparse file that names more extents: '{}'",
                place.shown(),
                other.shown()
            ),
        ));
    }
    let disk = extent::open_sparse(file, place.id(), 1, below.clone())?;
    same_size(place, &*disk, below.as_deref())?;
    Ok(findings.with(LAYER, disk))
}

/// The parent of a delta disk; it is known by its content id, which changes whenever it is written.
fn parent(place: &Place, child: &Descriptor, findings: &mut Findings) -> Result<Option<Arc<dyn Layered>>> {
    let Some(expected) = child.parent_cid else { return Ok(None) };
    let hint = child.parent_hint.as_deref().ok_or_else(|| {
        Error::corrupt(
            LAYER,
            format!("descriptor of '{}'", place.shown()),
            "a parent's content id, and no parentFileNameHint",
        )
    })?;
    let name = from_windows(hint);
    let (file, at) = place.open(LAYER, "parent", &name)?;
    let text = match extent::embedded_descriptor(&file)? {
        Some(text) => text,
        None => descriptor::text_file(&file)?,
    };
    let found = Descriptor::parse(&text)?.cid;
    if found != Some(expected) {
        return Err(Error::corrupt(
            LAYER,
            format!("parent '{}' of '{}'", at.shown(), place.shown()),
            format!(
                "its content id is {}: the child was made of {expected:08x}",
                found.map_or("absent".to_owned(), |found| format!("{found:08x}"))
            ),
        ));
    }
    let (below, _) = layer::open_named(place, LAYER, "parent", &name, Some(Format::Vmdk))?;
    Ok(Some(findings.stand_on(below)))
}

/// A delta is as large as its parent.
fn same_size(place: &Place, child: &dyn Layered, parent: Option<&dyn Layered>) -> Result<()> {
    match parent {
        Some(parent) if parent.len() != child.len() => Err(Error::corrupt(
            LAYER,
            format!("parent of '{}'", place.shown()),
            format!("its size is {:#x}: the child's is {:#x}", parent.len(), child.len()),
        )),
        _ => Ok(()),
    }
}

/// The extent that a line of the descriptor names, behind those that come `before` it.
fn extent_of(
    place: &Place,
    descriptor: &Descriptor,
    line: &descriptor::ExtentLine,
    before: &[Part],
    below: Option<&Arc<dyn Layered>>,
    findings: &mut Findings,
) -> Result<Part> {
    let start = Joined::end(before);
    let len = line.sectors.saturating_mul(SECTOR);
    let image = match line.kind {
        ExtentKind::Zero => None,
        ExtentKind::Flat | ExtentKind::Sparse => {
            let name = from_windows(&line.name);
            let (file, at) = place.open(LAYER, "extent", &name)?;
            findings.files.push(at.used(&file));
            Some(extent::open_named(Arc::new(file), &at, line, descriptor.extents.len(), (start, len), below)?)
        }
    };
    Ok(Part { start, len, image })
}
