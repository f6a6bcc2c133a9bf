//! A file: its base record, the extension records that its attribute list names, and their attributes.

use std::collections::HashMap;

use crate::{
    error::{Error, Fault, Result},
    field::{narrow, wide},
};

use super::{
    LAYER,
    attribute::{self, Attribute, Form},
    attribute_list,
    file_name::FileName,
    reader::Reader,
    record::{Record, Reference},
    value::{Clusters, Value},
    volume::Volume,
};

/// Faults that are kept of one file; more of the same say nothing new.
const MAX_FAULTS: usize = 64;
/// Bytes of all records of one file: the longest list names some 10,000, which have up to 4 KiB each.
const MAX_RECORD_BYTES: usize = 48 << 20;

/// All attributes of one file or directory.
#[derive(Debug)]
pub(super) struct File {
    pub(super) reference: Reference,
    pub(super) directory: bool,
    records: Vec<Record>,
    /// Each with the place of its record in `records`.
    attributes: Vec<(usize, Attribute)>,
    /// What of the records or the list does not parse.
    pub(super) faults: Vec<Fault>,
}

impl File {
    /// Loads the base record that `reference` means and what it refers to.
    pub(super) fn load(reader: &mut Reader<'_>, reference: Reference) -> Result<Self> {
        let number = reference.number();
        let base = reader.record(number)?;
        let wrong = |what: String| Error::corrupt(LAYER, format!("record {number}"), what);
        if !reference.accepts(base.sequence) {
            return Err(wrong(format!("stale reference: sequence {}, found {}", reference.sequence(), base.sequence)));
        }
        if base.base.0 != 0 {
            return Err(wrong(format!("it extends record {}, expected a base record", base.base.number())));
        }
        let (attributes, damage) = base.attributes();
        let reference = Reference::new(number, base.sequence);
        let mut file = Self {
            reference,
            directory: base.directory,
            records: vec![base],
            attributes: Vec::new(),
            faults: Vec::new(),
        };
        file.fault(damage);
        match attributes.iter().find(|a| a.kind == attribute::ATTRIBUTE_LIST).cloned() {
            None => file.attributes.extend(attributes.into_iter().map(|attribute| (0, attribute))),
            Some(list) => file.follow_list(reader, attributes, &list),
        }
        Ok(file)
    }

    /// One of these records, with nothing in them.
    #[cfg(test)]
    pub(super) fn of_records(records: Vec<Record>) -> Self {
        Self { reference: Reference(0), directory: false, records, attributes: Vec::new(), faults: Vec::new() }
    }

    /// How many records it takes.
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }

    /// Every attribute of a kind, in order.
    pub(super) fn all(&self, kind: u32) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(move |(_, a)| a.kind == kind).map(|(_, attribute)| attribute)
    }

    /// The values of all resident attributes of a kind.
    pub(super) fn resident_values(&self, kind: u32) -> impl Iterator<Item = &[u8]> {
        self.attributes.iter().filter(move |(_, a)| a.kind == kind).filter_map(|(index, a)| match &a.form {
            Form::Resident(value) => self.records.get(*index)?.bytes.get(value.clone()),
            Form::NonResident(_) => None,
        })
    }

    /// Its names that parse.
    pub(super) fn names(&self) -> impl Iterator<Item = FileName<'_>> {
        self.resident_values(attribute::FILE_NAME).filter_map(FileName::parse)
    }

    /// The value of an attribute; `None` where the file has no such attribute.
    pub(super) fn value(&self, volume: &Volume, kind: u32, name: &[u16]) -> Result<Option<Value<'_>>> {
        let mut parts: Vec<_> = self.attributes.iter().filter(|(_, a)| a.kind == kind && a.name == name).collect();
        parts.sort_by_key(|(_, a)| match &a.form {
            Form::Resident(_) => 0,
            Form::NonResident(part) => part.lowest_vcn,
        });
        let Some((index, first)) = parts.first() else { return Ok(None) };
        if let Form::Resident(value) = &first.form {
            let record = self.records.get(*index);
            return Ok(Some(Value::Resident(record.and_then(|r| r.bytes.get(value.clone())).unwrap_or_default())));
        }
        let wrong =
            |what| Error::corrupt(LAYER, format!("record {}, attribute {kind:#x}", self.reference.number()), what);
        let mut clusters = Clusters::new(first, volume.boot.cluster_size).map_err(wrong)?;
        for (index, part) in parts {
            let bytes = self.records.get(*index).map(|record| record.bytes.as_slice()).unwrap_or_default();
            clusters.append(part, bytes, volume.boot.clusters()).map_err(wrong)?;
        }
        clusters.check(volume.clusters_held()).map_err(wrong)?;
        Ok(Some(Value::Clusters(clusters)))
    }

    /// The whole value of an attribute that is small by its nature.
    pub(super) fn small_value(&self, volume: &Volume, kind: u32, name: &[u16], cap: usize) -> Result<Option<Vec<u8>>> {
        match self.value(volume, kind, name)? {
            None => Ok(None),
            Some(Value::Resident(bytes)) => Ok(Some(bytes.to_vec())),
            Some(Value::Clusters(clusters)) if clusters.size > wide(cap) => {
                let at = format!("record {}, attribute {kind:#x}", self.reference.number());
                Err(Error::budget(LAYER, format!("{at}: {:#x} bytes, at most {cap:#x} are read", clusters.size)))
            }
            Some(Value::Clusters(clusters)) => {
                let mut bytes = vec![0; narrow(clusters.size)];
                clusters.read_at(volume, 0, &mut bytes)?;
                Ok(Some(bytes))
            }
        }
    }

    /// With a list, what it names is the file; attributes that it does not name are not.
    fn follow_list(&mut self, reader: &mut Reader<'_>, own: Vec<Attribute>, list: &Attribute) {
        let Volume { image, boot, .. } = reader.volume;
        let value = match self.records.first().map(|base| attribute_list::raw_value(image.as_ref(), boot, base, list)) {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.faults.push(error.into());
                self.attributes.extend(own.into_iter().map(|attribute| (0, attribute)));
                return;
            }
            None => return,
        };
        let (entries, damage) = attribute_list::parse(&value);
        self.fault(damage.map(|what| format!("attribute list: {what}")));
        let mut loaded: HashMap<u64, Option<(usize, Vec<Attribute>)>> = HashMap::new();
        loaded.insert(self.reference.number(), Some((0, own)));
        for entry in entries {
            let number = entry.reference.number();
            let held = self.records.len().saturating_mul(boot.record_size);
            if held > MAX_RECORD_BYTES && !loaded.contains_key(&number) {
                self.fault(Some(format!("its records hold more than {MAX_RECORD_BYTES} bytes; the rest was not read")));
                break;
            }
            let record = loaded.entry(number).or_insert_with(|| self.load_extension(reader, entry.reference));
            let Some((index, attributes)) = record else { continue };
            match attributes.iter().find(|attribute| entry.names(attribute)) {
                Some(attribute) => self.attributes.push((*index, attribute.clone())),
                None => self.fault(Some(format!(
                    "attribute {:#x} with id {} is not in record {number}, as its list says",
                    entry.kind, entry.id
                ))),
            }
        }
    }

    fn load_extension(&mut self, reader: &mut Reader<'_>, reference: Reference) -> Option<(usize, Vec<Attribute>)> {
        let number = reference.number();
        let loaded = reader.record(number).map_err(Fault::from).and_then(|record| {
            attribute_list::check_extension(&record, reference, self.reference)
                .map_err(|what| Fault::new(LAYER, format!("record {number}"), what))?;
            Ok(record)
        });
        match loaded {
            Ok(record) => {
                let (attributes, damage) = record.attributes();
                self.fault(damage.map(|what| format!("extension record {number}: {what}")));
                self.records.push(record);
                Some((self.records.len().saturating_sub(1), attributes))
            }
            Err(fault) => {
                self.keep(fault);
                None
            }
        }
    }

    fn fault(&mut self, what: Option<String>) {
        let at = format!("record {}", self.reference.number());
        if let Some(what) = what {
            self.keep(Fault::new(LAYER, at, what));
        }
    }

    fn keep(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}
