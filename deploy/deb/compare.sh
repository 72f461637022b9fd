#!/usr/bin/env bash
# Builds a package twice and says whether it is the same, byte for byte; the second time nothing
# that was installed or compiled before is used.
#   sudo deploy/deb/compare.sh [ARCH [SUITE]]      as build.sh, whose package of before is the first
# The exit code is 1 where they differ, and what differs is listed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "${TREE:-$here/../..}" && pwd)
arch=${1:-arm64}
suite=${2:-bookworm}
work=$tree/build/deb/$suite-$arch
[ -e "$work/kaimen.deb" ] || "$here/build.sh" "$arch" "$suite"
first=$(readlink "$work/kaimen.deb")
AGAIN=1 OUT=$work/again "$here/build.sh" "$arch" "$suite"
second=$(readlink "$work/kaimen.deb")
ln -sfn "$first" "$work/kaimen.deb"

if cmp --silent "$first" "$second"; then
    echo "the same twice: $(sha256sum <"$first" | cut -c1-64)"
    exit
fi
for each in first second; do
    rm -rf "$work/$each"
    dpkg-deb --raw-extract "${!each}" "$work/$each"
    (cd "$work/$each" && find . -type f -exec sha256sum {} + | sort -k2) >"$work/$each.sums"
    rm -rf "${work:?}/$each"
done
echo "they differ in:"
diff "$work/first.sums" "$work/second.sums" | sed -n 's/^[<>] [0-9a-f]* *//p' | sort -u
exit 1
