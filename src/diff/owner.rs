//! The file or key to which streams and values belong, and which alone has times.

use super::cursor::JoinKey;
use crate::manifest::{
    Attribute, Class,
    json::{Malformed, Raw},
};

/// The last file or key of the new side that is not as it was. In a manifest it stands before its streams or values;
/// one that is as it was says nothing of when they changed.
#[derive(Debug, Default)]
pub(super) struct Owner {
    path: Vec<u8>,
    line: Vec<u8>,
}

impl Owner {
    pub(super) fn see(&mut self, key: &JoinKey, line: &[u8]) {
        if matches!(key.class, Class::File | Class::Key) {
            self.path.clone_from(&key.path);
            self.line.clear();
            self.line.extend_from_slice(line);
        }
    }

    /// When the owner of a stream or value last changed, as it says itself.
    pub(super) fn changed(&self, key: &JoinKey) -> Result<Option<Vec<u8>>, Malformed> {
        if !matches!(key.class, Class::Stream | Class::Value) || self.path != key.path || self.line.is_empty() {
            return Ok(None);
        }
        let owner = Raw::of(&self.line)?;
        let time = owner.get(Attribute::Ctime).or_else(|| owner.get(Attribute::LastWrite));
        Ok(time.map(|field| field.text()).transpose()?.map(|text| text.as_bytes().to_vec()))
    }
}
