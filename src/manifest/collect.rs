//! One worker's end of a manifest.

use super::{
    attribute::{Attribute, Part},
    json, key,
    lines::attach,
    record::{Kind, Record},
    sorter::{RunWriter, Runs, Sorter},
    write::{Counts, LINE_MAX},
};
use crate::error::{Error, Fault, Result};

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

    /// Takes a record. Where its line would be longer than [`LINE_MAX`], its longest attributes are left out, and
    /// a fault beside it names them.
    ///
    /// # Errors
    /// When the temporary file cannot be written, or the path alone is too long.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        self.push_traced(record, &[])
    }

    /// As [`Collector::push`], with a trace of what the record was made of, at most
    /// [`TRACE_MAX`](super::lines::TRACE_MAX) bytes, for whoever follows the writing. A record that does not fit into
    /// its line loses it.
    ///
    /// # Errors
    /// As [`Collector::push`].
    pub fn push_traced(&mut self, record: &Record, trace: &[u8]) -> Result<()> {
        self.encode(record);
        if self.line.len() <= self.line_max {
            return self.take(record.kind, trace);
        }
        let mut record = record.clone();
        let mut left_out = Vec::new();
        while self.line.len() > self.line_max {
            left_out.push(take_longest(&mut record)?);
            self.encode(&record);
        }
        self.take(record.kind, &[])?;

        for (part, content) in [(Part::Content, true), (Part::Attributes, false)] {
            let names: Vec<_> = left_out.iter().filter(|a| a.is_content() == content).map(|a| a.name()).collect();
            if names.is_empty() {
                continue;
            }
            let what = format!("longer than {} bytes, left out: {}", self.line_max, names.join(", "));
            let fault = Fault::new("manifest", "record", what);
            self.encode(&Record::fault(record.path.as_slice(), record.name.as_slice(), part, fault));
            self.take(Kind::Fault, &[])?;
        }
        Ok(())
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

    fn encode(&mut self, record: &Record) {
        self.key.clear();
        key::encode(&record.key(), &mut self.key);
        self.line.clear();
        json::encode(record, &mut self.line);
    }
}

fn take_longest(record: &mut Record) -> Result<Attribute> {
    let mut scratch = Vec::new();
    let mut length = |(attribute, value): &(Attribute, _)| {
        scratch.clear();
        json::encode_value(attribute.name(), value, &mut scratch);
        scratch.len()
    };
    let lengths = record.attributes.iter().map(&mut length).enumerate();
    match lengths.max_by_key(|(_, length)| *length) {
        Some((at, _)) => Ok(record.attributes.remove(at).0),
        None => Err(Error::budget("manifest", format!("a path of {} bytes is too long", record.path.len()))),
    }
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
        collector.push(&record).unwrap();
        let mut lines = Lines::new(vec![collector.finish()], None, 0).unwrap();
        let mut next = || lines.advance().unwrap().then(|| decode(lines.line().0).unwrap());
        let fault = next().unwrap();
        assert_eq!(fault.text(Attribute::Part), Some("attributes"));
        assert_eq!(fault.text(Attribute::Error), Some("longer than 200 bytes, left out: acl"));
        let rest = next().unwrap();
        assert_eq!((rest.number(Attribute::Size), rest.get(Attribute::Acl)), (Some(1), None));
        assert_eq!(next(), None);
        assert!(collector_refuses_a_path_of(300));
    }

    fn collector_refuses_a_path_of(len: usize) -> bool {
        let mut collector = Collector { line_max: 200, ..Collector::new(&Sorter::new(std::env::temp_dir(), 0)) };
        collector.push(&Record::new(vec![b'a'; len], Kind::Dir)).is_err()
    }
}
