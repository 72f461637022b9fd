#!/usr/bin/env bash
# Counts the aarch64 instructions of building an index and of one search in it, in millions: all,
# loads and stores, SIMD, int8 dot products.
#   deploy/instructions/search.sh [POINTS [PROCESSOR]]       10000, cortex-a72
# hnswlib is compiled twice: as its own setup does, and as deploy/deb/build.sh does, so that the
# compiler may use vector instructions. Beside it: usearch, faiss, and a scan of all students'
# mean points. Needs g++-aarch64-linux-gnu; count.sh makes the rest. Minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../build/instructions
points=${1:-10000}
processor=${2:-cortex-a72}
PROBES=200

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
    python3.11 -m pip install -q --target "$out/pybind" pybind11
    python3.11 -m pip download -q --no-deps --only-binary :all: --python-version 3.11 \
        --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 -d "$out/peers" \
        usearch faiss-cpu numkong tqdm packaging
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

run() { # where the engine is, engine, points, probes
    LD_LIBRARY_PATH=$out/qemu/usr/lib/x86_64-linux-gnu "$out/qemu/usr/bin/qemu-aarch64" \
        -plugin "$out/plugin.so" -L "$out/root" -cpu "$processor" \
        -E LD_LIBRARY_PATH="$out/root/usr/lib/aarch64-linux-gnu:$out/root/lib/aarch64-linux-gnu" \
        -E OMP_NUM_THREADS=1 -E PYTHONHOME="$out/root/usr" -E PYTHONPATH="$1:$out/site" \
        "$out/root/usr/bin/python3.11" -S "$here/search.py" "$2" "$points" "$3" "$4" 2>&1 >/dev/null |
        tail -n 1
}

less() { # counts, counts before, times
    paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") |
        awk -v times="$3" '{ printf "%.2f ", ($1 - $2) / times / 1e6 }'
}

echo "$points points on $processor"
while read -r name at engine; do
    empty=$(run "$at" "$engine" 0 0)
    built=$(run "$at" "$engine" 1 0)
    searched=$(run "$at" "$engine" 1 $PROBES)
    echo "$name build $(less "$built" "$empty" 1)"
    echo "$name search $(less "$searched" "$built" $PROBES)"
done <<ENGINES
plain-hnswlib-ip-200 $out/plain hnswlib-ip-200
vectors-hnswlib-ip-200 $out/vectors hnswlib-ip-200
vectors-hnswlib-l2-200 $out/vectors hnswlib-l2-200
vectors-hnswlib-l2-100 $out/vectors hnswlib-l2-100
usearch-float $out/peers-site usearch
usearch-int8 $out/peers-site usearch-int8
faiss $out/peers-site faiss
centroids-float $out/site centroids
ENGINES
