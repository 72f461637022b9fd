#!/usr/bin/env bash
# Puts Kaimen and its service on a Raspberry Pi (or any Debian with systemd), from a checkout.
#   sudo deploy/install.sh            into /opt/kaimen, with the service
#   deploy/install.sh FOLDER          only the program, into FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${1:-/opt/kaimen}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; on Raspberry Pi OS, upgrade to bookworm" >&2
    exit 1
}
ldconfig -p | grep -q libportaudio || {
    echo "PortAudio is missing: sudo apt-get install libportaudio2" >&2
    exit 1
}
# The package's versions, each file by its hash: what runs as root here is what was tested.
"$python" -m venv "$prefix"
pip() { "$prefix/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --require-hashes -r "deploy/deb/requirements.lock"
pip install --no-deps --force-reinstall .
"$prefix/bin/kaimen" --version

if [ $# -eq 0 ]; then
    id kaimen >/dev/null 2>&1 || useradd --system --home-dir /var/lib/kaimen kaimen
    # The units join the groups of the devices, which a machine without such devices lacks.
    for group in audio gpio dialout input; do
        getent group $group >/dev/null || groupadd --system $group
    done
    install -d -o kaimen -g kaimen -m 750 /var/lib/kaimen
    install -d /etc/kaimen
    install -d -o kaimen -g kaimen -m 700 /etc/kaimen/key
    install -d /etc/kaimen/trusted
    [ -e /etc/kaimen/kaimen.toml ] || install -m 644 deploy/kaimen.toml /etc/kaimen/kaimen.toml
    install -d /etc/systemd/system-preset
    for each in systemd/*; do
        case $each in
            *.preset) cp "$each" /etc/systemd/system-preset/ ;;
            *) cp -r "$each" /etc/systemd/system/ ;;
        esac
    done
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    echo "Set up:  sudo $prefix/bin/kaimen setup"
    echo "Enroll:  sudo -u kaimen $prefix/bin/kaimen enroll --config /etc/kaimen/kaimen.toml --from FOLDER"
    echo "Start:   sudo systemctl enable --now kaimen-rest kaimen-door kaimen-gate \
kaimen-consents.timer"
    echo "Check:   sudo $prefix/bin/kaimen doctor"
fi
