"""What training the large encoder starts from: CAM++'s weights, and how it hears some clips.

``python campplus_start.py CLIPS.npz START.npz``: the input is that of ``script.py``. The output
holds the weights by their names, ``bands`` (frames, 80) of all clips one after another, and
``spread``: for each pooled channel its standard deviation over its mean absolute deviation.
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
    bands, products, squares = [], 0.0, 0.0
    with torch.inference_mode():
        for start, end in pairwise(asked["offsets"]):
            heard = filterbank(samples[start:end])
            bands.append(heard)
            flow = encoder.head(torch.from_numpy(heard)[None].permute(0, 2, 1))
            over_time = encoder.xvector[:-2](flow)[0].numpy()
            away = np.abs(over_time - over_time.mean(axis=1, keepdims=True)).mean(axis=1)
            products += away * over_time.std(axis=1, ddof=1)
            squares += away**2
    weights = {name: each.numpy() for name, each in encoder.state_dict().items()}
    spread = products / np.maximum(squares, 1e-9)
    np.savez(sys.argv[2], bands=np.concatenate(bands), spread=spread, **weights)


if __name__ == "__main__":
    main()
