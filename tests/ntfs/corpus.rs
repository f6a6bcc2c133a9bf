//! The public corpus, where `SNAPFIM_DATA` names its folder: volumes that Windows and others made, listed by ntfs-3g.

use std::{path::PathBuf, sync::Arc};

use snapfim::{
    fs::Kind,
    image::{Image, Memory, Slice},
};

use crate::walk::{check_extents, open, printed, table};

/// What the image's own bytes begin with when it is a container, which is not this room's matter.
const CONTAINERS: [&[u8]; 4] = [b"EVF\x09", b"QFI\xfb", b"conectix", b"vhdxfile"];

#[test]
fn corpus_equals_ntfs_3g() {
    let Some(folder) = std::env::var_os("SNAPFIM_DATA").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let mut wrong = Vec::new();
    for truth in std::fs::read_dir(folder.join("truth")).expect("the truth") {
        let path = truth.expect("a table").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let expected = table(&std::fs::read_to_string(&path).expect("a table"));
        if !name.contains("ntfs") && !name.contains("usnjrnl") {
            continue;
        }
        let packed = std::fs::read(folder.join(format!("images/{name}.zst"))).expect("an image");
        let bytes = zstd::decode_all(packed.as_slice()).expect("zstd");
        if CONTAINERS.iter().any(|magic| bytes.starts_with(magic)) {
            println!("{name}: a container");
            continue;
        }
        let disk: Arc<dyn Image> = Arc::new(Memory(bytes));
        let start: u64 = expected[0]["volume"].parse().expect("an offset");
        let len = disk.len() - start;
        let volume: Arc<dyn Image> = Arc::new(Slice::new(disk, start, len).expect("a partition"));
        let (ntfs, mut rows) = open(Arc::clone(&volume));
        println!("{name}: {} entries, {:?}", expected.len(), snapfim::fs::FileSystem::info(&ntfs));
        for entry in &expected {
            let key = rows.keys().find(|path| printed(path) == entry["path"]).cloned();
            let Some(row) = key.and_then(|key| rows.remove(&key)) else {
                wrong.push(format!("{name}: {} is not listed", entry["path"]));
                continue;
            };
            let kind = match row.kind {
                Kind::File => "file",
                Kind::Dir => "dir",
                Kind::Symlink => "link",
                _ => "other",
            };
            let target = String::from_utf8_lossy(row.meta.target.as_deref().unwrap_or_default());
            // ntfs-3g shows the target as a path of this host, and its length as the size.
            let target = target
                .split_once(":\\")
                .map_or(target.to_string(), |(_, path)| format!("/{}", path.replace('\\', "/")));
            let link = row.kind == Kind::Symlink;
            let size = if link || row.kind == Kind::Dir { &entry["size"] } else { &row.meta.size.to_string() };
            let sha256 = if link { format!("->{target}") } else { row.sha256.clone() };
            let found = [("type", kind), ("size", size.as_str()), ("sha256", sha256.as_str())];
            for (column, found) in found.iter().filter(|(column, found)| entry[*column] != *found) {
                wrong.push(format!("{name}: {}: {column}: {}, {found}", entry["path"], entry[*column]));
            }
            wrong.extend(row.faults.iter().map(|fault| format!("{name}: {}: {fault}", entry["path"])));
            if row.kind == Kind::File {
                check_extents(volume.as_ref(), &row);
            }
        }
        wrong.extend(rows.keys().map(|path| format!("{name}: {} is not in the truth", printed(path))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
