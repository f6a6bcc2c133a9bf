//! The `ntfs` crate reads the same records: it has the times of each `$FILE_NAME`, which ntfs-3g does not show.

use std::{collections::BTreeSet, io::Cursor, sync::Arc};

use ntfs::{Ntfs as Other, NtfsAttributeType, structured_values::NtfsFileName};
use snapfim::{fs::Timestamp, image::Image};

use crate::{
    sparse::Sparse,
    walk::{filetime, open},
};

#[test]
fn file_name_times_equal_those_of_the_ntfs_crate() {
    let image = Sparse::fixture("basic");
    let mut bytes = vec![0; image.len() as usize];
    image.read_at(0, &mut bytes).expect("the volume");
    let mut disk = Cursor::new(bytes);
    let other = Other::new(&mut disk).expect("a volume");
    let (_, rows) = open(Arc::new(image));
    let mut seen = BTreeSet::new();
    for (path, row) in rows.iter().filter(|(path, _)| path.as_slice() != b"/") {
        let split = path.iter().rposition(|byte| *byte == b'/').expect("a separator");
        let parent = if split == 0 { &b"/"[..] } else { &path[..split] };
        let number = |path: &[u8]| -> u64 {
            let id = rows[path].meta.id.clone().expect("an id");
            id.split(':').next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let found = row.link.as_ref().expect("the times of a link").times;
        let ticks = |time: Option<Timestamp>| filetime(time.expect("a time"));
        let found = [ticks(found.crtime), ticks(found.mtime), ticks(found.ctime), ticks(found.atime)];
        let file = other.file(&mut disk, number(path)).expect("a record");
        let mut attributes = file.attributes();
        let mut names = Vec::new();
        while let Some(item) = attributes.next(&mut disk) {
            let item = item.expect("an attribute");
            let attribute = item.to_attribute().expect("an attribute");
            if attribute.ty().expect("a type") == NtfsAttributeType::FileName {
                let name: NtfsFileName = attribute.structured_value(&mut disk).expect("a name");
                let times = [
                    name.creation_time(),
                    name.modification_time(),
                    name.mft_record_modification_time(),
                    name.access_time(),
                ];
                let units: Vec<u16> = String::from_utf8_lossy(&path[split + 1..]).encode_utf16().collect();
                let same = name.name().u16_iter().eq(units) || std::str::from_utf8(path).is_err();
                if same && name.parent_directory_reference().file_record_number() == number(parent) {
                    names.push(times.map(|time| time.nt_timestamp()));
                }
            }
        }
        assert_eq!(names, [found], "{}", String::from_utf8_lossy(path));
        seen.insert(found);
    }
    assert!(seen.len() > 50, "times that differ: {}", seen.len());
}
