#!/usr/bin/env bash
# Builds the Debian package: the program with all it needs in /opt/kaimen, its units and its user.
#   sudo deploy/deb/build.sh [ARCH [SUITE]]      arm64, amd64; bookworm, trixie
# Into build/deb, or $OUT, with its bill of materials (CycloneDX) beside it. Installing it needs
# neither a compiler nor a network: what must be compiled (hnswlib) is compiled here, for any
# processor of the architecture. Needs root, for a Debian of the suite to build in, which is kept.
# It is of this machine's architecture; for another one it has a compiler that builds across, and no
# program of that one is run.
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
root=$work/$suite/root
. "$here/vector-flags"
export VECTOR_FLAGS
program=$work/$suite-$arch/kaimen # what becomes /opt/kaimen
tools=${PYTHON:-$tree/.venv/bin/python}
native=$(dpkg --print-architecture)
case $suite in
    bookworm) release=12 python=3.11 ;;
    trixie) release=13 python=3.13 ;;
    *) echo "no suite $suite; there are bookworm and trixie" >&2; exit 1 ;;
esac

case $arch in
    arm64) machine=aarch64 elf=AArch64 ;;
    amd64) machine=x86_64 elf=X86-64 ;;
    *) echo "no architecture $arch; there are arm64 and amd64" >&2; exit 1 ;;
esac
site=$program/lib/python$python/site-packages

needed="mmdebstrap dpkg-deb:dpkg readelf:binutils"
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

if [ ! -e "$work/$suite/.root" ]; then
    say "a Debian to build in"
    rm -rf --one-file-system "$root"
    mkdir -p "$work/$suite"
    mmdebstrap --quiet --variant=minbase --include=python3-venv,python3-dev,g++,ca-certificates "$suite" "$root"
    touch "$work/$suite/.root"
fi

say "the program and what it needs"
mkdir -p "$out" "$work/pip"
uv() {
    "$(dirname "$tools")/uv" --quiet pip install --link-mode copy --no-deps --target "$site" \
        --python-version "$python" --python-platform "$machine-manylinux_2_36" "$@"
}
# What is compiled here, and all else, which comes as wheels.
sorted() { awk -v own="$1" '/^[a-z]/ { is = /^hnswlib==/ } is == own && !/^ *#/' "$here/requirements.lock"; }
fresh=
if [ -n "${AGAIN:-}" ] || ! cmp --silent "$here/requirements.lock" "$program/requirements.lock"; then
    fresh=1
    rm -rf "$program"
    uv --only-binary :all: --require-hashes -r <(sorted 0)
fi
cp "$here/compile.lock" "$root/opt/"
# In a namespace of its own, so that nothing stays mounted whatever happens. pip is configured
# as it is here, and keeps what it fetches in its cache.
export root program work arch native machine python fresh SOURCE_DATE_EPOCH
lock=$(sorted 1) unshare --mount bash -euo pipefail <<'INSIDE'
    mkdir -p "$root/var/cache/pip" "$root/opt/kaimen"
    mount --bind "$work/pip" "$root/var/cache/pip"
    mount --bind "$program" "$root/opt/kaimen"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    for each in /etc/resolv.conf /etc/ssl/certs /etc/pip.conf "$HOME/.config/pip"; do
        [ -e "$each" ] || continue
        at=$root/${each/#$HOME//root}
        if [ -d "$each" ]; then mkdir -p "$at"; else mkdir -p "${at%/*}"; [ -e "$at" ] || : >"$at"; fi
        mount --bind "$each" "$at"
    done
    inside() { env HOME=/root PIP_CACHE_DIR=/var/cache/pip PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@" </dev/null; }
    [ -n "$fresh" ] || exit 0
    [ -e "$root/opt/pip" ] || inside python3 -m venv /opt/pip
    pip="/opt/pip/bin/pip --quiet --disable-pip-version-check"
    inside $pip install --require-hashes -r /opt/compile.lock
    settings=(HNSWLIB_NO_NATIVE=1 LDFLAGS=-s "CFLAGS=$VECTOR_FLAGS" "CXXFLAGS=$VECTOR_FLAGS")
    if [ "$arch" != "$native" ]; then
        across=$machine-linux-gnu
        if [ ! -e "$root/usr/include/$across/python$python/pyconfig.h" ]; then
            inside dpkg --add-architecture "$arch"
            inside apt-get -qq update
            inside apt-get -qq install --yes --no-install-recommends "g++-$across" >/dev/null
            (cd "$root/tmp" && inside sh -c "cd /tmp && apt-get -qq download libpython$python-dev:$arch")
            inside sh -c "dpkg-deb -x /tmp/libpython*.deb / && rm /tmp/libpython*.deb"
        fi
        settings+=(
            "CC=$across-gcc" "CXX=$across-g++" "LDSHARED=$across-gcc -shared" "LDCXXSHARED=$across-g++ -shared"
            "_PYTHON_HOST_PLATFORM=linux-$machine"
            "SETUPTOOLS_EXT_SUFFIX=.cpython-${python/./}-$across.so"
        )
    fi
    rm -rf "$root/opt/wheels" "$root/opt/source"
    mkdir "$root/opt/source"
    echo "$lock" >"$root/opt/compiled.lock"
    inside $pip download --no-build-isolation --no-binary :all: \
        --no-deps --require-hashes -r /opt/compiled.lock --dest /opt/wheels
    # Always in the same folder, whose name the compiler writes down.
    tar -x -z -C "$root/opt/source" --strip-components 1 -f "$root"/opt/wheels/*.tar.gz
    inside env "${settings[@]}" $pip wheel --no-build-isolation --no-cache-dir --no-deps \
        --wheel-dir /opt/wheels /opt/source
    # Debian's own interpreter, and no pip.
    inside python3 -m venv --without-pip /opt/kaimen
    rm -f "$root"/opt/kaimen/bin/{activate*,Activate*}
INSIDE
[ -z "$fresh" ] || uv "$root"/opt/wheels/*.whl

source=$(mktemp -d)
package=$(mktemp -d)
trap 'rm -r "$package" "$source"' EXIT
# Training stays where there is time for it.
tar -C "$tree" --exclude=__pycache__ -c pyproject.toml README.md LICENSE NOTICE edge | tar -x -C "$source"
rm -rf "$site"/kaimen "$site"/kaimen-*.dist-info
uv "$source"
# The scripts of libraries are nobody's here; where it was built is nobody's business.
rm -rf "$site/bin" "$site"/*.dist-info/{direct_url,uv_cache}.json "$site/.lock"
sed -i '/direct_url[.]json/d; /uv_cache[.]json/d; /^[.][.].*bin\//d; /^bin\//d' "$site"/*.dist-info/RECORD
cp "$here/requirements.lock" "$program/"
install -m 755 /dev/stdin "$program/bin/kaimen" <<'SCRIPT'
#!/opt/kaimen/bin/python
import sys

from kaimen.cli.start import main

if __name__ == "__main__":  # processes that read recordings import this file, too
    sys.exit(main())
SCRIPT
# A compiled module remembers the date of its source. Its code is the same on each architecture.
find "$program" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
unshare --mount bash -euo pipefail <<'INSIDE'
    mount --bind "$program" "$root/opt/kaimen"
    inside() { env PATH=/usr/sbin:/usr/bin chroot "$root" "$@" </dev/null; }
    find "$program" -name __pycache__ -exec rm -r {} +
    inside python3 -m compileall -q -j 0 --invalidation-mode timestamp /opt/kaimen/lib
    [ "$arch" != "$native" ] || inside /opt/kaimen/bin/kaimen --version
INSIDE
foreign=$(find "$site" -name '*.so*' -exec readelf -h {} + | sed -n 's/^ *Machine: *//p' | grep -v "$elf" || true)
[ -z "$foreign" ] || { echo "not for $arch: $foreign" >&2; exit 1; }

say "the package"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$tree/edge/kaimen/__init__.py")
version=$version+deb$release # later Debian, later version: an upgrade of the system takes it
chmod 755 "$package"
mkdir -p "$package"/{DEBIAN,opt,usr/bin,usr/lib/systemd/system{,-preset},usr/share/doc/kaimen,usr/share/kaimen}
cp -a "$program" "$package/opt/kaimen"
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
dpkg-deb --root-owner-group -Zxz --build "$package" "$file.new" >/dev/null
mv "$file.new" "$file"
"$tools" "$here/sbom.py" "$file" "$package"/opt/kaimen/lib/python*/site-packages "$suite" >"${file%.deb}.cdx.json"
ln -sfn "$file" "$work/$suite-$arch/kaimen.deb"
say "$file: $(($(stat -c %s "$file") / 1000000)) MB, installed $((size / 1000)) MB"
