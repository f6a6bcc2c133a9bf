//! The one table of attributes. The manifest's field names, what a diff compares, what a policy may name in
//! `compare`, and what a report shows all come from here; adding an attribute is one row.

use std::{collections::BTreeMap, sync::Arc};

/// How an attribute's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON number, 0 to 2⁶⁴−1.
    Number,
    /// A JSON string.
    Text,
    /// Bytes that are usually text: a readable string, and `<name>_hex` beside it when they are not Unicode.
    Bytes,
    /// An object: extended attribute names to size and hash.
    Xattrs,
    /// An array of strings.
    List,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// See [`Form::Number`].
    Number(u64),
    /// See [`Form::Text`].
    Text(String),
    /// See [`Form::Bytes`].
    Bytes(Vec<u8>),
    /// See [`Form::Xattrs`]; the keys are the exact names.
    Xattrs(BTreeMap<Vec<u8>, XattrSummary>),
    /// See [`Form::List`].
    List(Arc<[String]>),
}

/// What is kept of an extended attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XattrSummary {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the value, lower-case hexadecimal.
    pub sha256: String,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The attribute.
    pub attribute: Attribute,
    /// Its field name in a manifest, and its name in a policy's `compare`.
    pub name: &'static str,
    /// What stands before its value in a line: `,"name":`.
    pub(crate) json: &'static str,
    /// How its value is written.
    pub form: Form,
    /// Whether a diff compares it unless a rule says otherwise.
    pub compared: bool,
    /// Whether a diff then leaves something of it out, which a rule compares that asks for the attribute by its own name:
    /// the sizes of directories, the flags that say how a file lies on disk.
    pub partly: bool,
    /// Names that stand for several attributes in a policy's `compare`.
    pub groups: &'static [&'static str],
}

macro_rules! attributes {
    (@is) => { false };
    (@is partly) => { true };
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $form:ident $compared:literal $($partly:ident)? [$($group:literal),*];)*) => {
        /// An attribute of an entity, in the order in which a record lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Attribute { $($(#[doc = $doc])* $variant,)* }

        /// Every attribute, in the order of [`Attribute`].
        pub const TABLE: &[Row] = &[
            $(Row {
                attribute: Attribute::$variant, name: $name, json: concat!(",\"", $name, "\":"), form: Form::$form, compared: $compared, partly: attributes!(@is $($partly)?), groups: &[$($group),*],
            },)*
        ];
    };
}

attributes! {
    /// Length of the content in bytes; of a directory, of its own blocks.
    Size "size" Number true partly ["content"];
    /// SHA-256 of the content, lower-case hexadecimal.
    Sha256 "sha256" Text true ["content"];
    /// How the bytes that were hashed stand to the content where they are not it: `encrypted` (EFS, raw bytes).
    Encoding "encoding" Text true ["content"];
    /// A registry value's type: `REG_SZ`…, `REG_TYPE_0x…` for types without a name.
    Type "type" Text true ["content"];
    /// A registry value's data, rendered by type, at most 4 KiB of it.
    Data "data" Text true ["content"];
    /// Permission bits in octal with a leading zero: `0644`, `04755`.
    Mode "mode" Text true ["permissions"];
    /// Owner's number.
    Uid "uid" Number true ["owner"];
    /// Group's number.
    Gid "gid" Number true ["owner"];
    /// Owner's name by the image's own `passwd`.
    User "user" Text false ["owner"];
    /// Group's name by the image's own `group`.
    Group "group" Text false ["owner"];
    /// Number of names.
    Nlink "nlink" Number false [];
    /// Identity that survives a rename: `inode:generation`, `record:sequence`.
    Id "id" Text false [];
    /// Last change of the content, RFC 3339 in UTC with nanoseconds.
    Mtime "mtime" Text false ["times"];
    /// Last change of the inode.
    Ctime "ctime" Text false ["times"];
    /// Creation.
    Crtime "crtime" Text false ["times"];
    /// Last access.
    Atime "atime" Text false ["times"];
    /// `$FILE_NAME` time of this link: content.
    FnMtime "fn_mtime" Text false ["times"];
    /// `$FILE_NAME` time of this link: record.
    FnCtime "fn_ctime" Text false ["times"];
    /// `$FILE_NAME` time of this link: creation.
    FnCrtime "fn_crtime" Text false ["times"];
    /// `$FILE_NAME` time of this link: access.
    FnAtime "fn_atime" Text false ["times"];
    /// Last write of a registry key.
    LastWrite "last_write" Text false ["times"];
    /// POSIX access ACL as text.
    Acl "acl" Text true ["permissions", "acls"];
    /// POSIX default ACL as text.
    DefaultAcl "default_acl" Text true ["permissions", "acls"];
    /// File capabilities as text.
    Caps "caps" Text true ["permissions"];
    /// SELinux label.
    Selinux "selinux" Text true ["permissions"];
    /// Other extended attributes.
    Xattrs "xattrs" Xattrs true [];
    /// Inode flags by `lsattr`'s long names, comma-separated.
    Flags "flags" Text true partly [];
    /// Attributes of NTFS, FAT and exFAT, comma-separated.
    Attributes "attributes" Text true [];
    /// Security descriptor as SDDL.
    Sddl "sddl" Text true ["permissions", "acls"];
    /// SHA-256 of the security descriptor's bytes.
    SdSha256 "sd_sha256" Text true ["permissions", "acls"];
    /// Name of the descriptor's owner.
    Owner "owner" Text false ["owner"];
    /// Where a link leads.
    Target "target" Bytes true [];
    /// Device number: `major,minor`.
    Rdev "rdev" Text true [];
    /// Reparse tag, by name or in hexadecimal.
    ReparseTag "reparse_tag" Text true [];
    /// SHA-256 of the reparse data.
    ReparseSha256 "reparse_sha256" Text true [];
    /// 8.3 name.
    ShortName "short_name" Text false [];
    /// Class name of a registry key.
    ClassName "class" Text true [];
    /// SHA-256 of a class name that is a secret.
    ClassSha256 "class_sha256" Text true [];
    /// Of a fault: the reader that reports it.
    Layer "layer" Text false [];
    /// Of a fault: where in that reader's format.
    At "at" Text false [];
    /// Of a fault: what was expected and found.
    Error "error" Text false [];
    /// Of a fault: what is missing: `entity`, `listing`, `content`, `attributes`, `name`.
    Part "part" Text false [];
    /// The volume's id, `@…`.
    Volume "volume" Text false [];
    /// Names of the rules that cover the entity.
    Rules "rules" List false [];
    /// The rule's own spelling, where a link was followed to get here.
    As "as" Bytes false [];
}

impl Attribute {
    /// The attribute's row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The attribute's field name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it describes the content, so that a fault of [`Part::Content`] explains why it is missing.
    #[must_use]
    pub fn is_content(self) -> bool {
        self.row().groups.contains(&"content")
    }

    /// The attribute of that field name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.attribute)
    }
}

/// What is missing at a fault; the values of [`Attribute::Part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole entity, and all that may lie beneath it.
    Entity,
    /// Some or all of what lies in a directory or key.
    Listing,
    /// The content, in whole or in part.
    Content,
    /// Some attribute.
    Attributes,
    /// Nothing but a sound name: impossible or doubled.
    Name,
}

impl Part {
    /// The value as a manifest writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::Listing => "listing",
            Self::Content => "content",
            Self::Attributes => "attributes",
            Self::Name => "name",
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Entity, Self::Listing, Self::Content, Self::Attributes, Self::Name]
            .into_iter()
            .find(|part| part.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.attribute as usize, at);
            assert_eq!(Attribute::by_name(row.name), Some(row.attribute));
        }
    }
}
