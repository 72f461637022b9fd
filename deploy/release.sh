#!/usr/bin/env bash
# Makes a release from a tag: the packages of both Debians with their bills of materials, and the
# signed source that gates take them from.
#   sudo deploy/release.sh TAG          with KEY, URL and CONTACT, as in deploy/apt/publish.sh
# Into build/release. SUITES and ARCHES choose fewer packages; TWICE=1 builds each twice and stops
# where the two are not the same.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/.." && pwd)
tag=${1:?which tag?}
out=$tree/build/release
export PYTHON=${PYTHON:-$tree/.venv/bin/python}
refuse() { echo "no release: $1" >&2; exit 1; }

git -C "$tree" rev-parse --quiet --verify "refs/tags/$tag" >/dev/null || refuse "there is no tag $tag"
read_tagged() { git -C "$tree" show "$tag:$1"; }
version=$(read_tagged edge/kaimen/__init__.py | sed -n 's/^__version__ = "\(.*\)"/\1/p')
[ "$tag" = "v$version" ] || refuse "the program of $tag is $version; tag it v$version"
read_tagged CHANGELOG.md | grep -q "^## $version\b" || refuse "CHANGELOG.md has no section '## $version'"
: "${KEY:?whose signature? set KEY}" "${URL:?where is it shown? set URL}" "${CONTACT:?set CONTACT}"

# What is in the tag, and nothing that lies beside it.
rm -rf "$out/source"
mkdir -p "$out/source" "$tree/build/deb"
git -C "$tree" archive "$tag" | tar -x -C "$out/source"
mkdir -p "$out/source/build"
ln -s "$tree/build/deb" "$out/source/build/deb" # the Debians to build in are kept
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git -C "$tree" log -1 --format=%ct "$tag")

built=()
for suite in ${SUITES:-bookworm trixie}; do
    for arch in ${ARCHES:-arm64 amd64}; do
        "$out/source/deploy/deb/build.sh" "$arch" "$suite"
        [ -z "${TWICE:-}" ] || "$out/source/deploy/deb/compare.sh" "$arch" "$suite"
        package=$(readlink -f "$tree/build/deb/$suite-$arch/kaimen.deb")
        cp "$package" "${package%.deb}.cdx.json" "$out/"
        built+=("$out/$(basename "$package")")
    done
done
"$out/source/deploy/apt/publish.sh" "$out/apt" "$URL" "${built[@]}"
(cd "$out" && sha256sum ./*.deb ./*.cdx.json >SHA256SUMS && gpg --batch --yes --local-user "$KEY" --armor --detach-sign SHA256SUMS)
rm -rf "$out/source"
echo "$out: $version; show $out/apt/public at $URL"
