"""What a mel picture does not hold: the pitch of a voice, and the pulses that carry it.

An autoencoder's pictures are smooth; the partial tones of a voice are lost on the way, and sound
made from the rest is a whisper. As in a vocoder (H. Dudley, "Remaking speech", JASA 11(2), 1939)
the picture is the filter, and the source is made anew: pulses at the pitch, noise elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.quality import HIGHEST_PITCH, LOWEST_PITCH, PERIODIC
from kaimen.voice.features import HOP, WINDOW

HEARD = 640  # samples around a frame in which its pitch is looked for: 40 ms
TRANSFORM = 2 * HEARD
LOW = 1_200  # Hz, up to which it is looked for
FAINT = 1e-3  # of the loudest frame's energy, below which nothing is voiced
FIRST = 0.9  # of the highest similarity: the shortest period that reaches it is the pitch
SMOOTHED = 5  # frames: a single one that leaps by an octave is a mistake
HISS = 4_000  # Hz, above which a voice is breath more than tone
STRENGTH = 0.3  # of noise beside pulses there

PitchContour = NDArray[np.float64]  # (frames,): Hz, 0 where nothing is voiced


def contour(samples: Samples) -> PitchContour:
    """Return the pitch in each frame of ``kaimen.voice.features.log_mel``, by autocorrelation."""
    around = (HEARD - WINDOW) // 2
    padded = np.pad(samples.astype(np.float64), around)
    frames = np.lib.stride_tricks.sliding_window_view(padded, HEARD)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    # Of low tones only: a period is no whole number of samples, which high ones would notice.
    spectra = np.fft.rfft(frames, TRANSFORM)[:, : LOW * TRANSFORM // SAMPLE_RATE]
    similarity = np.fft.irfft(spectra.real**2 + spectra.imag**2, TRANSFORM)
    energy = similarity[:, 0].copy()
    lags = np.arange(SAMPLE_RATE // HIGHEST_PITCH, SAMPLE_RATE // LOWEST_PITCH)
    # A window that slides off itself has fewer products at larger lags.
    similarity = similarity[:, lags] / np.maximum(energy, 1e-12)[:, np.newaxis]
    similarity *= HEARD / (HEARD - lags)
    highest = similarity.max(axis=1, keepdims=True)
    voiced = (highest[:, 0] > PERIODIC) & (energy > FAINT * energy.max())
    # Of the peaks: a long lag's flank is high already below its peak.
    rising = np.diff(similarity, axis=1, prepend=-np.inf) > 0
    falling = np.diff(similarity, axis=1, append=-np.inf) <= 0
    shortest = (rising & falling & (similarity >= FIRST * highest)).argmax(axis=1)
    found: PitchContour = median_filter(np.where(voiced, SAMPLE_RATE / lags[shortest], 0), SMOOTHED)
    return found


def between(first: PitchContour, last: PitchContour, share: float, frames: int) -> PitchContour:
    """A contour of so many frames on the way from one to the other; pitches change by ratios."""
    ends = [each[np.linspace(0, len(each) - 1, frames).round().astype(int)]
            for each in (first, last)]  # fmt: skip
    voiced = (1 - share) * (ends[0] > 0) + share * (ends[1] > 0) >= 0.5
    levels = [_level(each) for each in ends]
    if not any(each.any() for each in levels):
        return np.zeros(frames)
    known = [each if each.any() else levels[1 - place] for place, each in enumerate(levels)]
    return np.where(voiced, np.exp((1 - share) * known[0] + share * known[1]), 0)


def _level(pitches: PitchContour) -> PitchContour:
    """Return logarithms of pitches, with what lies between them for where there is none."""
    at = np.flatnonzero(pitches)
    if not len(at):
        return np.zeros(len(pitches))
    return np.interp(np.arange(len(pitches)), at, np.log(pitches[at]))


def source(pitches: PitchContour) -> Samples:
    """Return pulses and noise of even spectra, ((frames - 1) HOP + WINDOW,)."""
    length = (len(pitches) - 1) * HOP + WINDOW
    nearest = ((np.arange(length) - WINDOW / 2) / HOP).round().astype(int)
    each = pitches[np.clip(nearest, 0, len(pitches) - 1)]
    turns = 2 * np.pi * np.cumsum(each) / SAMPLE_RATE
    pulses = np.zeros(length)
    for partial in range(1, SAMPLE_RATE // 2 // LOWEST_PITCH):
        heard = (each > 0) & (partial * each < SAMPLE_RATE / 2)
        if not heard.any():
            break
        fading = np.where(partial * each < HISS, 1.0, 1 - STRENGTH)
        pulses += np.where(heard, fading * np.cos(partial * turns), 0)
    noise = np.random.default_rng(0).standard_normal(length)
    # As strong as the partial tones of a pulse: one every ``pitch`` Hz.
    strength = np.where(each > 0, STRENGTH, 1.0) * np.sqrt(
        SAMPLE_RATE / 4 / np.where(each > 0, each, LOWEST_PITCH)
    )
    high = np.where(each > 0, _above(noise), noise)
    return np.asarray(pulses + strength * high, np.float32)


def _above(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what of it is higher than HISS."""
    spectrum = np.fft.rfft(noise)
    spectrum[: round(HISS / SAMPLE_RATE * len(noise))] = 0
    return np.fft.irfft(spectrum, len(noise))
