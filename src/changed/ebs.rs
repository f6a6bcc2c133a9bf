//! `aws ebs list-changed-blocks` (EBS direct APIs, "ListChangedBlocks"): one object a page; the last page has no
//! `NextToken`. A block with one token only was added or removed, and changed all the same. `VolumeSize` is bytes in
//! one place and gibibytes in another, and is not believed.

use serde::Deserialize;

use super::{ChangedRanges, malformed, ranges::push};
use crate::error::Result;

const FORMAT: &str = "EBS list-changed-blocks";
/// Blocks have had 512 KiB since there are any; some room for others.
const MAX_BLOCK: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    changed_blocks: Vec<Block>,
    block_size: u64,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    block_index: u64,
}

pub(super) fn parse(text: &str) -> Result<ChangedRanges> {
    let (mut ranges, mut size, mut more) = (Vec::new(), None, true);
    for page in serde_json::Deserializer::from_str(text).into_iter::<Page>() {
        let page = page.map_err(|error| malformed(FORMAT, error))?;
        if !more {
            return Err(malformed(FORMAT, "a page behind one without NextToken"));
        }
        let block = page.block_size;
        if !block.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block) || *size.get_or_insert(block) != block {
            return Err(malformed(FORMAT, format!("BlockSize {block}")));
        }
        for Block { block_index } in page.changed_blocks {
            let start = block_index.checked_mul(block);
            let start = start.ok_or_else(|| malformed(FORMAT, format!("BlockIndex {block_index}")))?;
            push(&mut ranges, FORMAT, start, block)?;
        }
        more = page.next_token.is_some_and(|token| !token.is_empty());
    }
    if more {
        return Err(malformed(FORMAT, "NextToken is set on the last page: the list is not complete"));
    }
    let slack = size.unwrap_or(512).saturating_sub(1);
    Ok(ChangedRanges::sparse(FORMAT, ranges, slack))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"ChangedBlocks":[
  {"BlockIndex":0,"FirstBlockToken":"AAAB...","SecondBlockToken":"AAAB..."},
  {"BlockIndex":6001,"FirstBlockToken":"AAAB..."}],
 "ExpiryTime":1576308931.973,"VolumeSize":32212254720,"BlockSize":524288,"NextToken":"AAAD..."}"#;
    const LAST: &str = r#"{"ChangedBlocks":[],"ExpiryTime":1.592976647009E9,"VolumeSize":30,"BlockSize":524288}"#;

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let list = parse(&format!("{FIRST}\n{LAST}")).unwrap();
        assert_eq!(list.ranges(), [0..524288, 6001 * 524288..6002 * 524288]);
        // The last block may be larger than what is left of the disk.
        assert!(list.check_size(6001 * 524288 + 4096).is_ok() && list.check_size(6001 * 524288).is_err());
    }

    #[test]
    fn what_is_not_complete_or_contradicts_itself_is_refused() {
        let other = LAST.replace("524288", "4096");
        for text in [FIRST.to_owned(), format!("{LAST}{LAST}"), format!("{FIRST}{other}"), LAST.replace("524288", "0")]
        {
            assert!(parse(&text).is_err(), "{text}");
        }
        let far = FIRST.replace("6001", "18446744073709551615");
        assert!(parse(&format!("{far}{LAST}")).is_err());
    }
}
