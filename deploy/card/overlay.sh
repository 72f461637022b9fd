#!/usr/bin/env bash
# Tries a gate on a root that is never written: an overlay whose upper half is memory, as
# raspi-config and overlayroot make it, with the gate's state on a disk of its own. The school is
# enrolled, the machine "starts again" with an empty upper half, and a student is recognised.
#   sudo deploy/card/overlay.sh      in mount namespaces of this machine; its own files are not touched
# Says what was written besides the state; the exit code is 1 where anything is not as it should be.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "an overlay can only be mounted by root: sudo $0" >&2; exit 1; }
[ -x "$tree/.venv/bin/python" ] || { echo "no $tree/.venv: make setup" >&2; exit 1; }

work=$(mktemp -d /var/tmp/kaimen-overlay-XXXXXXXX)
export work tree
trap 'umount "$work/state" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
mkdir "$work/state" "$work/root" "$work/ram"
truncate -s 64M "$work/state.img"
mkfs.ext4 -q "$work/state.img"
mount -o loop,noatime "$work/state.img" "$work/state"
cat >"$work/kaimen.toml" <<'SETTINGS'
[gallery]
path = "/var/lib/kaimen/gallery.sqlite"
key = "/var/lib/kaimen/key/gallery.key"
[bundle]
path = "/var/lib/kaimen/bundles"
[checks]
replay = false
[door]
mock = true
SETTINGS

started() { # commands; what they print, and below it what was written into memory
    commands=$1 unshare --mount bash -euo pipefail <<'INSIDE'
        mount -t tmpfs ram "$work/ram"
        mkdir "$work"/ram/{upper,work}
        mount --bind / "$work/root"
        mount -o remount,bind,ro "$work/root"
        mount -t overlay overlay \
            -o "lowerdir=$work/root,upperdir=$work/ram/upper,workdir=$work/ram/work" "$work/root"
        for each in /proc /dev; do mount --rbind "$each" "$work/root$each"; done
        mkdir -p "$work/root/var/lib/kaimen"
        mount --bind "$work/state" "$work/root/var/lib/kaimen"
        cp "$work/kaimen.toml" "$work/root/tmp/kaimen-overlay.toml"
        chroot "$work/root" env -C "$tree" OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 \
            bash -euo pipefail -c "$commands" </dev/null
        cd "$work/ram/upper"
        find . -type f -not -name kaimen-overlay.toml -printf 'written into memory: %P\n'
INSIDE
}
kaimen=".venv/bin/python -m kaimen.cli.main"
settings="--config /tmp/kaimen-overlay.toml --json"
school=edge/kaimen/rehearsal/recordings

enrolled=$(started "$kaimen enroll --from $school $settings >/dev/null; $kaimen students $settings | grep -c student")
echo "enrolled: $enrolled"
again=$(started "$kaimen students $settings | grep -c student
    $kaimen listen $settings $school/anning/phrase-6.mp3 | grep -o '\"opened\": [a-z]*'")
echo "after a start with an empty upper half: $again"
[[ $enrolled == "${again%%$'\n'*}" && $again == *true && $again != *memory* && $enrolled != *memory* ]]
