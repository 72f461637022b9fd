#!/usr/bin/env bash
# Builds the Debian package: the program with all it needs in /opt/kaimen, its units and its user.
#   sudo deploy/deb/build.sh [ARCH [SUITE]]      arm64, amd64; bookworm, trixie
# Into build/deb, or $OUT, with its bill of materials (CycloneDX) beside it. Installing it needs
# neither a compiler nor a network: what must be compiled (hnswlib) is compiled here, for any
# processor of the architecture. Needs root, for a Debian of that architecture and suite to build
# in, which is kept; another architecture's programs run under QEMU's user-mode emulation.
# With AGAIN=1 nothing that was installed or compiled before is used.
#
# Everything in systemd/ goes along: units by their names, presets (*.preset) for which of them
# an installation enables. postinst and prerm ask dpkg which units there are, so neither names one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "${TREE:-$here/../..}" && pwd)
arch=${1:-arm64}
suite=${2:-bookworm}
work=$tree/build/deb
out=${OUT:-$work}
root=$work/$suite-$arch/root
tools=${PYTHON:-$tree/.venv/bin/python}
case $suite in
    bookworm) release=12 python=3.11 ;;
    trixie) release=13 python=3.13 ;;
    *) echo "no suite $suite; there are bookworm and trixie" >&2; exit 1 ;;
esac

needed="mmdebstrap dpkg-deb:dpkg"
[ "$arch" = "$(dpkg --print-architecture)" ] || needed+=" qemu-aarch64-static:qemu-user-static arch-test"
missing=
for each in $needed; do
    command -v "${each%%:*}" >/dev/null || missing+=" ${each##*:}"
done
[ -z "$missing" ] || { echo "missing: sudo apt-get install$missing" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "a Debian to build in can only be made by root: sudo $0" >&2; exit 1; }
[ -x "$tools" ] || { echo "no $tools: make setup" >&2; exit 1; }
# When what is packed was written, so that two builds of it are the same.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$tree" log -1 --format=%ct 2>/dev/null || date +%s)}

say() { echo "$suite $arch: $* ($SECONDS s)"; }

if [[ $needed = *qemu* ]]; then
    # Usually Debian has set that up.
    formats=/proc/sys/fs/binfmt_misc
    [ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
    [ -e $formats/qemu-aarch64 ] || tail -n 1 /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
fi

if [ ! -e "$work/$suite-$arch/.root" ]; then
    say "a Debian to build in"
    rm -rf "$root"
    mkdir -p "$work/$suite-$arch"
    mmdebstrap --quiet --architectures="$arch" --variant=minbase \
        --include=python3-venv,python3-dev,g++,ca-certificates "$suite" "$root"
    touch "$work/$suite-$arch/.root"
fi
[ -z "${AGAIN:-}" ] || rm -rf "$root/opt/kaimen" "$work/pip-$arch/wheels"

say "the program and what it needs"
rm -rf "$root/usr/src/kaimen"
mkdir -p "$root/usr/src/kaimen" "$work/pip-$arch" "$out"
# Training stays where there is time for it.
tar -C "$tree" --exclude=__pycache__ -c pyproject.toml README.md LICENSE NOTICE edge |
    tar -x -C "$root/usr/src/kaimen"
cp "$here/requirements.lock" "$root/usr/src/"
# In a namespace of its own, so that nothing stays mounted whatever happens. pip is configured
# as it is here, and keeps what it compiles in its cache.
root=$root cache=$work/pip-$arch unshare --mount bash -euo pipefail <<'INSIDE'
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
    # What comes from an archive has the date of its unpacking, which a compiled module remembers.
    compiled() {
        find "$root/opt/kaimen" $1 -exec touch --no-dereference --date="@$2" {} +
        inside /opt/kaimen/bin/python -m compileall -q -j 0 --invalidation-mode timestamp ${3:-/opt/kaimen/lib}
    }
    versions() { grep -v '^ *#' "$root/$1/requirements.lock" 2>/dev/null; }
    if [ "$(versions usr/src)" != "$(versions opt/kaimen)" ]; then
        rm -rf "$root/opt/kaimen"
        inside python3 -m venv --without-pip /opt/kaimen
        # Without debug information, which names the folder that it was compiled in.
        HNSWLIB_NO_NATIVE=1 CFLAGS=-g0 inside $pip install --no-compile --require-hashes -r /usr/src/requirements.lock
        compiled "" 1577836800
        cp "$root/usr/src/requirements.lock" "$root/opt/kaimen/"
    fi
    inside $pip install --no-compile --no-deps --force-reinstall /usr/src/kaimen
    compiled "-path *site-packages/kaimen*" "$SOURCE_DATE_EPOCH" "$(inside /opt/kaimen/bin/python -c \
        'import sysconfig; print(sysconfig.get_path("purelib") + "/kaimen")')"
    inside /opt/kaimen/bin/kaimen --version
INSIDE
rm -f "$root"/opt/kaimen/bin/{activate*,Activate*}

say "the package"
program=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$tree/edge/kaimen/__init__.py")
version=$program+deb$release # later Debian, later version: an upgrade of the system takes it
package=$(mktemp -d)
trap 'rm -r "$package"' EXIT
chmod 755 "$package"
mkdir -p "$package"/{DEBIAN,opt,usr/bin,usr/lib/systemd/system{,-preset},usr/share/doc/kaimen,usr/share/kaimen}
cp -a "$root/opt/kaimen" "$package/opt/"
install -m 755 "$here/kaimen" "$package/usr/bin/"
for each in "$tree"/systemd/*; do
    case $each in
        *.preset) to=system-preset ;;
        *) to=system ;;
    esac
    cp -r --no-preserve=mode,ownership "$each" "$package/usr/lib/systemd/$to/"
done
install -m 644 "$tree/deploy/kaimen.toml" "$package/usr/share/kaimen/"
install -m 644 "$tree/LICENSE" "$package/usr/share/doc/kaimen/copyright"
install -m 644 "$tree/NOTICE" "$package/usr/share/doc/kaimen/"
install -m 755 "$here"/{postinst,prerm,postrm} "$package/DEBIAN/"
# As Debian counts: whole kilobytes of each file, one of each folder.
size=$(find "$package" -path '*/DEBIAN' -prune -o -printf '%y %s\n' |
    awk '{ size += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print size }')
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
find "$package" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
file=$out/kaimen_${version}_${arch}.deb
dpkg-deb --root-owner-group -Zxz --build "$package" "$file" >/dev/null
"$tools" "$here/sbom.py" "$file" "$package"/opt/kaimen/lib/python*/site-packages "$suite" >"${file%.deb}.cdx.json"
ln -sfn "$file" "$work/$suite-$arch/kaimen.deb"
say "$file: $(($(stat -c %s "$file") / 1000000)) MB, installed $((size / 1000)) MB"
