"""Log-mel features and the classic 39, for training and for the gate alike.

Both start from power spectra: frames of 25 ms every 10 ms, Hann window or Kaldi's (D. Povey et
al., "The Kaldi Speech Recognition Toolkit", ASRU 2011; its povey window and pre-emphasis). The
mel scale is HTK's (S. Young et al., The HTK Book, 5.4); the 39 are 13 cepstra with their
first and second regression deltas (The HTK Book, 5.9; S. Davis and P. Mermelstein,
"Comparison of parametric representations for monosyllabic word recognition", IEEE Trans.
ASSP 28(4), 1980).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import NoSpeech
from kaimen.sound import SAMPLE_RATE, Samples

WINDOW = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms
FFT = 512  # points of a spectrum
MELS = 64  # triangular filters
LOWEST = 60.0  # Hz
HIGHEST = 7600.0  # Hz
FLOOR = 1e-8  # power added before the logarithm, unless the bands say another
CEPSTRA = 13  # of the classic 39
FARTHEST = np.float32(10)  # of a centred feature from its mean: beyond is digital silence
TOGETHER = 32  # frames transformed at a time: their spectra stay in the processor's cache
DELTA_REACH = 2  # frames on each side of a regression delta

FRAMES_PER_SECOND = SAMPLE_RATE // HOP
BINS = FFT // 2 + 1

Features = NDArray[np.float32]  # (frames, values)


@dataclass(frozen=True, slots=True)
class Bands:
    """Triangular filters, equally spaced in mel, and the spectra that they weigh."""

    mels: int
    lowest: float  # Hz
    highest: float  # Hz
    floor: float = FLOOR
    preemphasis: float = 0.0  # share of the sample before that is taken from each
    hann_power: float = 1.0  # that the Hann window is raised to


COARSE = Bands(MELS, LOWEST, HIGHEST)
# As Kaldi's, from which CAM++ learned.
FINE = Bands(80, 20.0, 8_000.0, floor=1e-10, preemphasis=0.97, hann_power=0.85)


def constants(bands: Bands = COARSE) -> dict[str, float]:
    """Return what a network must have been trained with; part of its card."""
    found = {
        "sample_rate": SAMPLE_RATE,
        "window": WINDOW,
        "hop": HOP,
        "fft": FFT,
        "mels": bands.mels,
        "lowest_hz": bands.lowest,
        "highest_hz": bands.highest,
        "floor": bands.floor,
    }
    # Cards of networks behind plain spectra never named these.
    if bands.preemphasis:
        found["preemphasis"] = bands.preemphasis
    if bands.hann_power != 1:
        found["hann_power"] = bands.hann_power
    return found


def bands_of(constants_: Mapping[str, float]) -> Bands:
    """Return the bands whose ``constants`` these are. Raises ValueError for those of no bands."""
    for bands in (COARSE, FINE):
        if constants(bands) == constants_:
            return bands
    raise ValueError("features of another program")


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pitch in mel of frequencies in Hz."""
    pitch: NDArray[np.float64] = 2595 * np.log10(1 + hertz / 700)
    return pitch


@cache
def filterbank(bands: Bands = COARSE) -> NDArray[np.float32]:
    """Return triangular filters of height one, equally spaced in mel, shape (BINS, mels)."""
    lowest, highest = mel(np.array([bands.lowest, bands.highest])).tolist()
    edges = np.linspace(lowest, highest, bands.mels + 2)
    bins = mel(np.linspace(0, SAMPLE_RATE / 2, BINS))[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float32] = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters


@cache
def window(bands: Bands = COARSE) -> NDArray[np.float32]:
    """The window of a frame, (WINDOW,): Hann's periodic one, or a power of the symmetric one."""
    if bands.hann_power == 1:
        return np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return (np.hanning(WINDOW) ** bands.hann_power).astype(np.float32)


@cache
def cepstral_basis() -> NDArray[np.float32]:
    """The orthonormal DCT-II that turns MELS log energies into CEPSTRA, shape (MELS, CEPSTRA)."""
    angles = np.pi / MELS * np.outer(np.arange(MELS) + 0.5, np.arange(CEPSTRA))
    scale = np.where(np.arange(CEPSTRA) == 0, np.sqrt(1 / MELS), np.sqrt(2 / MELS))
    cosines: NDArray[np.float32] = (np.cos(angles) * scale).astype(np.float32)
    return cosines


def log_mel(samples: Samples, bands: Bands = COARSE) -> Features:
    """Return natural logarithms of mel energies, shape (frames, mels).

    There are 1 + (len(samples) - WINDOW) // HOP frames. Raises NoSpeech for less than one.
    """
    if len(samples) < WINDOW:
        raise NoSpeech(f"shorter than {WINDOW / SAMPLE_RATE * 1000:.0f} ms; record a whole phrase")
    if bands.preemphasis:
        before = np.float32(bands.preemphasis) * samples[:-1]
        samples = np.append(samples[:1], samples[1:] - before)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    energies = np.empty((len(frames), bands.mels), np.float32)
    for start in range(0, len(frames), TOGETHER):
        spectra = np.fft.rfft(frames[start : start + TOGETHER] * window(bands), FFT)
        power = (spectra.real**2 + spectra.imag**2).astype(np.float32)
        np.matmul(power, filterbank(bands), out=energies[start : start + TOGETHER])
    logarithms: Features = np.log(energies + np.float32(bands.floor))
    return logarithms


def level_free(log_energies: Features) -> Features:
    """Log-mel features less their mean over everything: how loud a phrase was is no voice."""
    centred: Features = log_energies - log_energies.mean(dtype=np.float32)
    return centred


def centred(log_energies: Features) -> Features:
    """Return log-mel features less each band's mean over time, at most FARTHEST from it."""
    away = log_energies - log_energies.mean(axis=0, dtype=np.float32)
    within: Features = np.clip(away, -FARTHEST, FARTHEST)
    return within


def classic39(samples: Samples) -> Features:
    """13 cepstra, their deltas and the deltas' deltas, shape (frames, 39)."""
    cepstra = log_mel(samples) @ cepstral_basis()
    first = deltas(cepstra)
    return np.concatenate((cepstra, first, deltas(first)), axis=1)


def deltas(values: Features) -> Features:
    """Slope of a least-squares line over DELTA_REACH frames on each side, edges repeated."""
    reach = np.arange(1, DELTA_REACH + 1)
    padded = np.pad(values, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
    count = len(values)
    slope = np.zeros_like(values)
    for step in reach:
        ahead = padded[DELTA_REACH + step : DELTA_REACH + step + count]
        behind = padded[DELTA_REACH - step : DELTA_REACH - step + count]
        slope += np.float32(step) * (ahead - behind)
    return slope / np.float32(2 * np.sum(reach**2))


def fit_frames(features: Features, frames: int) -> list[Features]:
    """Cut or repeat features to windows of exactly ``frames``.

    A shorter phrase is said again from its beginning until the window is full; a longer one
    gives as many windows as cover it evenly.
    """
    have = len(features)
    if have <= frames:
        return [np.resize(features, (frames, features.shape[1]))]
    windows = -(-have // frames)
    starts = np.linspace(0, have - frames, windows).round().astype(int)
    return [features[start : start + frames] for start in starts]
