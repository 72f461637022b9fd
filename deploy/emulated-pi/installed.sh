#!/usr/bin/env bash
# Makes a second card for the emulated Pi, with Kaimen's package installed and the class enrolled:
# what `check.py --own-clock` boots.
#   deploy/emulated-pi/installed.sh [SUITE]      bookworm unless told otherwise; after build.sh
# Debian's installer works on the card's own root, and Kaimen enrolls there by QEMU's user mode. That
# a Pi itself installs the package is what check.py shows without --own-clock. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${TREE:-$here/../..}" && pwd)/build/emulated-pi/${1:-bookworm}
[ -e "$out/card.img" ] || { echo "no $out/card.img: deploy/emulated-pi/build.sh ${1:-}" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "an arm64 root can only be changed by root: sudo $0" >&2; exit 1; }

root=$out/installed
rm -rf --one-file-system "$root" "$out/installed.img"
cp -a "$out/root" "$root"
# Nothing stays mounted, whatever happens, and no process stays.
root=$root unshare --mount --pid --fork bash -euo pipefail <<'INSIDE'
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    # A Pi 3B's processor. With all that QEMU knows, numpy takes vectors (SVE) that QEMU 7.2 adds up wrong.
    inside() { env -i QEMU_CPU=cortex-a53 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        chroot "$root" "$@" </dev/null; }
    # This machine's installer unpacks ten times as fast; the package's scripts run inside.
    DEBIAN_FRONTEND=noninteractive dpkg --root="$root" --force-architecture --force-unsafe-io -i "$root/root/kaimen.deb"
    cp "$root/opt/phrases/kaimen.toml" "$root/etc/kaimen/kaimen.toml"
    inside kaimen enroll --from /opt/phrases/enrolled --json || [ $? = 3 ] # one may be refused
    inside kaimen calibrate --json
INSIDE
truncate -s 2G "$out/installed.img.part"
mke2fs -q -t ext4 -E lazy_itable_init=0 -O ^has_journal -d "$root" "$out/installed.img.part"
mv "$out/installed.img.part" "$out/installed.img"
rm -rf --one-file-system "$root"
echo "done: $out/installed.img ($SECONDS s)"
