"""GE2E (Resemblyzer) as a peer, in the environment of ``make peers``, where torch is.

L. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from script import run

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


def windows(encoder: VoiceEncoder, clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the windows of which GE2E takes the mean, (windows, frames, mels), as it cuts them."""
    clip = np.resize(clip, max(len(clip), int(SHORTEST * RATE)))
    clip = normalize_volume(clip, audio_norm_target_dBFS, increase_only=True)
    sounds, frames = encoder.compute_partial_slices(len(clip), 1.3, 0.75)
    clip = np.pad(clip, (0, max(0, sounds[-1].stop - len(clip))))
    mels = wav_to_mel_spectrogram(clip)
    return np.stack([mels[each] for each in frames])


def main() -> None:
    torch.set_num_threads(1)
    encoder = VoiceEncoder("cpu", verbose=False)

    def embed(clips: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        cut = [windows(encoder, clip) for clip in clips]
        with torch.inference_mode():
            batches = torch.from_numpy(np.concatenate(cut)).split(BATCH)
            made = np.concatenate([encoder(batch).numpy() for batch in batches])
        return np.add.reduceat(made, np.cumsum([0, *map(len, cut)])[:-1])

    run(embed)


if __name__ == "__main__":
    main()
