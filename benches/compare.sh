#!/bin/bash
# Holds a scan of one ext4 image beside other ways to hash the same files, in one run, turn by turn, so that a
# noisy machine is noisy for all. Needs root for the read-only mount.
#
#   cargo build --release && sudo benches/compare.sh IMAGE [OFFSET_OF_THE_FILESYSTEM_IN_BYTES] [ROUNDS]
#
# Without an offset the image is that of one filesystem. For a partition give its first byte; only that filesystem
# is hashed by the others, so snapfim is given a sparse copy of it alone. AIDE takes part where it is installed.
# With PROFILE=recommended only snapfim and AIDE take part, both with the recommended list. Needs util-linux's script:
# off a terminal snapfim takes the lowest priority, which is not what is to be measured.
set -euo pipefail
image=$1 offset=${2:-0} rounds=${3:-5}
snapfim=$(realpath "${SNAPFIM:-$(dirname "$0")/../target/release/snapfim}")
profile=${PROFILE:-full}
work=$(mktemp -d)
mnt=$work/mnt
mkdir "$mnt"
loop=$(losetup -f --show -r -o "$offset" "$image")
cleanup() { umount "$mnt" 2>/dev/null || true; losetup -d "$loop" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 1' INT TERM
mount -o ro,noload "$loop" "$mnt"
volume=$image
if [ "$offset" != 0 ]; then
    volume=$work/volume.raw
    dd if="$loop" of="$volume" bs=4M conv=sparse status=none
    truncate -s "$(blockdev --getsize64 "$loop")" "$volume"
fi
attributes=sha256+p+u+g+s+m+c+n+acl+xattrs+l
printf 'database_out=file:%s\ngzip_dbout=no\nnum_workers=2\n' "$work/aide.db" >"$work/aide.conf"
case $profile in
    full) printf '%s %s\n' "$mnt" "$attributes" ;;
    *)
        for path in boot etc/crontab etc/cron.daily etc/cron.hourly etc/cron.monthly etc/cron.weekly etc/init.d \
            opt/bin opt/sbin usr/bin usr/local/bin usr/local/sbin usr/sbin; do
            printf '%s/%s %s\n' "$mnt" "$path" "$attributes"
        done
        printf '%s/etc/[^/]+\\.conf$ %s\n' "$mnt" "$attributes"
        ;;
esac >>"$work/aide.conf"
# What it takes to make the terminal, or a shell, is not what is to be measured: the time is told inside, in microseconds.
cat >"$work/timed" <<'END'
took=$1
start=${EPOCHREALTIME/[.,]/}
eval "$2" || true
echo $((${EPOCHREALTIME/[.,]/} - start)) >"$took"
END
timed() { bash "$work/timed" "$work/took" "$1"; }
scan() {
    rm -rf "$work/s"
    local command="$snapfim -q scan $volume --machine m --state $work/s --profile $profile --threads $1"
    script -qec "bash $work/timed $work/took '$command'" /dev/null
}
run() {
    case $1 in
        snapfim-2) scan 2 ;;
        snapfim-1) scan 1 ;;
        openssl) timed "find $mnt -type f -print0 | xargs -0 -P2 openssl dgst -sha256 -r" ;;
        sha256sum) timed "find $mnt -type f -print0 | xargs -0 -P2 sha256sum" ;;
        aide) rm -f "$work/aide.db"; timed "aide --init --config $work/aide.conf" ;;
    esac >/dev/null 2>&1 || true
}
names=(snapfim-2 snapfim-1)
[ "$profile" = full ] && names+=(openssl sha256sum)
command -v aide >/dev/null && names+=(aide)
for name in "${names[@]}"; do run "$name"; done   # warms the page cache
for ((round = 0; round < rounds; round++)); do
    for name in "${names[@]}"; do
        run "$name"
        echo "$name $(cat "$work/took")" >>"$work/times"
    done
done
median() { grep "^$1 " "$work/times" | cut -d' ' -f2 | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
base=$(median snapfim-2)
for name in "${names[@]}"; do
    time=$(median "$name")
    awk -v n="$name" -v t="$time" -v b="$base" 'BEGIN { printf "%-10s median %7.3f s   snapfim-2 takes %.2f of it\n", n, t / 1e6, b / t }'
done
