#!/bin/bash
# An ext4 image of very many small files, 1 to 4 KiB of random bytes each, a thousand to a directory.
#
#   benches/many-files.sh IMAGE [FILES]      # a million unless told otherwise; needs mke2fs, and room below TMPDIR
set -euo pipefail
image=$1 files=${2:-1000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for ((dir = 0; dir * 1000 < files; dir++)); do
    folder=$work/$(printf 'd%06d' "$dir")
    mkdir "$folder"
    for kib in 1 2 3 4; do
        head -c $((250 * kib * 1024)) /dev/urandom | split -b $((kib * 1024)) -a 3 -d - "$folder/f$kib"
    done
done
rm -f "$image"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -N $((files + files / 500 + 100)) -d "$work" "$image" $((files * 5 + 65536))k
