#!/usr/bin/env bash
# Builds the Debian package: the program with all it needs in /opt/kaimen, its units and its user.
#   sudo deploy/deb/build.sh [ARCH [SUITE]]      arm64, amd64; bookworm, trixie
# With CONSOLE=1 before it, the operator's desk in a browser and its unit come along.
# Into build/deb. Installing it needs neither a compiler nor a network: what must be compiled
# (hnswlib) is compiled here, for any processor of the architecture. Needs root, for a Debian of
# that architecture and suite to build in, which is kept; another architecture's programs run
# under QEMU's user-mode emulation.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "${TREE:-$here/../..}" && pwd)
arch=${1:-arm64}
suite=${2:-bookworm}
out=$tree/build/deb
root=$out/$suite-$arch/root
case $suite in
    bookworm) python=3.11 ;;
    trixie) python=3.13 ;;
    *) echo "no suite $suite; there are bookworm and trixie" >&2; exit 1 ;;
esac

needed="mmdebstrap dpkg-deb:dpkg"
[ "$arch" = "$(dpkg --print-architecture)" ] || needed+=" qemu-aarch64-static:qemu-user-static"
missing=
for each in $needed; do
    command -v "${each%%:*}" >/dev/null || missing+=" ${each##*:}"
done
[ -z "$missing" ] || { echo "missing: sudo apt-get install$missing" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "a Debian to build in can only be made by root: sudo $0" >&2; exit 1; }

say() { echo "$suite $arch: $* ($SECONDS s)"; }

if [[ $needed = *qemu* ]]; then
    # Usually Debian has set that up.
    formats=/proc/sys/fs/binfmt_misc
    [ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
    [ -e $formats/qemu-aarch64 ] || tail -n 1 /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
fi

if [ ! -e "$out/$suite-$arch/.root" ]; then
    say "a Debian to build in"
    rm -rf "$root"
    mkdir -p "$out/$suite-$arch"
    mmdebstrap --quiet --architectures="$arch" --variant=minbase \
        --include=python3-venv,python3-dev,g++,ca-certificates "$suite" "$root"
    touch "$out/$suite-$arch/.root"
fi

say "the program and what it needs"
rm -rf "$root/usr/src/kaimen"
mkdir -p "$root/usr/src/kaimen" "$out/pip-$arch"
# Training stays where there is time for it.
tar -C "$tree" --exclude=__pycache__ -c pyproject.toml README.md LICENSE NOTICE edge |
    tar -x -C "$root/usr/src/kaimen"
cp "$here/requirements${CONSOLE:+-console}.lock" "$root/usr/src/requirements.lock"
# In a namespace of its own, so that nothing stays mounted whatever happens. pip is configured
# as it is here, and keeps what it compiles in its cache.
root=$root cache=$out/pip-$arch unshare --mount bash -euo pipefail <<'INSIDE'
    mkdir -p "$root/var/cache/pip"
    mount --bind "$cache" "$root/var/cache/pip"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    for each in /etc/resolv.conf /etc/ssl/certs /etc/pip.conf "$HOME/.config/pip"; do
        [ -e "$each" ] || continue
        at=$root/${each/#$HOME//root}
        if [ -d "$each" ]; then mkdir -p "$at"; else mkdir -p "${at%/*}"; [ -e "$at" ] || : >"$at"; fi
        mount --bind "$each" "$at"
    done
    inside() { env HOME=/root PIP_CACHE_DIR=/var/cache/pip PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"; }
    # Another environment's pip fills this one: it needs none of its own.
    [ -e "$root/opt/pip" ] || inside python3 -m venv /opt/pip
    pip="/opt/pip/bin/pip --quiet --disable-pip-version-check --python /opt/kaimen/bin/python"
    versions() { grep -v '^ *#' "$root/$1/requirements.lock" 2>/dev/null; }
    if [ "$(versions usr/src)" != "$(versions opt/kaimen)" ]; then
        rm -rf "$root/opt/kaimen"
        inside python3 -m venv --without-pip /opt/kaimen
        HNSWLIB_NO_NATIVE=1 inside $pip install --require-hashes -r /usr/src/requirements.lock
        cp "$root/usr/src/requirements.lock" "$root/opt/kaimen/"
    fi
    inside $pip install --no-deps --force-reinstall /usr/src/kaimen
    inside /opt/kaimen/bin/kaimen --version
INSIDE
rm -f "$root"/opt/kaimen/bin/{activate*,Activate*}

say "the package"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$tree/edge/kaimen/__init__.py")
package=$(mktemp -d)
trap 'rm -r "$package"' EXIT
chmod 755 "$package"
mkdir -p "$package"/{DEBIAN,opt,usr/bin,usr/lib/systemd/system,usr/share/doc/kaimen,usr/share/kaimen}
cp -a "$root/opt/kaimen" "$package/opt/"
install -m 755 "$here/kaimen" "$package/usr/bin/"
units="rest door gate${CONSOLE:+ console}"
for unit in $units; do
    install -m 644 "$tree/systemd/kaimen-$unit.service" "$package/usr/lib/systemd/system/"
done
install -m 644 "$tree/deploy/kaimen.toml" "$package/usr/share/kaimen/"
install -m 644 "$tree/LICENSE" "$package/usr/share/doc/kaimen/copyright"
install -m 644 "$tree/NOTICE" "$package/usr/share/doc/kaimen/"
install -m 755 "$here"/{postinst,prerm,postrm} "$package/DEBIAN/"
size=$(du -sk --exclude=DEBIAN "$package" | cut -f1)
cat >"$package/DEBIAN/control" <<CONTROL
Package: kaimen
Version: $version
Architecture: $arch
Maintainer: Kaimen <kaimen@localhost>
Installed-Size: $size
Depends: python3 (>= $python), python3 (<< ${python%.*}.$((${python#*.} + 1))), libportaudio2, adduser
Section: sound
Priority: optional
Description: voice gate for schools
 A student says the passphrase, and the door opens: offline, on a Raspberry Pi.
 The program comes with everything it needs beside Debian's Python and PortAudio.
CONTROL
file=$out/kaimen_${version}_${suite}_${arch}.deb
dpkg-deb --root-owner-group -Zxz --build "$package" "$file" >/dev/null
say "$file: $(($(stat -c %s "$file") / 1000000)) MB, installed $((size / 1000)) MB"
