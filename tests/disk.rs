//! Raw images, partition tables, what is in a volume, FAT, exFAT, and directories of the host.
//!
//! What is expected was written by other tools, see `fixtures/disk/make.sh` and `fixtures/exfat/make.sh`: sfdisk, blkid,
//! mtools, exfat-fuse, SleuthKit; and fatfs.
//! Tests over the public test sets find them by `SNAPFIM_DATA`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "what a test stumbles over ends it, and it says what it skips"
)]

#[path = "disk/content.rs"]
mod content;
#[path = "disk/corpus.rs"]
mod corpus;
#[path = "disk/exfat.rs"]
mod exfat;
#[path = "disk/exfat_hostile.rs"]
mod exfat_hostile;
#[path = "disk/exfat_volume.rs"]
mod exfat_volume;
#[path = "disk/fat.rs"]
mod fat;
#[path = "disk/fat_hostile.rs"]
mod fat_hostile;
#[path = "disk/fat_lost.rs"]
mod fat_lost;
#[path = "disk/host.rs"]
mod host;
#[path = "disk/images.rs"]
mod images;
#[path = "disk/mutations.rs"]
mod mutations;
#[path = "disk/support.rs"]
mod support;
#[path = "disk/tables.rs"]
mod tables;
