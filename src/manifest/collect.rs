//! One worker's end of a manifest.

use super::{
    attribute::{Attribute, Part},
    json, key,
    lines::attach,
    record::{Kind, Record},
    sorter::{RunWriter, Runs, Sorter},
    write::{Counts, LINE_MAX},
};
use crate::error::{Fault, Result};

/// What a byte of a path takes at most in a line: `\\xff` readable, and two digits.
const LONGEST_BYTE: usize = 8;

/// Takes the records that one worker makes, in any order.
#[derive(Debug)]
pub struct Collector {
    run: RunWriter,
    counts: Counts,
    line_max: usize,
    key: Vec<u8>,
    line: Vec<u8>,
}

impl Collector {
    /// A collector that spills as `sorter` says.
    #[must_use]
    pub fn new(sorter: &Sorter) -> Self {
        Self { run: sorter.writer(), counts: Counts::default(), line_max: LINE_MAX, key: Vec::new(), line: Vec::new() }
    }

    /// Takes a record; returns the faults that it takes besides. Where the record's line would be longer than
    /// [`LINE_MAX`], its longest attributes are left out, and a fault beside it names them. Where the path alone is too
    /// long, the record is left out, and a fault of what lies above says so.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&mut self, record: &Record) -> Result<Vec<Record>> {
        self.push_traced(record, &[])
    }

    /// As [`Collector::push`], with a trace of what the record was made of, at most
    /// [`TRACE_MAX`](super::lines::TRACE_MAX) bytes, for whoever follows the writing. A record that does not fit into
    /// its line loses it.
    ///
    /// # Errors
    /// As [`Collector::push`].
    pub fn push_traced(&mut self, record: &Record, trace: &[u8]) -> Result<Vec<Record>> {
        self.encode(record);
        if self.line.len() <= self.line_max {
            self.take(record.kind, trace)?;
            return Ok(Vec::new());
        }
        let mut rest = record.clone();
        let mut left_out = Vec::new();
        while self.line.len() > self.line_max {
            let Some(attribute) = take_longest(&mut rest) else {
                return self.take_fault(self.above(record)).map(|fault| vec![fault]);
            };
            left_out.push(attribute);
            self.encode(&rest);
        }
        self.take(rest.kind, &[])?;

        let mut faults = Vec::new();
        for (part, content) in [(Part::Content, true), (Part::Attributes, false)] {
            let names: Vec<_> = left_out.iter().filter(|a| a.is_content() == content).map(|a| a.name()).collect();
            if names.is_empty() {
                continue;
            }
            let what = format!("longer than {} bytes, left out: {}", self.line_max, names.join(", "));
            let fault = Fault::new("manifest", "record", what);
            let fault = Record::fault(rest.path.as_slice(), rest.name.as_slice(), part, fault);
            faults.push(self.take_fault(with_volume(fault, &rest))?);
        }
        Ok(faults)
    }

    /// The fault of the nearest entity above a record whose path is so short that a line holds it, in hexadecimal too.
    fn above(&self, record: &Record) -> Record {
        let path = &record.path;
        let separator = if matches!(path.first(), Some(b'/' | b'@')) { b'/' } else { b'\\' };
        let most = path.len().min(self.line_max / LONGEST_BYTE);
        let end = path[..most].iter().rposition(|byte| *byte == separator).unwrap_or(0);
        // The root of a volume keeps its separator.
        let end = if matches!(path[..end], [] | [_, b':']) { (end + 1).min(most) } else { end };
        let what = format!("what lies beneath it in a path of {} bytes is left out: too long", path.len());
        let fault = Fault::new("manifest", "record", what);
        with_volume(Record::fault(&path[..end], b"", Part::Listing, fault), record)
    }

    /// Hands over what was pushed, for [`write`](super::write::write).
    #[must_use]
    pub fn finish(self) -> Runs {
        Runs { counts: self.counts, ..self.run.finish() }
    }

    fn take(&mut self, kind: Kind, trace: &[u8]) -> Result<()> {
        self.counts.add(kind);
        attach(&mut self.line, trace);
        self.run.push(&self.key, &self.line)
    }

    fn take_fault(&mut self, fault: Record) -> Result<Record> {
        self.encode(&fault);
        self.take(Kind::Fault, &[])?;
        Ok(fault)
    }

    fn encode(&mut self, record: &Record) {
        self.key.clear();
        key::encode(&record.key(), &mut self.key);
        self.line.clear();
        json::encode(record, &mut self.line);
    }
}

/// The fault, with the volume of the record that it is about.
fn with_volume(mut fault: Record, record: &Record) -> Record {
    if let Some(volume) = record.get(Attribute::Volume) {
        fault.set(Attribute::Volume, volume.clone());
    }
    fault
}

/// Takes out the attribute that is written longest; `None` where there is none.
fn take_longest(record: &mut Record) -> Option<Attribute> {
    let mut scratch = Vec::new();
    let mut length = |(attribute, value): &(Attribute, _)| {
        scratch.clear();
        json::encode_value(attribute.name(), value, &mut scratch);
        scratch.len()
    };
    let lengths = record.attributes.iter().map(&mut length).enumerate();
    let (at, _) = lengths.max_by_key(|(_, length)| *length)?;
    Some(record.attributes.remove(at).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Value, json::decode, lines::Lines};

    #[test]
    fn what_is_too_long_for_a_line_becomes_a_fault() {
        let mut collector = Collector { line_max: 200, ..Collector::new(&Sorter::new(std::env::temp_dir(), 0)) };
        let mut record = Record::new(*b"/a", Kind::File);
        record.set(Attribute::Size, Value::Number(1));
        record.set(Attribute::Acl, Value::Text("x".repeat(300)));
        let told = collector.push(&record).unwrap();
        let mut lines = Lines::new(vec![collector.finish()], None, 0).unwrap();
        let mut next = || lines.advance().unwrap().then(|| decode(lines.line().0).unwrap());
        let fault = next().unwrap();
        assert_eq!(fault.text(Attribute::Part), Some("attributes"));
        assert_eq!(fault.text(Attribute::Error), Some("longer than 200 bytes, left out: acl"));
        assert_eq!(told, [fault]);
        let rest = next().unwrap();
        assert_eq!((rest.number(Attribute::Size), rest.get(Attribute::Acl)), (Some(1), None));
        assert_eq!(next(), None);
    }

    /// Whoever writes an image chooses its paths: none may cost the whole machine its manifest.
    #[test]
    fn a_path_too_long_for_a_line_is_a_fault_of_what_lies_above() {
        for (path, above) in [("/srv/deep/", "/srv/deep"), (r"HKLM\HIVE\", r"HKLM\HIVE"), ("/", "/"), (r"C:\", r"C:\")]
        {
            let mut collector = Collector { line_max: 200, ..Collector::new(&Sorter::new(std::env::temp_dir(), 0)) };
            let mut record = Record::new(format!("{path}{}", "a".repeat(300)), Kind::Dir);
            record.set(Attribute::Volume, Value::Text("@v".to_owned()));
            let faults = collector.push(&record).unwrap();
            let mut lines = Lines::new(vec![collector.finish()], None, 0).unwrap();
            assert!(lines.advance().unwrap());
            let fault = decode(lines.line().0).unwrap();
            assert!(!lines.advance().unwrap());
            assert_eq!((fault.path.as_slice(), fault.text(Attribute::Part)), (above.as_bytes(), Some("listing")));
            assert_eq!(fault.text(Attribute::Volume), Some("@v"));
            assert_eq!(faults, [fault]);
        }
    }
}
