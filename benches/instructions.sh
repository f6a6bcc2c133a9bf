#!/bin/bash
# Counts the instructions of a scan, which a noisy machine does not change. Needs valgrind, whose processor has no SHA
# extensions: SHA-256 is counted apart, since it takes 47 instructions a byte there and about 2 on real ones.
#
#   cargo build --release && benches/instructions.sh TARGET [STATE]
#
# With STATE, a state directory that holds a scan of what TARGET stands on (machine "m"), a rescan is counted, on a copy.
set -euo pipefail
snapfim=$(realpath "${SNAPFIM:-$(dirname "$0")/../target/release/snapfim}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -lt 2 ] || cp -a "$2" "$work/state"
valgrind --tool=callgrind --callgrind-out-file="$work/out" "$snapfim" -q scan "$1" --machine m --state "$work/state" \
    --profile full --threads 1 --exit-zero >/dev/null 2>&1 || true
entities=$(zstd -dqc "$work/state/machines/m/$(cat "$work/state/machines/m/latest").manifest.zst" | wc -l)
callgrind_annotate --inclusive=yes "$work/out" | awk -v n="$((entities - 2))" '
    { gsub(",", "", $1) }
    /PROGRAM TOTALS/ { total = $1 }
    /sha2::sha256.*compress/ && $1 + 0 > sha { sha = $1 + 0 }
    function row(name) { if (!(name in seen)) { seen[name] = 1; rows[++count] = name; of[name] = $1 } }
    /walk::Worker<.*>::work |worker::Worker<.*>::work / { row("walk, with SHA-256 of contents") }
    /reader::Reader as snapfim::fs::Session>::list / { row("  listing directories") }
    /reader::Reader as snapfim::fs::Session>::metadata / { row("  metadata") }
    /scan::entity::record / { row("  records") }
    /manifest::collect::Collector::push / { row("  lines") }
    /manifest::live::hand_over / { row("merging and hashing the manifest") }
    /manifest::block::Blocks::fill / { row("reading the manifest before, with its SHA-256") }
    /diff::merge::run / { row("comparing") }
    /reuse::trace::Basis::fingerprint / { row("fingerprints of what records rest on, with SHA-256") }
    /SideWriter as .*Follow>::take / { row("writing what is kept of records") }
    /reuse::index::Index::load / { row("reading what is kept of records") }
    END {
        printf "%-50s %8.0f M, %6.0f an entity\n", "all without SHA-256", (total - sha) / 1e6, (total - sha) / n
        printf "%-50s %8.0f M\n", "SHA-256", sha / 1e6
        for (at = 1; at <= count; at++) printf "%-50s %8.0f M\n", rows[at], of[rows[at]] / 1e6
    }'
