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
from resemblyzer.audio import (  # noqa: E402
    audio_norm_target_dBFS,
    normalize_volume,
    wav_to_mel_spectrogram,
)

SHORTEST = 0.4  # seconds; less is said again, GE2E has no answer to less
RATE = 16_000
BATCH = 64  # windows at once: several times faster than clip by clip


def windows(encoder: VoiceEncoder, clip: np.ndarray) -> np.ndarray:
    """The windows of which GE2E takes the mean, (windows, frames, mels), as it cuts them."""
    clip = np.resize(clip, max(len(clip), int(SHORTEST * RATE)))
    clip = normalize_volume(clip, audio_norm_target_dBFS, increase_only=True)
    sounds, frames = encoder.compute_partial_slices(len(clip), 1.3, 0.75)
    clip = np.pad(clip, (0, max(0, sounds[-1].stop - len(clip))))
    mels = wav_to_mel_spectrogram(clip)
    return np.stack([mels[each] for each in frames])


def main() -> None:
    torch.set_num_threads(1)
    clips = np.load(sys.argv[1])
    samples, offsets = clips["samples"].astype(np.float32) / 32768, clips["offsets"]
    encoder = VoiceEncoder("cpu", verbose=False)
    cut = [windows(encoder, samples[start:end]) for start, end in pairwise(offsets)]
    with torch.inference_mode():
        batches = torch.from_numpy(np.concatenate(cut)).split(BATCH)
        made = np.concatenate([encoder(batch).numpy() for batch in batches])
    starts = np.cumsum([0, *map(len, cut)])[:-1]
    points = np.add.reduceat(made, starts)
    np.save(sys.argv[2], points / np.linalg.norm(points, axis=1, keepdims=True))


if __name__ == "__main__":
    main()
