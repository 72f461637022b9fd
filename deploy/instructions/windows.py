"""Run an int8 encoder on one window as often as is said: what `count.sh` counts.

python windows.py ENCODER.tflite TIMES
"""

from __future__ import annotations

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter

if __name__ == "__main__":
    network = Interpreter(model_path=sys.argv[1], num_threads=1)
    network.allocate_tensors()
    (taken,) = network.get_input_details()
    window = np.random.default_rng(0).integers(-128, 128, taken["shape"]).astype(np.int8)
    network.set_tensor(taken["index"], window)
    for _ in range(int(sys.argv[2])):
        network.invoke()
