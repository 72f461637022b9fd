#!/usr/bin/env bash
# Counts the aarch64 instructions of building an index and of one search in it, in millions: all,
# loads and stores, SIMD, int8 dot products. Then the same engines on this machine: which students
# they find of those whom an exact search puts first, memory, seconds of the processor.
#   deploy/instructions/search.sh [POINTS [PROCESSOR [ENGINE...]]]       10000, cortex-a72, all
# hnswlib is compiled twice: as its own setup does, and as deploy/deb/build.sh does, so that the
# compiler may use vector instructions. The others are wheels, of the versions in requirements.lock.
# Needs g++-aarch64-linux-gnu and the repository's .venv; count.sh makes the rest. Minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../build/instructions
points=${1:-10000}
processor=${2:-cortex-a72}
tree=$(cd "$here/../.." && pwd)
PROBES=${PROBES:-200} # that are counted
HERE=2000 # that are judged on this machine
ENGINES="plain-hnswlib-ip-200 vectors-hnswlib-l2-200 vectors-hnswlib-l2-100 usearch-f32-200 usearch-f32-100
    usearch-i8-200 usearch-i8-100 faiss-float faiss-int8 faiss-scan centroids-f32 centroids-i8"

"$here/count.sh" # prepares and counts nothing
out=$(cd "$out" && pwd)
command -v aarch64-linux-gnu-g++ >/dev/null ||
    { echo "missing: sudo apt-get install g++-aarch64-linux-gnu" >&2; exit 1; }

if [ ! -e "$out/.search" ]; then
    mkdir -p "$out"/{dev,source}
    export APT_CONFIG=$out/apt.conf
    (cd "$out/dev" && apt-get download -qq libpython3.11-dev libgomp1)
    unset APT_CONFIG
    for each in "$out"/dev/*.deb; do dpkg-deb -x "$each" "$out/dev/root"; done
    cp -a "$out/dev/root/usr/lib/aarch64-linux-gnu/"libgomp.so.1* "$out/root/usr/lib/aarch64-linux-gnu/"
    python3.11 -m pip download -q --no-deps --no-binary hnswlib -d "$out/source" hnswlib==0.8.0
    tar -xzf "$out"/source/hnswlib-*.tar.gz -C "$out/source"
    python3.11 -m pip install -q --target "$out/pybind" pybind11==2.13.6
    # Of requirements.lock, with its hashes.
    awk '/^[a-z]/ { is = /^(usearch|faiss-cpu|numkong|tqdm|packaging)==/ } is && !/^ *#/' \
        "$tree/requirements.lock" >"$out/peers.lock"
    python3.11 -m pip download -q --no-deps --only-binary :all: --python-version 3.11 \
        --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 -d "$out/peers" \
        --require-hashes -r "$out/peers.lock"
    for each in "$out"/peers/*.whl; do python3.11 -m zipfile -e "$each" "$out/peers-site"; done
    touch "$out/.search"
fi

. "$here/../deb/vector-flags"
compile() { # name, flags
    [ -e "$out/$1/hnswlib.so" ] && return
    mkdir -p "$out/$1"
    local include=$out/dev/root/usr/include
    # shellcheck disable=SC2086
    aarch64-linux-gnu-g++ -shared -fPIC -std=c++14 -fvisibility=hidden -fopenmp -O3 $2 \
        -I "$include/python3.11" -I "$include" -I "$out/pybind/pybind11/include" \
        -I "$out/site/numpy/core/include" \
        -I "$out"/source/hnswlib-*/hnswlib -o "$out/$1/hnswlib.so" \
        -w "$out"/source/hnswlib-*/python_bindings/bindings.cpp
}
compile plain ""
compile vectors "$VECTOR_FLAGS"

# What the plugin says at its marks: before the index is built, after it, after the searches.
counted() { # where the engine is, engine
    LD_LIBRARY_PATH=$out/qemu/usr/lib/x86_64-linux-gnu "$out/qemu/usr/bin/qemu-aarch64" \
        -plugin "$out/plugin.so" -L "$out/root" -cpu "$processor" \
        -E LD_LIBRARY_PATH="$out/root/usr/lib/aarch64-linux-gnu:$out/root/lib/aarch64-linux-gnu" \
        -E OMP_NUM_THREADS=1 -E PYTHONHOME="$out/root/usr" -E PYTHONPATH="$1:$out/site" \
        "$out/root/usr/bin/python3.11" -S "$here/search.py" "$2" "$points" $PROBES 2>&1 >/dev/null |
        grep -E '^[0-9]+ [0-9]+ [0-9]+ [0-9]+$'
}

less() { # two lines of counts, times
    awk -v times="$1" 'NR == 1 { split($0, before) } NR == 2 { for (n = 1; n <= 4; n++) printf "%.2f ", ($n - before[n]) / times / 1e6 }'
}

echo "$points points on $processor"
shift $(($# < 2 ? $# : 2))
for name in ${*:-$ENGINES}; do
    case $name in
        plain-*) at=$out/plain engine=${name#plain-} ;;
        vectors-*) at=$out/vectors engine=${name#vectors-} ;;
        *) at=$out/peers-site engine=$name ;;
    esac
    marks=$(counted "$at" "$engine")
    echo "$name build $(sed -n '1p;2p' <<<"$marks" | less 1)"
    echo "$name search $(sed -n '2p;3p' <<<"$marks" | less $PROBES)"
    OMP_NUM_THREADS=1 "$tree/.venv/bin/python" "$here/search.py" "$engine" "$points" $HERE
done
