"""GE2E (Resemblyzer) as a peer: clips in, points out.

Runs in the peers' own environment (``make peers``), where torch is; called as a program:
``python ge2e.py CLIPS.npz POINTS.npy``. The input holds ``samples`` (int16, 16 kHz) and
``offsets``; the output is float32, one unit-length row a clip.

L. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018.
"""

import sys
import warnings
from itertools import pairwise

import numpy as np

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from resemblyzer import VoiceEncoder  # noqa: E402
from resemblyzer.audio import audio_norm_target_dBFS, normalize_volume  # noqa: E402

SHORTEST = 0.4  # seconds; less is said again, GE2E has no answer to less
RATE = 16_000


def main() -> None:
    torch.set_num_threads(1)
    clips = np.load(sys.argv[1])
    samples, offsets = clips["samples"], clips["offsets"]
    encoder = VoiceEncoder("cpu", verbose=False)
    points = np.zeros((len(offsets) - 1, 256), np.float32)
    for index, (start, end) in enumerate(pairwise(offsets)):
        clip = samples[start:end].astype(np.float32) / 32768
        clip = np.resize(clip, max(len(clip), int(SHORTEST * RATE)))
        clip = normalize_volume(clip, audio_norm_target_dBFS, increase_only=True)
        points[index] = encoder.embed_utterance(clip)
    np.save(sys.argv[2], points)


if __name__ == "__main__":
    main()
