#!/bin/sh
# Grows the root partition to the end of its disk, and its filesystem with it: for disks and systems that systemd-repart
# does not serve. Does nothing when there is nothing to gain.
set -eu
export LC_ALL=C

# Less than this many sectors are not worth a new table: a GPT keeps 33 behind the last partition.
WORTH=4096

device=$(readlink -f "$(findmnt -nro SOURCE /sysroot | cut -d'[' -f1)")
partition=/sys/class/block/${device##*/}
number=$(cat "$partition/partition")
disk=$(readlink -f "$partition/..")
end=$(($(cat "$partition/start") + $(cat "$partition/size")))
room=$(($(cat "$disk/size") - end))
for other in "$disk"/*/start; do
    if [ "$(cat "$other")" -ge "$end" ]; then
        echo "partition $number is not the last one of ${disk##*/}, it stays as it is"
        room=0
    fi
done
if [ "$room" -gt "$WORTH" ]; then
    echo ', +' | sfdisk --no-reread --no-tell-kernel --force --quiet -N "$number" "/dev/${disk##*/}"
    partx --update --nr "$number" "/dev/${disk##*/}"
fi
if [ -x /usr/lib/systemd/systemd-growfs ]; then
    exec /usr/lib/systemd/systemd-growfs /var
fi
exec resize2fs "$device"
