//! What can be typed. The same definitions give the help, the manual pages and the shell completions.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::groups::{OpenArgs, PolicyArgs, RescanArgs, WorkArgs};

/// Agentless file integrity monitoring for snapshots of Linux and Windows machines.
#[derive(Debug, Parser)]
#[command(name = "snapfim", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Say more on standard error: bytes read and hashed, threads, time
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing on standard error but errors; scan and diff print no text where there is nothing to report
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Colour and progress bars
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) color: When,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   complete, nothing to report (also: first baseline written, or not due)
  1   complete, changes reported (--exit-zero turns it off)
  4   a coverage gap that the policy does not accept; 5 with changes too
  2   usage
  65  target corrupt or unrecognised    66  target cannot be opened
  70  internal error                    74  state could not be read or written
  75  busy, try again                   78  policy or configuration";

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Scan targets, compare each with its machine's previous scan, append to the change log
    #[command(after_help = "\
Examples:
  snapfim scan /snapshots/*.raw --state /var/lib/snapfim --every 24h
  snapfim scan web01.raw --state s --profile extended --snapshot-time 2026-11-21T03:00:00Z
  snapfim scan sda.raw+sdb.raw --machine db01 --state s --format ndjson
  snapfim scan laptop.raw --state s --key-file luks.key --key-file bitlocker-recovery.txt")]
    Scan(ScanArgs),
    /// Compare two targets, manifests or hives once, without a state directory
    #[command(after_help = "\
Examples:
  snapfim diff day0.raw day1.raw
  snapfim diff golden.raw build.raw --policy ci.toml --format ndjson

A manifest keeps the policy that it was made under: two manifests are compared under --policy or
--profile only where that is the same but for what it accepts.")]
    Diff(DiffArgs),
    /// Read the change log, newest first
    #[command(after_help = "\
Examples:
  snapfim log --state s --computer web01 --since 14d
  snapfim log --state s --count-by Computer,MonitoredEntityType --since 14d
  snapfim log --state s --path '/etc/**' --severity high --format csv")]
    Log(LogArgs),
    /// One line a machine: last scan, age, changes that the scans of 7 days found, coverage; exit 1 when one is overdue
    Status(StatusArgs),
    /// Every recorded change of one path or registry key, and when its volume was lost
    History(HistoryArgs),
    /// Show what a target holds: container, partitions, volumes, filesystems, mount points, system
    Inspect(InspectArgs),
    /// Print one file's bytes out of a target
    #[command(after_help = "\
Examples:
  snapfim cat web01.raw /etc/passwd
  snapfim cat win.raw 'C:\\Users\\alice\\setup.exe:Zone.Identifier'
  snapfim cat win.raw 'HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run' --value Updater")]
    Cat(CatArgs),
    /// Print a manifest's records as NDJSON
    Manifest(ManifestArgs),
    /// Show, check or explain a policy
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Check every manifest of a state directory and that nothing referred to is missing
    Verify(VerifyArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program or of a verb
    #[command(after_help = "\
Examples:
  snapfim man scan | man -l -
  snapfim man policy show | man -l -
  snapfim man --dir /usr/local/share/man/man1")]
    Man(ManArgs),
}

/// How changes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
}

/// How the log is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values, for spreadsheets
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Disk images, block devices or mounted directories; disks of one machine joined by +; IMAGE@SNAPSHOT
    #[arg(required = true, value_name = "TARGET")]
    pub(crate) targets: Vec<OsString>,
    /// State directory: manifests, change log and proofs; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The machine's name, instead of one made from the target's file name
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Scan only what was last scanned this long ago, 10 % early is due: 24h, 7d, 90m
    #[arg(long, value_name = "DURATION")]
    pub(crate) every: Option<String>,
    /// When the snapshot was taken (RFC 3339) [default: the image's modification time]
    #[arg(long, value_name = "TIME")]
    pub(crate) snapshot_time: Option<String>,
    /// Scan a snapshot even when it is older than the last one
    #[arg(long)]
    pub(crate) allow_older: bool,
    #[command(flatten)]
    pub(crate) rescan: RescanArgs,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(crate) format: ReportFormat,
    /// Exit 0 also when changes are reported
    #[arg(long)]
    pub(crate) exit_zero: bool,
    /// Say what would be scanned, and scan nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The older target or manifest; - is a manifest on standard input
    pub(crate) old: OsString,
    /// The newer target or manifest; - is a manifest on standard input
    pub(crate) new: OsString,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// The machine's name in the report [default: made from the newer target's file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(crate) format: ReportFormat,
    /// Exit 0 also when changes are reported
    #[arg(long)]
    pub(crate) exit_zero: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// State directory
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Only this machine
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    /// Only computers whose name contains this, without case
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) computer: Option<String>,
    /// Only these entities; may be repeated
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = trimmed)]
    pub(crate) entity: Vec<String>,
    /// Only what changed from then on, whenever it was scanned: 14d, 24h, 2026-11-01 (from its midnight, UTC), or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Only what changed up to then, that moment included; of a date, all of its day (UTC)
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// Only these change types (Created, Modified, RegistryValueSet…); may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = trimmed)]
    pub(crate) types: Vec<String>,
    /// Only paths or keys that match; CurrentControlSet matches every control set
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Option<String>,
    /// Only this severity and above: info, low, medium, high
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<String>,
    /// Count instead of listing, by these columns
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', value_parser = trimmed)]
    pub(crate) count_by: Vec<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) format: LogFormat,
}

/// One of a list: people put a blank after a comma.
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// State directory
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// A machine is overdue when its last scan is older than this, 10 % late is allowed [default: as its last scan said]
    #[arg(long, value_name = "DURATION")]
    pub(crate) every: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// A path or registry key, as it is or as the log spells it; a value as KEY [value]
    pub(crate) path: OsString,
    /// State directory
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Only this machine
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) format: LogFormat,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The target
    pub(crate) target: OsString,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The target
    pub(crate) target: OsString,
    /// The path inside it, as it is or as the log spells it; PATH:STREAM for a named stream; a registry key with --value
    pub(crate) path: OsString,
    /// The registry value to print
    #[arg(long, value_name = "NAME")]
    pub(crate) value: Option<String>,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The manifest; - is standard input
    pub(crate) file: PathBuf,
    /// Print the header instead
    #[arg(long)]
    pub(crate) header: bool,
}

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Print the effective policy
    Show {
        #[command(flatten)]
        policy: PolicyArgs,
        /// The policy as it is for this machine
        #[arg(long, value_name = "NAME")]
        machine: Option<String>,
    },
    /// Validate a policy file
    Check {
        /// The file; - is standard input
        file: PathBuf,
    },
    /// Say which rule takes or drops a path, and why
    Explain {
        /// A path or registry key
        path: OsString,
        #[command(flatten)]
        policy: PolicyArgs,
        /// The policy as it is for this machine
        #[arg(long, value_name = "NAME")]
        machine: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// State directory
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The verb, and the verb beneath it if there is one
    #[arg(value_name = "VERB")]
    pub(crate) verb: Vec<String>,
    /// Write the pages of the program and of every verb into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
