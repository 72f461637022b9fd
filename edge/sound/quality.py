"""Whether a phrase holds a voice at all: the difference between a hiss and a vowel.

Voiced sound repeats itself with the pitch of the voice, so its normalised autocorrelation
has a peak at that lag; hiss, breath and knocks have none that lasts.
"""

from __future__ import annotations

import numpy as np

from edge.errors import NoSpeech
from edge.sound import SAMPLE_RATE, Samples

WINDOW = 640  # samples: 40 ms, two periods of the lowest voice
HOP = 160  # samples: 10 ms
LOWEST_PITCH = 60  # Hz
HIGHEST_PITCH = 450  # Hz
PERIODIC = 0.5  # of the autocorrelation at lag zero
LOUD = 20.0  # dB below the loudest frame at which a frame still counts
VOICED = 0.08  # seconds of voice that a phrase must hold


def voiced_seconds(phrase: Samples) -> float:
    """Seconds of a phrase that are loud and voiced."""
    if len(phrase) < WINDOW:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(phrase, WINDOW)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectra = np.fft.rfft(frames, 2 * WINDOW)
    likeness = np.fft.irfft(np.abs(spectra) ** 2)[:, :WINDOW]
    energy = likeness[:, :1] + 1e-9
    # A window that slides off itself has fewer products at larger lags.
    likeness = likeness / energy * (WINDOW / (WINDOW - np.arange(WINDOW)))
    lags = slice(SAMPLE_RATE // HIGHEST_PITCH, SAMPLE_RATE // LOWEST_PITCH)
    loud = energy[:, 0] > energy.max() * 10 ** (-LOUD / 10)
    voiced = loud & (likeness[:, lags].max(axis=1) > PERIODIC)
    return float(np.count_nonzero(voiced) * HOP / SAMPLE_RATE)


def require_voice(phrase: Samples) -> None:
    """Raise NoSpeech for a phrase that holds sound, but hardly any voice."""
    if voiced_seconds(phrase) < VOICED:
        raise NoSpeech("there is sound in it but hardly a voice; record it in a quieter place")
