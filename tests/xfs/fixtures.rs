//! The images of `fixtures/xfs`, each against the table that the kernel made of it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, VolumeInfo, xfs::Xfs},
    image::Memory,
};

use crate::truth::{self, Row};

/// The kernel lists an ACL twice: as what it is, and as the attribute that keeps it. We list it once.
pub(crate) fn without_raw_acls(truth: &mut BTreeMap<String, Row>) {
    for row in truth.values_mut() {
        if let Some(xattrs) = row.get_mut("xattrs") {
            let kept: Vec<&str> = xattrs.split(';').filter(|xattr| !xattr.starts_with("trusted.SGI_ACL_")).collect();
            *xattrs = kept.join(";");
        }
    }
}
