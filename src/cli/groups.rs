//! Arguments that several verbs share; what they mean together is in `settings.rs`.

use std::path::PathBuf;

use clap::Args;

use crate::scan::Budgets;

/// How a target is opened.
#[derive(Debug, Clone, Args)]
pub(crate) struct OpenArgs {
    /// The volume of / or C: where a target holds several systems: its id (@…), UUID or label
    #[arg(long, value_name = "VOLUME")]
    pub(crate) root: Option<String>,
    /// Open backing, parent and extent files beneath this folder, not only beneath the image's own
    #[arg(long, value_name = "DIR")]
    pub(crate) image_root: Option<PathBuf>,
    /// Of a directory target: also enter filesystems that are mounted beneath it
    #[arg(long)]
    pub(crate) cross_devices: bool,
    /// A key for encrypted volumes: LUKS passphrase or key file; BitLocker recovery password, .BEK file or password;
    /// may be repeated, each is tried on each; - is standard input
    #[arg(long = "key-file", value_name = "FILE")]
    pub(crate) key_files: Vec<PathBuf>,
    /// Memory for one key derivation (Argon2), in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, hide_short_help = true)]
    pub(crate) max_key_memory: u32,
    /// Rounds of all key derivations of one target; a million takes a quarter of a second to three seconds
    #[arg(long, value_name = "N", default_value_t = 200_000_000, hide_short_help = true)]
    pub(crate) max_key_rounds: u64,
}

/// What is monitored.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyArgs {
    /// Policy file (TOML); - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Built-in profile, beside those that a policy file names: recommended, extended, full; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    pub(crate) profiles: Vec<String>,
}

/// How the work is done.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkArgs {
    /// Worker threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Read images at this many MB (10^6 bytes) a second at most
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_read_rate: Option<u64>,
    /// Bytes of holes hashed in one file
    #[arg(long, value_name = "BYTES", default_value_t = Budgets::DEFAULT.hole_bytes, hide_short_help = true)]
    pub(crate) max_hole_bytes: u64,
    /// Bytes of holes hashed in all files of a target
    #[arg(long, value_name = "BYTES", default_value_t = Budgets::DEFAULT.total_hole_bytes, hide_short_help = true)]
    pub(crate) max_total_hole_bytes: u64,
    /// Bytes hashed in all files of a target besides [default: 64 times what it holds, at least 1 TiB; of a directory no
    /// limit]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(crate) max_total_bytes: Option<u64>,
    /// Directories beneath each other
    #[arg(long, value_name = "N", default_value_t = Budgets::DEFAULT.depth, hide_short_help = true)]
    pub(crate) max_depth: usize,
    /// Entries of one directory
    #[arg(long, value_name = "N", default_value_t = Budgets::DEFAULT.entries, hide_short_help = true)]
    pub(crate) max_entries: u64,
    /// Records of one manifest
    #[arg(long, value_name = "N", default_value_t = Budgets::DEFAULT.records, hide_short_help = true)]
    pub(crate) max_records: u64,
    /// Bytes of one registry hive
    #[arg(long, value_name = "BYTES", default_value_t = Budgets::DEFAULT.hive_bytes, hide_short_help = true)]
    pub(crate) max_hive_bytes: usize,
    /// Memory for sorting, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, hide_short_help = true)]
    pub(crate) max_memory: usize,
}

/// What is taken over from the machine's last scan.
#[derive(Debug, Clone, Args)]
pub(crate) struct RescanArgs {
    /// What changed since the last scan, as qemu-img map, nbdinfo --map, EBS list-changed-blocks, Azure get page
    /// ranges, rbd diff, VMware QueryChangedDiskAreas or thin_delta print it; once for each disk of the target; -
    /// is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) changed: Vec<PathBuf>,
    /// The scan since which --changed tells; without it the list is not used
    #[arg(long, value_name = "SCAN", requires = "changed")]
    pub(crate) changed_since: Option<String>,
    /// Read everything, also what is known not to have changed
    #[arg(long, conflicts_with_all = ["changed", "verify_reuse"])]
    pub(crate) no_reuse: bool,
    /// Read this share of what is taken over all the same, and fail when it differs
    #[arg(long, value_name = "P%")]
    pub(crate) verify_reuse: Option<String>,
}
