#!/usr/bin/env bash
# Builds the emulated Pi: an SD card of Debian's arm64 packages with Kaimen's own package on it, to
# be installed there, and the kernel, initrd and board description to boot it with.
#   deploy/emulated-pi/build.sh [SUITE]     bookworm unless told otherwise; into build/emulated-pi/SUITE
# Needs root. What was built stays: only Kaimen's package and the card are made again, and with
# PACKAGED=1 only the card.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "${TREE:-$here/../..}" && pwd)
python=${PYTHON:-$tree/.venv/bin/python}
suite=${1:-bookworm}
out=$tree/build/emulated-pi/$suite
root=$out/root

needed="mmdebstrap qemu-aarch64-static:qemu-user-static qemu-system-aarch64:qemu-system-arm
    mke2fs:e2fsprogs fdtput:device-tree-compiler cpio:cpio xz:xz-utils arch-test:arch-test"
missing=
for each in $needed; do
    command -v "${each%%:*}" >/dev/null || missing+=" ${each##*:}"
done
[ -z "$missing" ] || { echo "missing: sudo apt-get install$missing" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "an arm64 root can only be made by root: sudo $0" >&2; exit 1; }
[ -x "$python" ] || { echo "no $python: make setup" >&2; exit 1; }
mkdir -p "$out"

say() { echo "emulated Pi, $suite: $* ($SECONDS s)"; }

if [ ! -e "$out/.root" ]; then
    say "Debian for arm64"
    rm -rf --one-file-system "$root" # a killed build leaves /dev/shm mounted in it
    # First what the package depends on, then what makes a bare Debian boot as a Pi: neither a
    # compiler nor pip. Debian's own initrd would take longer to make than all the rest, and
    # longer to boot. So would the names of all hardware that there is, which nobody asks for here.
    INITRD=No mmdebstrap --quiet --architectures=arm64 --variant=minbase \
        --include=python3,libportaudio2,adduser \
        --include=systemd-sysv,udev,kmod,alsa-utils,linux-image-arm64,busybox-static \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*' \
        "$suite" "$root"
    touch "$out/.root"
fi

say "Kaimen's package"
[ -n "${PACKAGED:-}" ] || "$tree/deploy/deb/build.sh" arm64 "$suite"
cp "$tree/build/deb/$suite-arm64/kaimen.deb" "$root/root/"
chroot "$root" groupadd --force --system gpio # Raspberry Pi OS has it

say "recordings"
rm -rf "$root/opt/phrases"
(cd "$tree" && PYTHONPATH=$tree "$python" "$here/phrases.py" "$root/opt/phrases" ${SPEECH:+"$SPEECH"})

cp "$here/kaimen.toml" "$root/opt/phrases/"
# People do not sound like a loudspeaker; synthetic voices do.
[ -z "${SPEECH:-}" ] || sed -i /^loudspeaker/d "$root/opt/phrases/kaimen.toml"

say "card"
cp -r "$here/card/." "$root/"
ln -sf /dev/null "$root/etc/systemd/system/serial-getty@ttyS1.service"
ln -sf ../console.service "$root/etc/systemd/system/multi-user.target.wants/console.service"
echo emulated-pi >"$root/etc/hostname"
version=$(basename "$root"/lib/modules/*)
modules=$root/lib/modules/$version
cp "$root/boot/vmlinuz-$version" "$out/kernel"
cp "$root/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$out/board.dtb"
# A Pi's firmware adds its revision, by which programs know the board: here a 3B, 1 GiB.
fdtput -p -t x "$out/board.dtb" /system linux,revision a02082
initrd=$(mktemp -d)
trap 'rm -r "$initrd"' EXIT
install -D "$root/bin/busybox" "$initrd/bin/busybox"
install "$here/init" "$initrd/init"
mkdir "$initrd/card" "$initrd/dev"
for each in mmc/host/bcm2835 mmc/host/sdhci-iproc fs/ext4/ext4 crypto/crc32c_generic; do
    # What a module needs stands after it, the innermost last. Some Debians compress them.
    sed -n "s,^\([^:]*/$each.ko\(.xz\)\?\):,\1,p" "$modules/modules.dep" | tr ' ' '\n' | tac
done >"$initrd/modules"
(cd "$modules" && xargs -a "$initrd/modules" cp --parents -t "$initrd")
find "$initrd" -name '*.ko.xz' -exec xz --decompress {} +
sed -i 's/[.]xz$//' "$initrd/modules"
(cd "$initrd" && find . | cpio --quiet -o -H newc | gzip) >"$out/initrd"
rm -f "$out/card.img"
truncate -s 2G "$out/card.img" # QEMU wants a power of two
mke2fs -q -t ext4 -E lazy_itable_init=0 -O ^has_journal -d "$root" "$out/card.img"
say "done: $out"
