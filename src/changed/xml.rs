//! What the formats in XML need of it: elements in the order of the document, each with its depth, and the certainty
//! that the document ends where it should. Entities other than the predefined ones, and document types, are refused.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::malformed;
use crate::error::Result;

/// Elements inside each other; no format has more than six.
const MAX_DEPTH: usize = 16;

/// What a document is made of.
pub(super) enum Node<'a> {
    /// An element begins.
    Start(&'a BytesStart<'a>),
    /// Text between tags, without the white space around it.
    Text(&'a str),
    /// An element ends.
    End,
}

/// Hands out a document's parts; `path` holds the names of the open elements, the root first.
pub(super) fn walk(text: &str, format: &str, each: &mut dyn FnMut(&[String], Node<'_>) -> Result<()>) -> Result<()> {
    let bad = |what: String| malformed(format, what);
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut roots = 0_u32;
    loop {
        let event = reader.read_event().map_err(|error| bad(format!("XML: {error}")))?;
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                if path.is_empty() {
                    roots = roots.saturating_add(1);
                }
                if path.len() >= MAX_DEPTH || roots > 1 {
                    return Err(bad("XML: more than one root, or elements inside each other too deep".to_owned()));
                }
                path.push(start.name().as_ref().to_owned());
                each(&path, Node::Start(start))?;
                if matches!(event, Event::Empty(_)) {
                    each(&path, Node::End)?;
                    path.pop();
                }
            }
            Event::End(_) => {
                each(&path, Node::End)?;
                path.pop();
            }
            Event::Text(text) => {
                let text = text.as_ref().trim();
                if !text.is_empty() {
                    if path.is_empty() {
                        return Err(bad("XML: text outside the root".to_owned()));
                    }
                    each(&path, Node::Text(text))?;
                }
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof if path.is_empty() && roots == 1 => return Ok(()),
            Event::Eof => return Err(bad("XML: it ends inside an element: the list is not complete".to_owned())),
            _ => return Err(bad("XML: a document type, an entity or an instruction".to_owned())),
        }
    }
}

/// The name of a document's root.
pub(super) fn root(text: &str) -> Result<String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => return Ok(start.name().as_ref().to_owned()),
            Ok(Event::Decl(_) | Event::Comment(_) | Event::Text(_)) => {}
            _ => return Err(malformed("list", "XML without a root element")),
        }
    }
}

/// A number in an element's attribute.
pub(super) fn number(start: &BytesStart<'_>, name: &str, format: &str) -> Result<u64> {
    let bad = |what: &str| malformed(format, format!("attribute {name} of <{}>: {what}", start.name().as_ref()));
    let attribute = start.try_get_attribute(name).map_err(|error| bad(&error.to_string()))?;
    let attribute = attribute.ok_or_else(|| bad("is missing"))?;
    attribute.value.parse().map_err(|_| bad("is not a number"))
}
