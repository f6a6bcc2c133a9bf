//! One worker's reader of a volume.

use std::{ops::ControlFlow, rc::Rc};

use crate::{
    error::{Error, Result},
    fs::{Extent, Listed, Metadata, NodeId, Session, Sink, Stream},
};

use super::{
    Ntfs, content::Content, directory, file::File, metadata, reader::Reader, record::Reference, secure::Descriptors,
};

pub(super) struct NtfsSession<'v> {
    ntfs: &'v Ntfs,
    reader: Reader<'v>,
    descriptors: Descriptors,
    root: Reference,
}

impl<'v> NtfsSession<'v> {
    pub(super) fn new(ntfs: &'v Ntfs) -> Result<Self> {
        let mut reader = Reader::new(&ntfs.volume);
        let root = reader.file(Reference(directory::ROOT))?.reference;
        Ok(Self { ntfs, reader, descriptors: Descriptors::default(), root })
    }

    fn file(&mut self, node: &NodeId) -> Result<Rc<File>> {
        match node {
            NodeId::Number(number) => self.reader.file(Reference(*number)),
            NodeId::Path(_) => Err(Error::Bug("ntfs: a node of another filesystem".to_owned())),
        }
    }

    fn with_content<T>(
        &mut self,
        node: &NodeId,
        stream: &Stream,
        then: impl FnOnce(&Content<'_>, &Reader<'_>) -> Result<T>,
    ) -> Result<T> {
        let file = self.file(node)?;
        let attributes = metadata::standard_information(&file).map_or(0, |information| information.attributes);
        let content = Content::open(&self.ntfs.volume, &self.ntfs.upcase, &file, attributes, stream)?;
        then(&content, &self.reader)
    }
}

impl Session for NtfsSession<'_> {
    fn root(&self) -> NodeId {
        NodeId::Number(self.root.0)
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        let dir = self.file(dir)?;
        directory::list(&mut self.reader, &dir, each)
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let file = self.file(node)?;
        let secure = self.ntfs.secure(&mut self.reader);
        Ok(metadata::gather(&mut self.reader, secure, &mut self.descriptors, &file))
    }

    /// All names of a directory lie in one parent: the first says it. A directory without names belongs nowhere; it
    /// names itself, so that it does not matter which of its entries is met first.
    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        let dir = self.file(dir)?;
        let parent = dir.names().next().map(|name| name.parent());
        let parent = parent.map_or(dir.reference, |parent| self.reader.in_full(parent));
        Ok(Some(NodeId::Number(parent.0)))
    }

    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        Ok(self.lookup_stored(dir, name)?.map(|(node, _)| node))
    }

    fn lookup_stored(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<(NodeId, Vec<u8>)>> {
        let dir = self.file(dir)?;
        directory::lookup(&mut self.reader, &dir, &self.ntfs.upcase, name)
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        self.with_content(node, stream, |content, _| content.extents())
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        self.with_content(node, stream, |content, reader| content.read(reader.volume, sink))
    }
}
