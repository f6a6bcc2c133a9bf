//! From what a filesystem says of a node to the record of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    descriptor::{Descriptor, Descriptors, Shared},
    hash,
};
use crate::{
    error::{Fault, Result},
    field::len32,
    fs::{self, Link, Metadata, Timestamp},
    machine::Accounts,
    manifest::{Attribute, Kind, Record, Value, XattrSummary, attribute::Part},
    security::{capability, inode_flags, posix_acl, selinux, sid},
};

/// Room for the attributes of most entities.
const ATTRIBUTES: usize = 20;

/// What every record of one directory has in common.
pub(super) struct Context<'a> {
    /// Names of accounts.
    pub(super) accounts: &'a Accounts,
    /// The volume's id.
    pub(super) volume: &'a str,
    /// How owners of this machine are called, by SID.
    pub(super) sid_names: &'a dyn Fn(&str) -> Option<String>,
}

/// The kind of a record for the kind of a node; a node without one is only a fault.
pub(super) fn kind(kind: fs::Kind) -> Kind {
    match kind {
        fs::Kind::File => Kind::File,
        fs::Kind::Dir => Kind::Dir,
        fs::Kind::Symlink => Kind::Symlink,
        fs::Kind::Char => Kind::Char,
        fs::Kind::Block => Kind::Block,
        fs::Kind::Fifo => Kind::Fifo,
        fs::Kind::Socket => Kind::Socket,
        fs::Kind::Reparse => Kind::Reparse,
    }
}

/// The record of a node without its content, and the faults met on the way.
pub(super) fn record(
    path: &[u8],
    kind: Kind,
    metadata: &Metadata,
    link: Option<&Link>,
    context: &Context<'_>,
    descriptors: &mut Descriptors<Shared>,
) -> (Record, Vec<Fault>) {
    let mut record = Record { attributes: Vec::with_capacity(ATTRIBUTES), ..Record::new(path, kind) };
    let mut faults = metadata.faults.clone();
    let times = link.map(|link| &link.times);
    let mut set = |attribute, value: Option<Value>| {
        if let Some(value) = value {
            record.set(attribute, value);
        }
    };
    let number = |n: Option<u32>| n.map(|n| Value::Number(u64::from(n)));
    let name = |n: Option<&str>| n.map(|n| Value::Text(n.to_owned()));
    set(Attribute::Size, Some(Value::Number(metadata.size)));
    set(Attribute::Mode, metadata.mode.map(|mode| Value::Text(octal(mode))));
    set(Attribute::Uid, number(metadata.uid));
    set(Attribute::Gid, number(metadata.gid));
    set(Attribute::User, name(metadata.uid.and_then(|uid| context.accounts.user(uid))));
    set(Attribute::Group, name(metadata.gid.and_then(|gid| context.accounts.group(gid))));
    set(Attribute::Nlink, metadata.nlink.map(Value::Number));
    set(Attribute::Id, metadata.id.clone().map(Value::Text));
    for (attribute, time) in [
        (Attribute::Mtime, metadata.times.mtime),
        (Attribute::Ctime, metadata.times.ctime),
        (Attribute::Crtime, metadata.times.crtime),
        (Attribute::Atime, metadata.times.atime),
        (Attribute::FnMtime, times.and_then(|times| times.mtime)),
        (Attribute::FnCtime, times.and_then(|times| times.ctime)),
        (Attribute::FnCrtime, times.and_then(|times| times.crtime)),
        (Attribute::FnAtime, times.and_then(|times| times.atime)),
    ] {
        set(attribute, time.map(|time: Timestamp| Value::Text(time.text())));
    }
    set(Attribute::ShortName, link.and_then(|link| link.short_name.clone()).map(Value::Text));
    set(
        Attribute::Flags,
        metadata.flags.filter(|flags| *flags != 0).map(|flags| Value::Text(inode_flags::to_text(flags))),
    );
    set(Attribute::Target, metadata.target.clone().map(Value::Bytes));
    set(Attribute::Rdev, metadata.rdev.map(|(major, minor)| Value::Text(format!("{major},{minor}"))));
    set(Attribute::Volume, Some(Value::Text(context.volume.to_owned())));
    xattrs(&mut record, metadata, &mut faults);
    windows(&mut record, metadata, context, descriptors, &mut faults);
    (record, faults)
}

/// `0644`, `04755`: octal with one leading zero, as C writes it.
fn octal(mode: u32) -> String {
    if mode > 0o777 { format!("0{mode:o}") } else { format!("{mode:04o}") }
}

/// ACLs, capabilities and labels as text, all others by size and hash. What does not decode is kept by size and
/// hash too, beside a fault.
fn xattrs(record: &mut Record, metadata: &Metadata, faults: &mut Vec<Fault>) {
    let mut others = BTreeMap::new();
    let mut names = BTreeSet::new();
    for xattr in &metadata.xattrs {
        // The kernel takes the first that it finds.
        if !names.insert(xattr.name.as_slice()) {
            let at = format!("attribute {}", xattr.name.escape_ascii());
            faults.push(Fault::new("scan", at, "a second attribute of the same name; the first one counts"));
            continue;
        }
        let decoded: Option<(Attribute, Result<String>)> = match xattr.name.as_slice() {
            b"system.posix_acl_access" => Some((Attribute::Acl, posix_acl::to_text(&xattr.value))),
            b"system.posix_acl_default" => Some((Attribute::DefaultAcl, posix_acl::to_text(&xattr.value))),
            b"security.capability" => Some((Attribute::Caps, capability::to_text(&xattr.value))),
            b"security.selinux" => std::str::from_utf8(selinux::label(&xattr.value))
                .ok()
                .map(|label| (Attribute::Selinux, Ok(label.to_owned()))),
            _ => None,
        };
        match decoded {
            Some((attribute, Ok(text))) => {
                record.set(attribute, Value::Text(text));
                continue;
            }
            Some((_, Err(error))) => faults.push(error.into()),
            None => {}
        }
        let summary = XattrSummary { size: xattr.value.len() as u64, sha256: hash::bytes(&xattr.value) };
        others.insert(xattr.name.clone(), summary);
    }
    if !others.is_empty() {
        record.set(Attribute::Xattrs, Value::Xattrs(others));
    }
}

/// `FILE_ATTRIBUTE_*` ([MS-FSCC] 2.6), without `NORMAL`, which says that no other is set.
const FILE_ATTRIBUTES: &[(u32, &str)] = &[
    (0x1, "readonly"),
    (0x2, "hidden"),
    (0x4, "system"),
    (0x10, "directory"),
    (0x20, "archive"),
    (0x40, "device"),
    (0x100, "temporary"),
    (0x200, "sparse"),
    (0x400, "reparse_point"),
    (0x800, "compressed"),
    (0x1000, "offline"),
    (0x2000, "not_content_indexed"),
    (0x4000, "encrypted"),
    (0x8000, "integrity_stream"),
    (0x1_0000, "virtual"),
    (0x2_0000, "no_scrub_data"),
    (0x4_0000, "recall_on_open"),
    (0x8_0000, "pinned"),
    (0x10_0000, "unpinned"),
    (0x40_0000, "recall_on_data_access"),
];
const FILE_ATTRIBUTE_NORMAL: u32 = 0x80;

fn attribute_names(bits: u32) -> String {
    let mut left = bits & !FILE_ATTRIBUTE_NORMAL;
    let mut names = Vec::new();
    for (bit, name) in FILE_ATTRIBUTES {
        if left & bit != 0 {
            left &= !bit;
            names.push((*name).to_owned());
        }
    }
    if left != 0 {
        names.push(format!("{left:#x}"));
    }
    names.join(",")
}

/// Reparse tags ([MS-FSCC] 2.1.2.1) that people know by name.
const REPARSE_TAGS: &[(u32, &str)] = &[
    (0xA000_0003, "mount_point"),
    (0xA000_000C, "symlink"),
    (0x8000_0017, "wof"),
    (0x8000_0013, "dedup"),
    (0x8000_001B, "appexeclink"),
    (0x8000_0014, "nfs"),
    (0x8000_0012, "dfsr"),
    (0x8000_000A, "dfs"),
    (0x8000_0007, "sis"),
    (0x8000_0008, "wim"),
    (0x8000_0016, "dedup_chunk"),
    (0x8000_0018, "wci"),
    (0xA000_001D, "lx_symlink"),
    (0x8000_0023, "af_unix"),
    (0x8000_0024, "lx_fifo"),
    (0x8000_0025, "lx_chr"),
    (0x8000_0026, "lx_blk"),
    (0x9000_001A, "cloud"),
    (0x9000_301A, "cloud_3"),
    (0x9000_601A, "cloud_6"),
    (0x9000_701A, "cloud_7"),
];

fn windows(
    record: &mut Record,
    metadata: &Metadata,
    context: &Context<'_>,
    descriptors: &mut Descriptors<Shared>,
    faults: &mut Vec<Fault>,
) {
    let Some(windows) = &metadata.windows else { return };
    record.set(Attribute::Attributes, Value::Text(attribute_names(windows.attributes)));
    if let Some(descriptor) = &windows.descriptor {
        let decode = || Some(Descriptor::decode(descriptor, context.sid_names));
        if let Some(descriptor) = descriptors.get(Shared(Arc::clone(descriptor)), decode) {
            descriptor.describe(record, true, faults);
        }
    }
    if let Some((tag, data)) = &windows.reparse {
        let known = REPARSE_TAGS.iter().find(|(known, _)| known == tag);
        let name = known.map_or_else(|| format!("{tag:#010x}"), |(_, name)| (*name).to_owned());
        record.set(Attribute::ReparseTag, Value::Text(name));
        record.set(Attribute::ReparseSha256, Value::Text(hash::bytes(data)));
    }
}

/// The owner's SID: its offset stands at 4 in a self-relative descriptor ([MS-DTYP] 2.4.6).
pub(super) fn owner_sid(descriptor: &[u8]) -> Option<String> {
    let at = len32(descriptor, 4).filter(|at| *at != 0)?;
    sid::to_string(descriptor.get(at..)?).ok()
}

/// A fault's record, with the volume beside it.
pub(super) fn fault(path: &[u8], name: &[u8], part: Part, fault: Fault, volume: &str) -> Record {
    let mut record = Record::fault(path, name, part, fault);
    record.set(Attribute::Volume, Value::Text(volume.to_owned()));
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_attributes_of_one_name_the_first_counts_and_the_other_is_a_fault() {
        let xattr = |value: &[u8]| fs::Xattr { name: b"user.a".to_vec(), value: value.to_vec() };
        let metadata = Metadata { xattrs: vec![xattr(b"first"), xattr(b"second!")], ..Metadata::default() };
        let mut record = Record::new("/f", Kind::File);
        let mut faults = Vec::new();
        xattrs(&mut record, &metadata, &mut faults);
        let Some(Value::Xattrs(kept)) = record.get(Attribute::Xattrs) else { panic!("no attributes") };
        assert_eq!(kept[b"user.a".as_slice()].size, 5);
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn modes_have_one_leading_zero() {
        assert_eq!([0o644, 0o4755, 0].map(octal), ["0644", "04755", "0000"]);
    }

    #[test]
    fn bits_without_a_name_are_shown_as_a_number() {
        assert_eq!(attribute_names(0x80), "");
        assert_eq!(attribute_names(0x26), "hidden,system,archive");
        assert_eq!(attribute_names(0x8000_0001), "readonly,0x80000000");
    }
}
