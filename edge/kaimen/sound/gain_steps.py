"""Tell where a gain jumped within a phrase, as automatic gain does that hunts for a level.

A gain turns all frequencies up or down by as much, and leaves a voice its waves: on both sides of a
step they are alike but for their height. When a voice rises or falls by as much in so short a time
by itself, its timbre changes with it. How the limits were found is in ``docs/figures/sound.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import Samples

PRE_EMPHASIS = 0.97
WINDOW, HOP = 256, 64  # samples at 16 kHz: a spectrum of 16 ms each 4 ms
EDGES = (2, 4, 7, 11, 16, 22, 30, 40, 52, 68, 92)  # bins of 62.5 Hz between which a band is
STEP = 14.0  # dB of the waves: smaller steps cost less than 0.05 of score
OF_SPECTRUM = 0.7  # of the step, at least: a window smears it
EVEN = 2.0  # dB by which bands differ from their median, on average
FAINT = 22.0  # dB below the loudest moment: what is fainter on both sides is not looked at
WAVES = 128  # samples that are compared: 8 ms
LEAST_LAG, MOST_LAG = 160, 400  # samples from one wave back to another
ALIKE = 0.8  # correlation of waves
AROUND = (-96, -48, 0, 48, 96)  # samples from where spectra part to where waves are compared


def has_gain_step(phrase: Samples) -> bool:
    """Return whether a gain jumped by STEP or more in a phrase, shape (n,)."""
    if len(phrase) < 3 * WINDOW:
        return False
    bright = np.append(phrase[:1], phrase[1:] - np.float32(PRE_EMPHASIS) * phrase[:-1])
    return any(
        _same_waves(bright, place + offset, up) for place, up in _even(bright) for offset in AROUND
    )


def _even(bright: Samples) -> list[tuple[int, bool]]:
    """Return samples at which all frequencies rise or fall alike, and whether they rise."""
    bands = _bands(bright)
    total = 10 * np.log10(bands.sum(axis=1))
    decibels = 10 * np.log10(bands)
    apart = WINDOW // HOP  # of windows that touch
    change = decibels[apart:] - decibels[:-apart]
    median = np.median(change, axis=1)
    uneven = np.mean(np.abs(change - median[:, np.newaxis]), axis=1)
    louder = np.maximum(total[apart:], total[:-apart])
    found = (
        (np.abs(median) >= OF_SPECTRUM * STEP)
        & (uneven <= EVEN)
        & (louder >= total.max() - FAINT)
    )  # fmt: skip
    return [((int(at) + apart) * HOP, bool(median[at] > 0)) for at in np.flatnonzero(found)]


def _bands(bright: Samples) -> NDArray[np.float64]:
    """Power of each band in each window, shape (windows, bands)."""
    frames = np.lib.stride_tricks.sliding_window_view(bright, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    whole: NDArray[np.float64] = np.add.reduceat(power[:, : EDGES[-1]], EDGES[:-1], axis=1) + 1e-9
    return whole


def _same_waves(bright: Samples, place: int, up: bool) -> bool:
    """Return whether waves from a place on are those before it, but for a step of their height."""
    after = bright[place : place + WAVES].astype(np.float64)
    before = bright[max(0, place - MOST_LAG) : place - LEAST_LAG + WAVES].astype(np.float64)
    if place < LEAST_LAG or len(after) < WAVES or len(before) < WAVES:
        return False
    energy = np.convolve(before**2, np.ones(WAVES), "valid") + 1e-12
    own = float(after @ after) + 1e-12
    alike = np.correlate(before, after, "valid") / np.sqrt(energy * own)
    best = int(alike.argmax())
    step = 10 * np.log10(own / energy[best])
    return bool(alike[best] >= ALIKE and (step if up else -step) >= STEP)
