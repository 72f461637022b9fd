#!/usr/bin/env bash
# Puts packages into a signed apt repository: static files, for any web server.
#   KEY=FINGERPRINT CONTACT=mailto:... deploy/apt/publish.sh FOLDER URL PACKAGE.deb...
# FOLDER/public is what a web server shows under URL; FOLDER/conf and FOLDER/db stay here. KEY is an
# OpenPGP key of this user's gpg, which asks for its passphrase. A newer version of a package takes
# the older one's place. A package's bill of materials (.cdx.json beside it) goes along.
# CONTACT is whom to tell of a weakness; security.txt (RFC 9116) says so, for a year.
# Beside the packages lie bookworm.sources and trixie.sources: the one file that a gate needs, with
# the public key in it.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
[ -n "${CONTACT:-}" ] || { echo "whom does one tell of a weakness? set CONTACT, like mailto:me@example.org" >&2; exit 2; }
[ -n "${KEY:-}" ] || { echo "whose signature? set KEY to the fingerprint of an OpenPGP key" >&2; exit 2; }
folder=$(mkdir -p "$1" && cd "$1" && pwd)
url=${2%/}
shift 2
suites="bookworm trixie"

missing=
for each in reprepro gpg dpkg-deb:dpkg; do
    command -v "${each%%:*}" >/dev/null || missing+=" ${each##*:}"
done
[ -z "$missing" ] || { echo "missing: sudo apt-get install$missing" >&2; exit 1; }
gpg --batch --quiet --list-secret-keys "$KEY" >/dev/null || { echo "gpg has no secret key $KEY" >&2; exit 1; }

suite_of() {
    case $(dpkg-deb --field "$1" Version) in
        *+deb12) echo bookworm ;;
        *+deb13) echo trixie ;;
        *) echo "$1: for which Debian? its version ends neither in +deb12 nor in +deb13" >&2; return 1 ;;
    esac
}
for package in "$@"; do suite_of "$package" >/dev/null; done # before anything is changed

mkdir -p "$folder/conf" "$folder/public/sbom" "$folder/public/.well-known"
for suite in $suites; do
    cat <<DISTRIBUTION
Origin: Kaimen
Label: Kaimen
Codename: $suite
Architectures: amd64 arm64
Components: main
Description: Kaimen for Debian and Raspberry Pi OS ($suite)
SignWith: $KEY

DISTRIBUTION
done >"$folder/conf/distributions"
repository() { reprepro --silent --basedir "$folder" --outdir "$folder/public" "$@"; }

for package in "$@"; do
    repository includedeb "$(suite_of "$package")" "$package"
    bill=${package%.deb}.cdx.json
    [ ! -e "$bill" ] || cp "$bill" "$folder/public/sbom/"
done
repository export # where nothing was new, too

cat >"$folder/public/.well-known/security.txt" <<SECURITY
Contact: $CONTACT
Expires: $(date --utc --date='+1 year' +%Y-%m-%dT00:00:00Z)
Preferred-Languages: en, zh
Canonical: $url/.well-known/security.txt
SECURITY

public=$(gpg --batch --armor --export "$KEY" | sed 's/^$/./; s/^/ /')
for suite in $suites; do
    cat >"$folder/public/$suite.sources" <<SOURCES
Types: deb
URIs: $url
Suites: $suite
Components: main
Signed-By:
$public
SOURCES
done
echo "$folder/public: to be shown at $url"
