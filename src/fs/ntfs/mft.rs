//! The master file table: where its records lie, also when `$MFT` itself is spread over extension records.
//!
//! Reference: ntfs-3g `layout.h` (`FILE_MFT`, `MFT_RECORD`), `ATTR_LIST_ENTRY`.

use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::Image,
};

use super::{
    LAYER,
    attribute::{self, Attribute, Form},
    attribute_list::{self, ListEntry},
    boot_sector::BootSector,
    record::{Record, Reference},
    run_list::RunMap,
};

/// The map of `$MFT`.
#[derive(Debug)]
pub(super) struct Mft {
    runs: RunMap,
    /// Bytes of whole records.
    len: u64,
}

impl Mft {
    /// Maps `$MFT` from its own record 0, or from the copy in `$MFTMirr`. What is left out goes to `gaps`, what is
    /// worth knowing to `notes`.
    pub(super) fn open(
        image: &dyn Image,
        boot: &BootSector,
        notes: &mut Vec<String>,
        gaps: &mut Vec<String>,
    ) -> Result<Self> {
        let base = match record_at(image, boot, boot.mft_lcn) {
            Ok(base) => base,
            Err(first) => {
                let base = record_at(image, boot, boot.mft_mirror_lcn).map_err(|_| first)?;
                notes.push("record 0 of $MFT does not parse; its copy in $MFTMirr was read".to_owned());
                base
            }
        };
        let (attributes, damage) = base.attributes();
        gaps.extend(damage.map(|damage| format!("record 0 ($MFT): {damage}")));
        let wrong = |what: String| Error::corrupt(LAYER, "record 0 ($MFT)", what);
        let mut mft = Self { runs: RunMap::default(), len: 0 };
        let first = attributes.iter().find(|a| is_data(a) && a.is_first());
        let first = first.ok_or_else(|| wrong("it has no $DATA attribute".to_owned()))?;
        mft.append(boot, &base, first).map_err(wrong)?;
        let Form::NonResident(sizes) = &first.form else {
            return Err(wrong("its $DATA is resident".to_owned()));
        };
        mft.len = sizes.size.min(sizes.initialized);
        let list = attributes.iter().find(|a| a.kind == attribute::ATTRIBUTE_LIST);
        if let Some(Err(error)) = list.map(|list| mft.follow_list(image, boot, &base, list)) {
            gaps.push(format!("$MFT is mapped up to record {}, not to its end: {error}", mft.mapped_records(boot)));
        }
        let mapped = mft.runs.end().saturating_mul(boot.cluster_size);
        if mft.len > mapped {
            gaps.push(format!("$MFT has {:#x} bytes, its runs hold {mapped:#x}", mft.len));
            mft.len = mapped;
        }
        Ok(mft)
    }

    /// Reads the bytes of record `number` as they are on disk.
    pub(super) fn record_bytes(&self, image: &dyn Image, boot: &BootSector, number: u64) -> Result<Vec<u8>> {
        self.record_below(self.len, image, boot, number)
    }

    fn record_below(&self, len: u64, image: &dyn Image, boot: &BootSector, number: u64) -> Result<Vec<u8>> {
        let size = wide(boot.record_size);
        let at = number.checked_mul(size).filter(|at| at.checked_add(size).is_some_and(|end| end <= len));
        let at = at.ok_or_else(|| {
            let records = len.checked_div(size).unwrap_or(0);
            Error::corrupt(LAYER, format!("record {number}"), format!("$MFT has {records} records"))
        })?;
        let mut bytes = vec![0; boot.record_size];
        self.runs.read_at(image, boot.cluster_size, at, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads up to `len` bytes of the table from `at`, fewer at its end.
    pub(super) fn window(&self, image: &dyn Image, boot: &BootSector, at: u64, len: usize) -> Result<Vec<u8>> {
        let len = len.min(narrow(self.len.saturating_sub(at)));
        let mut bytes = vec![0; len];
        self.runs.read_at(image, boot.cluster_size, at, &mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, boot: &BootSector, record: &Record, part: &Attribute) -> Result<(), String> {
        match &part.form {
            Form::NonResident(form) => {
                let pairs = record.bytes.get(form.pairs.clone()).unwrap_or_default();
                self.runs.extend(form.lowest_vcn, form.end_vcn, pairs, boot.clusters())
            }
            Form::Resident(_) => Err("a part of $DATA is resident".to_owned()),
        }
    }

    /// Each extension record lies in a part of the table that the records before it map.
    fn follow_list(&mut self, image: &dyn Image, boot: &BootSector, base: &Record, list: &Attribute) -> Result<()> {
        let value = attribute_list::raw_value(image, boot, base, list)?;
        let (entries, damage) = attribute_list::parse(&value);
        let base_reference = Reference::new(0, base.sequence);
        for entry in entries
            .iter()
            .filter(|entry| entry.kind == attribute::DATA && entry.name.is_empty() && entry.lowest_vcn > 0)
        {
            let number = entry.reference.number();
            let at = || format!("record {number} (of $MFT)");
            let mapped = self.runs.end().saturating_mul(boot.cluster_size);
            let bytes = self.record_below(self.len.min(mapped), image, boot, number)?;
            let record = Record::parse(number, bytes).map_err(|what| Error::corrupt(LAYER, at(), what))?;
            attribute_list::check_extension(&record, entry.reference, base_reference)
                .and_then(|()| {
                    let (attributes, _) = record.attributes();
                    let part =
                        attributes.iter().find(|a| entry.names(a)).ok_or("the listed part of $DATA is not there")?;
                    self.append(boot, &record, part)
                })
                .map_err(|what| Error::corrupt(LAYER, at(), what))?;
        }
        damage.map_or(Ok(()), |what| Err(Error::corrupt(LAYER, "attribute list of $MFT", what)))
    }

    fn mapped_records(&self, boot: &BootSector) -> u64 {
        let mapped = self.runs.end().saturating_mul(boot.cluster_size);
        mapped.checked_div(wide(boot.record_size)).unwrap_or(0)
    }
}

impl ListEntry {
    /// Whether this entry of a list means this attribute of the record that it names.
    pub(super) fn names(&self, attribute: &Attribute) -> bool {
        let lowest = match &attribute.form {
            Form::Resident(_) => 0,
            Form::NonResident(part) => part.lowest_vcn,
        };
        self.kind == attribute.kind
            && self.id == attribute.id
            && self.lowest_vcn == lowest
            && self.name == attribute.name
    }
}

fn is_data(attribute: &Attribute) -> bool {
    attribute.kind == attribute::DATA && attribute.name.is_empty()
}

/// Record 0 at a cluster, read without the table.
fn record_at(image: &dyn Image, boot: &BootSector, lcn: u64) -> Result<Record> {
    let mut bytes = vec![0; boot.record_size];
    let at = lcn.checked_mul(boot.cluster_size).filter(|_| lcn < boot.clusters());
    let at = at.ok_or_else(|| Error::corrupt(LAYER, "boot sector", format!("$MFT at cluster {lcn:#x}")))?;
    image.read_at(at, &mut bytes)?;
    Record::parse(0, bytes).map_err(|what| Error::corrupt(LAYER, format!("record 0 ($MFT) at {at:#x}"), what))
}
