//! `$REPARSE_POINT`: a file that is to be read in another way: links, files compressed or kept elsewhere.
//!
//! Reference: [MS-FSCC] sections 2.1.2 and 2.3; tag values in section 2.1.2.1.

use crate::{
    field::{le32, len16, slice, units},
    fs::Kind,
};

use super::wtf8;

pub(super) const SYMLINK: u32 = 0xA000_000C;
pub(super) const MOUNT_POINT: u32 = 0xA000_0003;
pub(super) const WOF: u32 = 0x8000_0017;
pub(super) const DEDUP: u32 = 0x8000_0013;
const LX_SYMLINK: u32 = 0xA000_001D;
const APP_EXEC_LINK: u32 = 0x8000_001B;
/// Cloud files: 0x9000_001A with anything in the third-last digit.
const CLOUD: u32 = 0x9000_001A;
const CLOUD_MASK: u32 = 0xFFFF_0FFF;
/// The bit of a tag that says: this stands for another named entity.
const NAME_SURROGATE: u32 = 0x2000_0000;
/// Windows keeps reparse points within 16 KiB.
pub(super) const MAX_SIZE: usize = 64 << 10;

/// A reparse point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReparsePoint {
    pub(super) tag: u32,
    /// What stands behind tag, length and reserved field; of a tag that is not Microsoft's, with the vendor's GUID.
    pub(super) data: Vec<u8>,
}

impl ReparsePoint {
    /// Parses an attribute's value (0x00 tag, 0x04 length of the data, 0x08 data).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        Some(Self { tag: le32(value, 0)?, data: value.get(8..)?.to_vec() })
    }

    /// What an entity with this reparse point is. A directory keeps being one unless the tag makes it stand for
    /// something else: what is beneath it must be seen. A file with content of its own keeps being one, too.
    pub(super) fn kind(&self, directory: bool, size: u64) -> Kind {
        match self.tag {
            SYMLINK | MOUNT_POINT | LX_SYMLINK => Kind::Symlink,
            tag if directory && tag & NAME_SURROGATE == 0 => Kind::Dir,
            WOF | DEDUP if !directory => Kind::File,
            _ if !directory && (self.is_cloud() || size > 0) => Kind::File,
            _ => Kind::Reparse,
        }
    }

    /// Whether the content may be with a cloud provider.
    pub(super) fn is_cloud(&self) -> bool {
        self.tag & CLOUD_MASK == CLOUD
    }

    /// Where a link leads, in WTF-8: the print name where there is one, else the substitute name; of an app execution
    /// alias the program. `None` where the tag is not a link's; `Err` where its data does not parse.
    pub(super) fn target(&self) -> Option<Result<Vec<u8>, String>> {
        let target = match self.tag {
            SYMLINK => self.names(12),
            MOUNT_POINT => self.names(8),
            // 0x00 version, 0x04 the target in UTF-8.
            LX_SYMLINK => self.data.get(4..).map(<[u8]>::to_vec),
            APP_EXEC_LINK => self.program(),
            _ => return None,
        };
        Some(target.ok_or_else(|| {
            format!("the names of reparse point {:#010x} leave its {} bytes", self.tag, self.data.len())
        }))
    }

    /// 0x00 and 0x02 substitute name, 0x04 and 0x06 print name, offsets and lengths in bytes from `buffer`.
    fn names(&self, buffer: usize) -> Option<Vec<u8>> {
        let substitute = self.name(0, buffer)?;
        let print = self.name(4, buffer)?;
        Some(wtf8::encode(units(if print.is_empty() { substitute } else { print })))
    }

    /// The name whose offset and length stand at `at`.
    fn name(&self, at: usize, buffer: usize) -> Option<&[u8]> {
        let offset = len16(&self.data, at)?.checked_add(buffer)?;
        slice(&self.data, offset, len16(&self.data, at.checked_add(2)?)?)
    }

    /// The name by which Windows follows a link, in WTF-8; `None` where the tag is not a link's.
    pub(super) fn substitute(&self) -> Option<Vec<u8>> {
        let name = match self.tag {
            SYMLINK => self.name(0, 12),
            MOUNT_POINT => self.name(0, 8),
            _ => None,
        };
        name.map(|name| wtf8::encode(units(name)))
    }

    /// 0x00 version, 0x04 strings that end in NUL: package, entry point, program, kind.
    fn program(&self) -> Option<Vec<u8>> {
        let units: Vec<u16> = units(self.data.get(4..)?).collect();
        let program = units.split(|unit| *unit == 0).nth(2).filter(|program| !program.is_empty())?;
        Some(wtf8::encode(program.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_tag() {
        let kind = |tag, directory, size| ReparsePoint { tag, data: Vec::new() }.kind(directory, size);
        assert_eq!(kind(MOUNT_POINT, true, 0), Kind::Symlink);
        assert_eq!(kind(0x9000_601A, true, 0), Kind::Dir, "what is beneath a cloud folder must be seen");
        assert_eq!(kind(0x9000_601A, false, 0), Kind::File);
        assert_eq!(kind(WOF, false, 0), Kind::File);
        assert_eq!(kind(0x0000_1234, false, 10), Kind::File, "content under an unknown tag is content");
        assert_eq!(kind(APP_EXEC_LINK, false, 0), Kind::Reparse);
        assert_eq!(kind(0xA000_0027, true, 0), Kind::Reparse);
    }

    #[test]
    fn targets() {
        let strings = "Pkg_1\0Pkg!App\0C:\\Program Files\\app.exe\0zero\0".encode_utf16().flat_map(u16::to_le_bytes);
        let data = [3, 0, 0, 0].into_iter().chain(strings).collect();
        let point = ReparsePoint { tag: APP_EXEC_LINK, data };
        assert_eq!(point.target(), Some(Ok(b"C:\\Program Files\\app.exe".to_vec())));
        let cut = ReparsePoint { tag: SYMLINK, data: vec![0xFF; 12] };
        assert!(cut.target().is_some_and(|target| target.is_err()));
        assert_eq!(ReparsePoint { tag: WOF, data: Vec::new() }.target(), None);
    }
}
