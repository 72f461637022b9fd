#!/usr/bin/env bash
# Counts the aarch64 instructions of what a gate does for one phrase, step by step, in millions: all,
# loads and stores, SIMD, int8 dot products. Search is counted by search.sh.
#   deploy/instructions/phrase.sh [PROCESSOR [RECORDING]]      cortex-a72, a phrase of the demo, real
# count.sh makes what it needs. Minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
out=$tree/build/instructions
processor=${1:-cortex-a72}
recording=${2:-$tree/edge/kaimen/rehearsal/voices/zhongguo-shanghai/s01/phrase-6.mp3}
"$here/count.sh" # prepares and counts nothing
"$tree/.venv/bin/python" -c '
import sys
import numpy as np
from kaimen.sound.recording import main_phrase, read
phrase = main_phrase(read(sys.argv[1]))
np.save(sys.argv[2], phrase.samples)
print(f"{phrase.seconds:.2f} s on {sys.argv[3]}")' "$recording" "$out/phrase.npy" "$processor"

for model in large small; do
    counted=$(LD_LIBRARY_PATH=$out/qemu/usr/lib/x86_64-linux-gnu "$out/qemu/usr/bin/qemu-aarch64" \
        -plugin "$out/plugin.so" -L "$out/root" -cpu "$processor" \
        -E LD_LIBRARY_PATH="$out/root/usr/lib/aarch64-linux-gnu:$out/root/lib/aarch64-linux-gnu" \
        -E OMP_NUM_THREADS=1 -E PYTHONHOME="$out/root/usr" -E PYTHONPATH="$tree/edge:$out/site" \
        "$out/root/usr/bin/python3.11" -S "$here/phrase.py" "$out/phrase.npy" "$model" 2>&1)
    marks=$(grep -E '^[0-9]+ [0-9]+ [0-9]+ [0-9]+$' <<<"$counted")
    steps=$(grep -E '^[a-z ]+$' <<<"$counted")
    while IFS= read -r step; do
        number=$((${number:-0} + 1))
        sed -n "$number,$((number + 1))p" <<<"$marks" | awk -v step="$model: $step" \
            'NR == 1 { split($0, before) } NR == 2 { printf "%s", step; for (n = 1; n <= 4; n++) printf " %.2f", ($n - before[n]) / 1e6; print "" }'
    done <<<"$steps"
    unset number
done
