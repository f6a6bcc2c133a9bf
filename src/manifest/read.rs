//! Reading a manifest: a stream of lines or records, of which nothing is proved before the end is reached.

use std::{fs::File, io::Read, path::Path};

use super::{
    ahead::Ahead,
    block::{Block, Blocks},
    header::Header,
    json::{self, Malformed},
    live::Live,
    merge::Merged,
    record::Record,
};
use crate::error::{Error, Result};

/// The most records that are read unless told otherwise.
pub const RECORDS_MAX: u64 = 100_000_000;

/// What the first line of every manifest begins with.
const BEGINNING: &[u8] = br#"{"snapfim":"#;

/// How many bytes of sorted lines are taken at once.
const SORTED_BLOCK: usize = 64 << 10;

/// Whether compressed bytes are certainly no manifest's: those that can be read begin otherwise. What cannot be read may
/// be what is left of one.
#[must_use]
pub fn is_something_else(input: impl Read) -> bool {
    let mut found = [0; BEGINNING.len()];
    let read = zstd::Decoder::new(input).and_then(|mut lines| lines.read_exact(&mut found));
    read.is_ok() && found != BEGINNING
}

/// Reads a manifest once, in order.
#[derive(Debug)]
pub struct Reader {
    name: String,
    header: Header,
    /// The line that the header was read from; empty where it was not read.
    header_line: Vec<u8>,
    source: Source,
    block: Block,
    /// The current line's place in the block, behind which the next one is.
    current: Option<usize>,
    record: u64,
}

#[derive(Debug)]
enum Source {
    Here(Box<Blocks>),
    Ahead(Ahead),
    Live(Live),
    Sorted(Box<Merged>),
}

impl Reader {
    /// Opens a file; it is called by its path in messages.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be opened or its first line is not a header.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::State(format!("{name}: {error}")))?;
        Self::new(name, file)
    }

    /// Reads the compressed bytes of a manifest, which is called `name` in messages.
    ///
    /// # Errors
    /// [`Error::State`] when the first line is not a header.
    pub fn new(name: impl Into<String>, input: impl Read + Send + 'static) -> Result<Self> {
        Self::with_max(name, input, RECORDS_MAX)
    }

    /// As [`Reader::new`], refusing a manifest of more than `records_max` records.
    ///
    /// # Errors
    /// [`Error::State`] when the first line is not a header.
    pub fn with_max(name: impl Into<String>, input: impl Read + Send + 'static, records_max: u64) -> Result<Self> {
        Self::of(name.into(), Box::new(input), records_max, None)
    }

    /// As [`Reader::new`], for a file that must have this SHA-256, in hexadecimal: its lines need not be hashed, which
    /// would cost ten times as much.
    ///
    /// # Errors
    /// [`Error::State`] when the first line is not a header.
    pub fn proved(name: impl Into<String>, input: impl Read + Send + 'static, sha256: &str) -> Result<Self> {
        Self::of(name.into(), Box::new(input), RECORDS_MAX, Some(sha256))
    }

    fn of(name: String, input: Box<dyn Read + Send>, records_max: u64, whole: Option<&str>) -> Result<Self> {
        let mut blocks = Blocks::new(&name, input, records_max, whole)?;
        let mut block = Block::default();
        let header_line = blocks.header(&mut block)?;
        let header = Header::parse(&header_line).map_err(|Malformed(what)| damaged(&name, what))?;
        let source = Source::Here(Box::new(blocks));
        Ok(Self { name, header, header_line, source, block, current: None, record: 0 })
    }

    /// Reads what is being written, behind its header.
    pub(super) fn live(name: &str, header: Header, live: Live) -> Self {
        let (name, block, header_line) = (name.to_owned(), Block::default(), Vec::new());
        Self { name, header, header_line, source: Source::Live(live), block, current: None, record: 0 }
    }

    /// Reads lines that were sorted, of which the header is known and no footer is needed.
    pub(super) fn sorted(name: &str, header: Header, merged: Merged) -> Self {
        let (name, block, source) = (name.to_owned(), Block::default(), Source::Sorted(Box::new(merged)));
        Self { name, header, header_line: Vec::new(), source, block, current: None, record: 0 }
    }

    /// What is read is not believed where the footer holds another SHA-256 than this one, which extents beside it name.
    ///
    /// # Errors
    /// [`Error::State`] when that is known already.
    pub fn kept_with(mut self, sha256: [u8; 32]) -> Result<Self> {
        if let Source::Here(blocks) = &mut self.source {
            blocks.expect(sha256)?;
        }
        Ok(self)
    }

    /// Decompresses and hashes in a thread of its own from here on, a few blocks ahead.
    ///
    /// # Errors
    /// [`Error::State`] when the host gives no thread.
    pub fn ahead(mut self) -> Result<Self> {
        self.source = match self.source {
            Source::Here(blocks) => Source::Ahead(Ahead::start(*blocks)?),
            other => other,
        };
        Ok(self)
    }

    /// The first line.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Has the header tell of another effective policy from here on; the line stays as it stands in the file.
    pub fn set_policy(&mut self, policy: serde_json::Value) {
        self.header.policy = policy;
    }

    /// The first line as it stands in the file, without its newline; empty where the records come from no file.
    #[must_use]
    pub fn header_line(&self) -> &[u8] {
        &self.header_line
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Goes to the next line; `false` when all were read and the footer proved them.
    ///
    /// # Errors
    /// [`Error::State`] when the manifest is damaged: what was read before must not be believed then.
    pub fn advance(&mut self) -> Result<bool> {
        let mut next = self.current.map_or(0, |current| current + 1);
        while next >= self.block().len() {
            let more = match &mut self.source {
                Source::Here(blocks) => blocks.fill(&mut self.block)?,
                Source::Ahead(ahead) => ahead.fill(&mut self.block)?,
                Source::Live(live) => live.fill()?,
                Source::Sorted(merged) => fill(&mut self.block, merged)?,
            };
            if !more {
                self.current = None;
                return Ok(false);
            }
            next = 0;
        }
        self.current = Some(next);
        self.record += 1;
        Ok(true)
    }

    /// The lines at hand.
    fn block(&self) -> &Block {
        match &self.source {
            Source::Live(live) => live.block(),
            _ => &self.block,
        }
    }

    /// The current line, without its newline; empty before the first and behind the last.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        self.current.map(|current| self.block().line(current)).unwrap_or_default()
    }

    /// The next record.
    ///
    /// # Errors
    /// As [`Reader::advance`], and when the line is not a record.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        if !self.advance()? {
            return Ok(None);
        }
        json::decode(self.line()).map(Some).map_err(|malformed| self.malformed(malformed))
    }

    /// The records that are left.
    pub fn records(mut self) -> impl Iterator<Item = Result<Record>> {
        std::iter::from_fn(move || self.next_record().transpose())
    }

    /// Reads to the end, looking at nothing but the footer; how many records there were.
    ///
    /// # Errors
    /// As [`Reader::advance`].
    pub fn verify(mut self) -> Result<u64> {
        while self.advance()? {}
        Ok(self.record)
    }

    /// The error of a current line that is not a record.
    pub(crate) fn malformed(&self, Malformed(what): Malformed) -> Error {
        damaged(&self.name, format!("record {}: {what}", self.record))
    }
}

/// The next sorted lines; `false` behind the last.
fn fill(block: &mut Block, merged: &mut Merged) -> Result<bool> {
    block.clear();
    while block.bytes() < SORTED_BLOCK
        && let Some((_, line)) = merged.next()?
    {
        block.push(line);
    }
    Ok(block.len() > 0)
}

/// The error of a manifest that is not what it should be.
pub(super) fn damaged(name: &str, what: impl std::fmt::Display) -> Error {
    Error::State(format!("{name} is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::manifest::{Attribute, Collector, Kind, Os, Sorter, Value, write::LINE_MAX, write::write};

    fn header() -> Header {
        Header { policy: serde_json::json!({}), os: Os { family: "linux".into(), ..Os::default() }, volumes: vec![] }
    }

    /// `count` records, pushed out of order by three workers.
    fn manifest(count: u64) -> Vec<u8> {
        let sorter = Sorter::new(std::env::temp_dir(), 0);
        let mut workers = [(); 3].map(|()| Collector::new(&sorter));
        for at in (0..count).rev() {
            let mut record = Record::new(format!("/f{at:06}"), Kind::File);
            record.set(Attribute::Size, Value::Number(at));
            workers[at as usize % 3].push(&record).unwrap();
        }
        let runs = workers.into_iter().map(Collector::finish).collect();
        let (bytes, counts) = write(Vec::new(), &header(), runs, 1 << 20).unwrap();
        assert_eq!((counts.records(), counts.of(Kind::File)), (count, count));
        bytes
    }

    fn reader(bytes: &[u8]) -> Result<Reader> {
        Reader::new("m", std::io::Cursor::new(bytes.to_vec()))
    }

    fn compress(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn why(bytes: &[u8]) -> String {
        let here = reader(bytes).and_then(Reader::verify).unwrap_err().to_string();
        let ahead = reader(bytes).and_then(Reader::ahead).and_then(Reader::verify).unwrap_err().to_string();
        assert_eq!(here, ahead);
        here
    }

    #[test]
    fn what_is_written_is_read_in_order_here_and_ahead() {
        let bytes = manifest(20_000);
        for ahead in [false, true] {
            let mut reader = reader(&bytes).unwrap();
            assert_eq!(*reader.header(), header());
            if ahead {
                reader = reader.ahead().unwrap();
            }
            for at in 0..20_000 {
                assert_eq!(reader.next_record().unwrap().unwrap().number(Attribute::Size), Some(at));
            }
            assert!(reader.next_record().unwrap().is_none());
            assert!(reader.next_record().unwrap().is_none());
        }
    }

    #[test]
    fn a_file_that_is_not_the_one_that_was_written_is_refused() {
        use sha2::{Digest, Sha256};
        let sound = manifest(5000);
        let proof = crate::text::hex(&Sha256::digest(&sound));
        let verify = |bytes: &[u8], ahead: bool| {
            let reader = Reader::proved("m", std::io::Cursor::new(bytes.to_vec()), &proof)?;
            if ahead { reader.ahead()?.verify() } else { reader.verify() }
        };
        // The same lines, packed otherwise: sound by themselves, and not what was proved.
        let other = compress(&zstd::decode_all(sound.as_slice()).unwrap());
        assert_ne!(other, sound);
        for ahead in [false, true] {
            assert_eq!(verify(&sound, ahead).unwrap(), 5000);
            let error = verify(&other, ahead).unwrap_err().to_string();
            assert!(error.starts_with("m is damaged: it has SHA-256 ") && error.ends_with(&proof), "{error}");
            for at in (0..sound.len()).step_by(sound.len() / 50) {
                let mut flipped = sound.clone();
                flipped[at] ^= 0x10;
                assert!(verify(&flipped, ahead).is_err(), "a bit at {at}");
            }
        }
        assert_eq!(reader(&other).unwrap().verify().unwrap(), 5000);
    }

    #[test]
    fn the_footer_is_the_sha256_of_the_lines_before_it() {
        // `sha256sum` of the line {"snapfim":"manifest",…,"volumes":[]} and its newline.
        let lines = zstd::decode_all(manifest(0).as_slice()).unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            concat!(
                r#"{"snapfim":"manifest","version":1,"policy":{},"os":{"family":"linux"},"volumes":[]}"#,
                "\n",
                r#"{"records":0,"sha256":"0aa0b422ed3823969e59cadb657415c75ea90f8d91a096405a14fe1b4f65a9b4"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn damage_is_refused_and_named() {
        let whole = zstd::decode_all(manifest(100).as_slice()).unwrap();
        let footer = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;

        assert_eq!(why(&compress(&whole[..footer])), "m is damaged: it ends without a footer");
        assert_eq!(why(&compress(&whole[..whole.len() - 1])), "m is damaged: it ends without a footer");
        assert_eq!(why(&compress(&[&whole[..], b"x\n"].concat())), "m is damaged: it goes on behind its footer");
        assert_eq!(why(&[compress(&whole), compress(b"x")].concat()), "m is damaged: it goes on behind its footer");
        assert!(why(&[compress(&whole), b"x".to_vec()].concat()).starts_with("m is damaged: "));

        let mut wrong = whole.clone();
        let at = wrong.windows(7).position(|bytes| bytes == b"/f00001").unwrap();
        wrong[at + 6] = b'9';
        assert!(why(&compress(&wrong)).starts_with("m is damaged: its footer says SHA-256 "));

        let line = whole[..footer - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let fewer = [&whole[..line], &whole[footer..]].concat();
        assert_eq!(why(&compress(&fewer)), "m is damaged: its footer says 100 records, found 99");

        let many = Reader::with_max("m", std::io::Cursor::new(compress(&whole)), 99).unwrap_err();
        assert_eq!(many.to_string(), "m is damaged: more than 99 records");
        assert_eq!(why(&compress(b"\n")), "m is damaged: the first line is not a manifest's header");
        assert!(why(b"").starts_with("m is damaged: "));
        assert!(why(b"not zstd at all").starts_with("m is damaged: "));
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        for _ in 0..LINE_MAX / 1024 + 2048 {
            encoder.write_all(&[b'x'; 1024]).unwrap();
        }
        let bytes = encoder.finish().unwrap();
        assert_eq!(why(&bytes), format!("m is damaged: line 1 is longer than {LINE_MAX} bytes"));
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_refused() {
        let bytes = manifest(30);
        for at in 0..bytes.len() {
            assert!(reader(&bytes[..at]).and_then(Reader::verify).is_err(), "cut at {at}");
        }
        let whole = zstd::decode_all(bytes.as_slice()).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                if reader(&flipped).and_then(Reader::verify).is_ok() {
                    // A bit of zstd's own framing may mean nothing.
                    assert_eq!(zstd::decode_all(flipped.as_slice()).unwrap(), whole, "byte {at} bit {bit}");
                }
            }
        }
    }
}
