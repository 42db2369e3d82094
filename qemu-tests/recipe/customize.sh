# A mmdebstrap hook: $1 is the new root, with /proc, /sys and /dev mounted. The files of base/ are in place already.
set -eu
kernel=$(basename "$1"/usr/lib/modules/*)
chroot "$1" env TMPDIR=/tmp dracut --force --no-hostonly --reproducible \
    "/usr/lib/modules/$kernel/initramfs.img" "$kernel"
chroot "$1" systemctl enable smoke.service systemd-networkd.service systemd-resolved.service
chroot "$1" systemctl disable systemd-networkd-wait-online.service
