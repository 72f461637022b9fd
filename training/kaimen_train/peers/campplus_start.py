"""What training the large encoder starts from: CAM++'s weights, and how it hears some clips.

``python campplus_start.py CLIPS.npz START.npz``: the input is that of ``script.py``. The output
holds the weights by their names, and ``bands`` (frames, 80) of all clips one after another.
"""

import sys
from itertools import pairwise

import numpy as np
import torch
from campplus import filterbank, network


def main() -> None:
    torch.set_num_threads(1)
    asked = np.load(sys.argv[1])
    samples = asked["samples"].astype(np.float32) / 32768
    encoder = network()
    bands = [filterbank(samples[start:end]) for start, end in pairwise(asked["offsets"])]
    weights = {name: each.numpy() for name, each in encoder.state_dict().items()}
    np.savez(sys.argv[2], bands=np.concatenate(bands), **weights)


if __name__ == "__main__":
    main()
