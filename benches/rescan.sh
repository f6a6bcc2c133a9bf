#!/bin/bash
# What a rescan after an ordinary night costs beside a full scan: an overlay in which the changed files hold about one
# percent of the bytes that a full scan reads, or one part in SHARE. They are chosen at random all over the tree. Needs
# root for a mount, qemu-img and util-linux's script.
#
#   cargo build --release && sudo benches/rescan.sh IMAGE [OFFSET_OF_THE_EXT4_FILESYSTEM_IN_BYTES] [ROUNDS] [SHARE]
#
# Works on sparse copies below TMPDIR, which needs room for two; the image itself is only read.
set -euo pipefail
image=$1 offset=${2:-0} rounds=${3:-5} share=${4:-100}
snapfim=$(realpath "${SNAPFIM:-$(dirname "$0")/../target/release/snapfim}")
work=$(mktemp -d)
mkdir "$work/mnt"
loop=
cleanup() {
    umount "$work/mnt" 2>/dev/null || true
    [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
cd "$work"
size=$(stat -c %s "$image")
dd if="$image" of=day0.raw bs=1M iflag=skip_bytes skip="$offset" conv=sparse status=none
truncate -s $((size - offset)) day0.raw
cp --sparse=always day0.raw day1.raw

# Off a terminal a scan takes the lowest priority, which is not what is to be measured; nor is what the terminal takes,
# nor what it takes to start another program that tells the time. In microseconds.
cat >timed <<'END'
start=${EPOCHREALTIME/[.,]/}
"$@" || true
echo $((${EPOCHREALTIME/[.,]/} - start)) >took
END
scan() { script -qec "bash timed $snapfim -q scan $1 --machine m --state $2 --profile full --threads 2 --exit-zero" /dev/null >/dev/null; }
field() { grep -o "\"$2\":[0-9]*" "$1"/scans/*/"$(ls -t "$1"/scans/*/ | head -n 1)" | head -n 1 | cut -d: -f2; }
lines() { zstd -dqc "$1/machines/m/$(cat "$1/machines/m/latest").manifest.zst" | sha256sum; }

scan day0.raw base
read_bytes=$(field base Read)
loop=$(losetup -f --show day1.raw)
mount "$loop" mnt
left=$((read_bytes / share))
while IFS= read -r -d '' file && [ "$left" -gt 0 ]; do
    printf 'changed' >>"$file"
    left=$((left - $(stat -c %s "$file")))
done < <(find mnt -xdev -type f -size -2000k -print0 | sort -z -R --random-source=<(yes))
umount mnt
losetup -d "$loop"
loop=
qemu-img create -q -f qcow2 -b day1.raw -F raw night.qcow2
qemu-img rebase -b day0.raw -F raw night.qcow2

for ((round = 0; round < rounds; round++)); do
    for kind in full rescan; do
        rm -rf state
        [ "$kind" = full ] || cp -a base state
        if [ "$kind" = full ]; then scan day1.raw state; else scan night.qcow2 state; fi
        echo "$kind $(cat took)" >>times
        [ "$kind" = full ] && { full_read=$(field state Read); full_lines=$(lines state); } ||
            { rescan_read=$(field state Read); rescan_lines=$(lines state); }
    done
done
median() { grep "^$1 " times | cut -d' ' -f2 | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
[ "$full_lines" = "$rescan_lines" ] && same="the same manifest" || same="ANOTHER MANIFEST"
awk -v f="$(median full)" -v r="$(median rescan)" -v fb="$full_read" -v rb="$rescan_read" -v s="$same" 'BEGIN {
    printf "full scan  median %7.3f s, %d bytes read\n", f / 1e6, fb
    printf "rescan     median %7.3f s, %d bytes read: %.3f of the time, %.4f of the bytes, %s\n", r / 1e6, rb, r / f, rb / fb, s }'
