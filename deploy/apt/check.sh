#!/usr/bin/env bash
# Shows, in clean Debians of this machine's architecture, that gates can be installed and updated
# from a signed source: static files on loopback, signed by a key made for it.
#   sudo deploy/apt/check.sh SUITE OLD.deb NEW.deb
# First a gate with nothing: apt-get install kaimen. Then a gate of OLD with a school: it takes NEW by
# apt, and after that a still later one (NEW with another version) by 'kaimen update'. Each time key,
# settings and students must be what they were, and a student must be let in.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=${1:?which suite?} old=$(readlink -f "${2:?the package of before?}") new=$(readlink -f "${3:?the newer package?}")
[ "$(id -u)" = 0 ] || { echo "a clean Debian can only be made by root: sudo $0" >&2; exit 1; }
work=$(mktemp -d)
export GNUPGHOME=$work/gpg
server=
ended() {
    [ -z "$server" ] || kill "$server"
    gpgconf --kill all
    rm -rf --one-file-system "$work"
}
trap ended EXIT
say() { echo "$suite: $* ($SECONDS s)"; }

mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase "" --quick-generate-key "Kaimen <kaimen@localhost>" ed25519 sign 2>/dev/null
KEY=$(gpg --batch --with-colons --list-secret-keys | sed -n 's/^fpr:*\([0-9A-F]*\):$/\1/p' | head -n 1)
export KEY CONTACT=mailto:kaimen@localhost
mkdir -p "$work/source/public"
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/source/public" 0 >"$work/server.log" 2>&1 &
server=$!
until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/server.log") && [ -n "$port" ]; do sleep 0.1; done
publish() { "$here/publish.sh" "$work/source" "http://127.0.0.1:$port" "$1" >/dev/null; }
publish "$new"
later=$work/later.deb
dpkg-deb --raw-extract "$new" "$work/later"
sed -i 's/^Version: \(.*\)+deb/Version: \1.later+deb/' "$work/later/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/later" "$later" >/dev/null
rm -rf "$work/later"

clean=$here/../../build/deb/$suite/clean.tar # kept
if [ ! -e "$clean" ]; then
    say "a clean Debian"
    mkdir -p "$(dirname "$clean")"
    mmdebstrap --quiet --format=tar --variant=apt --include=systemd "$suite" "$clean.new"
    mv "$clean.new" "$clean"
fi
for each in clean gate; do
    mkdir "$work/$each"
    tar -x -C "$work/$each" --exclude=./dev -f "$clean"
    mkdir -p "$work/$each/dev"
done
inside() { # a root, a command
    root=$work/$1
    shift
    root=$root unshare --mount --pid --fork bash -euo pipefail -c '
        mount -t proc proc "$root/proc"
        mount --bind /dev "$root/dev"
        mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
        cp /etc/resolv.conf "$root/etc/resolv.conf"
        exec env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive OMP_NUM_THREADS=1 \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"' inside "$@"
}
cp "$work/source/public/$suite.sources" "$work/clean/etc/apt/sources.list.d/kaimen.sources"
inside clean apt-get --quiet=2 update
inside clean apt-get --quiet=2 --no-install-recommends install --yes kaimen >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
inside clean kaimen --version
inside clean sh -c 'for each in gcc make pip3; do ! command -v $each || exit 1; done'
inside clean systemctl is-enabled kaimen-rest kaimen-door kaimen-gate
say "installed by 'apt-get install kaimen', without a compiler"

inside gate apt-get --quiet=2 update
cp "$old" "$work/gate/root/old.deb"
inside gate apt-get --quiet=2 --no-install-recommends install --yes /root/old.deb >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
rm "$work/gate/root/old.deb"
inside gate kaimen --version
recordings=$(inside gate sh -c 'ls -d /opt/kaimen/lib/python*/site-packages/kaimen/rehearsal/recordings')
# The recordings that enrolled are what is played, and a replay is refused.
inside gate sed -i 's/^lease = .*/lease = 4.5/; s/^replay = true/replay = false/' /etc/kaimen/kaimen.toml
inside gate kaimen enroll --from "$recordings" >/dev/null || [ $? = 3 ]
inside gate kaimen calibrate >/dev/null
school() {
    inside gate sh -c 'sha256sum /etc/kaimen/kaimen.toml /etc/kaimen/key/*; kaimen students --json'
    inside gate stat -c '%n %U %a' /var/lib/kaimen /var/lib/kaimen/gallery.sqlite /etc/kaimen/key/gallery.key
}
opens() {
    inside gate sh -c "for each in $recordings/*/*.mp3; do kaimen listen --json \"\$each\" | grep -q '\"verdict\": \"open\"' && exit; done; exit 1"
}
school >"$work/before"
[ "$(grep -c '"student"\|"name"' "$work/before")" -gt 1 ] || { echo "nobody is enrolled"; cat "$work/before"; exit 1; } >&2
unchanged() {
    school >"$work/after"
    diff "$work/before" "$work/after" || { echo "the school is not what it was" >&2; exit 1; }
    opens || { echo "no student is let in" >&2; exit 1; }
    say "$(inside gate kaimen --version): key, settings and $(grep -c '^{' "$work/after") lines of students as before; a student is let in"
}

cp "$work/source/public/$suite.sources" "$work/gate/etc/apt/sources.list.d/kaimen.sources"
inside gate apt-get --quiet=2 update
inside gate apt-get --quiet=2 --no-install-recommends install --yes kaimen >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
unchanged
publish "$later"
inside gate kaimen update --check --json
inside gate kaimen update --yes
inside gate dpkg-query -W kaimen
unchanged
say "all as it should be"
