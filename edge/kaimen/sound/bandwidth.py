"""Tell how high the speech of a recording reaches, and hear another as if it reached no higher.

What was sampled at 8 kHz, sent by telephone or coded at a low bit rate holds nothing above an edge,
whatever the rate of its file is now. Noise of a room is cut off with the voice, so it hides no
edge. How the limits were found is in ``docs/figures/sound.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from kaimen.sound import SAMPLE_RATE, Samples

WINDOW = 512  # samples: 32 ms
HOP = 160  # samples
STEP = 4  # bins taken together: 125 Hz
USUAL = 0.95  # of the frames' powers, which one click does not reach
FAINT = 62.0  # dB below the strongest frequency, at which there is nothing any more
WIDE = 6_400  # Hz, from which on a recording is as wide as a voiceprint needs
# A recording whose speech ends below the first holds no more than the second (Hz): below the
# first there may still be images that a plain resampler leaves.
BANDS = ((5_000, 4_000), (WIDE, 5_500))

WIDER = "use a microphone of 16 kHz or more, no telephone and no Bluetooth"

_BIN = SAMPLE_RATE / WINDOW * STEP  # Hz


def highest_speech(phrase: Samples) -> float:
    """Return the highest frequency in Hz, in steps of 125, at which a phrase is heard."""
    if len(phrase) < WINDOW:
        phrase = np.pad(phrase, (0, WINDOW - len(phrase)))
    frames = np.lib.stride_tricks.sliding_window_view(phrase, WINDOW)[::HOP]
    spectra = np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32))
    power = spectra.real[:, :-1] ** 2 + spectra.imag[:, :-1] ** 2
    usual = np.quantile(power.reshape(len(power), -1, STEP).mean(axis=2), USUAL, axis=0)
    if not usual.max() > 0:
        return SAMPLE_RATE / 2
    heard = np.flatnonzero(usual > usual.max() * 10 ** (-FAINT / 10))
    return float((heard[-1] + 1) * _BIN)


def band_of(highest: float) -> int | None:
    """Return the band in Hz that speech so high was cut to; None for a wide one."""
    return next((band for below, band in BANDS if highest < below), None)


def nothing_above(band: int) -> str:
    """Return the words for a recording that is cut to a band in Hz."""
    return f"it holds no speech above {band / 1000:g} kHz"


def band_of_most(highest: Sequence[float]) -> int | None:
    """Return the band of most recordings, given how high each reaches; None for a wide one."""
    return band_of(float(np.median(highest))) if len(highest) else None


def limited(samples: Samples, band: int) -> Samples:
    """Return samples without what lies above a band in Hz, of the same shape."""
    lower = soxr.resample(samples, SAMPLE_RATE, 2 * band)
    back = soxr.resample(lower, 2 * band, SAMPLE_RATE).astype(np.float32)
    return np.pad(back, (0, max(0, len(samples) - len(back))))[: len(samples)]
