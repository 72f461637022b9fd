#!/usr/bin/env bash
# Counts the aarch64 instructions of one window of encoders, in millions: all, loads and stores,
# SIMD, int8 dot products.
#   deploy/instructions/count.sh ENCODER.tflite...
# In build/instructions: Debian's Python for arm64 and QEMU's user mode are unpacked there, not
# installed, and need no root. Minutes for each encoder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../build/instructions
mkdir -p "$out" && out=$(cd "$out" && pwd)
root=$out/root
TIMES=3 # windows, besides the first, which prepares

if [ ! -e "$out/.ready" ]; then
    mkdir -p "$out"/{arm64,host,wheels,state/lists/partial,cache/archives/partial}
    : >"$out/state/status"
    printf '%s\n' 'APT::Architecture "arm64";' 'APT::Architectures { "arm64"; };' \
        "Dir::State \"$out/state\";" "Dir::State::status \"$out/state/status\";" \
        "Dir::Cache \"$out/cache\";" >"$out/apt.conf"
    export APT_CONFIG=$out/apt.conf
    apt-get update -qq
    (cd "$out/arm64" && apt-get download -qq python3.11-minimal libpython3.11-minimal \
        libpython3.11-stdlib libc6 libstdc++6 libgcc-s1 libexpat1 zlib1g libffi8)
    unset APT_CONFIG
    (cd "$out/host" && apt-get download -qq qemu-user libcapstone4 liburing2)
    for each in "$out"/arm64/*.deb; do dpkg-deb -x "$each" "$root"; done
    for each in "$out"/host/*.deb; do dpkg-deb -x "$each" "$out/qemu"; done
    python3.11 -m pip download -q --no-deps --only-binary :all: --python-version 3.11 \
        --platform manylinux_2_34_aarch64 --platform manylinux2014_aarch64 -d "$out/wheels" \
        tflite-runtime==2.14.0 numpy==1.26.4
    for each in "$out"/wheels/*.whl; do python3.11 -m zipfile -e "$each" "$out/site"; done
    gcc -O2 -shared -fPIC -fvisibility=hidden -o "$out/plugin.so" "$here/plugin.c"
    touch "$out/.ready"
fi

# A runtime knows its processor by these files as well as by what the kernel tells it.
board() {
    mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
    echo 0 | tee "$root/sys/devices/system/cpu/possible" >"$root/sys/devices/system/cpu/present"
    printf 'processor\t: 0\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 4\n\n' \
        "$2" "$1" >"$root/proc/cpuinfo"
}

run() { # processor, encoder, windows
    LD_LIBRARY_PATH=$out/qemu/usr/lib/x86_64-linux-gnu "$out/qemu/usr/bin/qemu-aarch64" \
        -plugin "$out/plugin.so" -L "$root" -cpu "$1" \
        -E LD_LIBRARY_PATH="$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu" \
        -E PYTHONHOME="$root/usr" -E PYTHONPATH="$out/site" \
        "$root/usr/bin/python3.11" -S "$here/windows.py" "$2" "$3" 2>&1 >/dev/null | tail -n 1
}

for encoder in "$@"; do
    while read -r processor part features; do
        board "$part" "$features"
        first=$(run "$processor" "$encoder" 1)
        more=$(run "$processor" "$encoder" $((1 + TIMES)))
        echo "$encoder $processor" "$(paste <(tr ' ' '\n' <<<"$first") <(tr ' ' '\n' <<<"$more") |
            awk -v times=$TIMES '{ printf "%.1f ", ($2 - $1) / times / 1e6 }')"
    done <<'PROCESSORS'
cortex-a53 0xd03 fp asimd evtstrm crc32 cpuid
cortex-a72 0xd08 fp asimd evtstrm crc32 cpuid
cortex-a76 0xd0b fp asimd evtstrm crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
PROCESSORS
done
