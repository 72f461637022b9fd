"""Log-mel features become sound again: the mel filters' pseudo-inverse, then Griffin and Lim.

A spectrogram without its phases is that of many sounds or of none. D. Griffin and J. Lim ("Signal
estimation from modified short-time Fourier transform", IEEE Trans. ASSP 32(2), 1984) go back and
forth between the magnitudes that are wanted and the nearest sound; with the momentum of N.
Perraudin, P. Balazs and P. Soendergaard ("A fast Griffin-Lim algorithm", WASPAA 2013).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kaimen.sound import Samples
from kaimen.voice.features import BINS, FFT, HOP, WINDOW, Features, filterbank, window
from kaimen_train.autoencoder.pitch import PitchContour, source

ITERATIONS = 60
MOMENTUM = 0.99
TINY = 1e-8
EDGE = 0.1  # of the windows' greatest sum: where there is less, a sound fades
SMOOTH = 9  # bins, 280 Hz: as far as partial tones of most voices are apart
PEAK = 0.5  # of what ``sound`` gives

Spectra = NDArray[np.complex128]  # (frames, BINS)
Magnitudes = NDArray[np.float64]  # (frames, BINS)


def spectra_of(samples: Samples) -> Spectra:
    """Return short-time spectra in the frames of ``kaimen.voice.features.log_mel``."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    return np.asarray(np.fft.rfft(frames * window(), FFT), np.complex128)


def sound_of(spectra: Spectra) -> Samples:
    """Return the sound whose short-time spectra are nearest, ((frames - 1) HOP + WINDOW,).

    Nearest in least squares: equation 6 of Griffin and Lim. At its ends, where hardly a window
    reaches, it fades instead: what is divided by next to nothing would outshout all else.
    """
    frames = np.fft.irfft(spectra, FFT)[:, :WINDOW] * window()
    summed, weight = np.zeros((2, (len(frames) - 1) * HOP + WINDOW))
    for number, frame in enumerate(frames):
        at = slice(number * HOP, number * HOP + WINDOW)
        summed[at] += frame
        weight[at] += window() ** 2
    return np.asarray(summed / np.maximum(weight, EDGE * weight.max()), np.float32)


@cache
def _spread() -> NDArray[np.float64]:
    return np.linalg.pinv(filterbank().astype(np.float64))


def magnitudes_of(log_mel: Features) -> Magnitudes:
    """Magnitudes whose mel energies are nearest, as far as energies can be: none is negative."""
    power = np.maximum(np.exp(log_mel.astype(np.float64)) @ _spread(), 0)
    return np.asarray(np.sqrt(power), np.float64)


def griffin_lim(
    magnitudes: Magnitudes, iterations: int = ITERATIONS, begun: Spectra | None = None
) -> Samples:
    """Return a sound with about these magnitudes, from the phases of ``begun`` or random ones."""
    drawn = np.random.default_rng(0).uniform(0, 2 * np.pi, (len(magnitudes), BINS))
    if begun is not None:
        drawn = np.angle(begun)
    phases, before = np.exp(1j * drawn), np.zeros((len(magnitudes), BINS), np.complex128)
    for _ in range(iterations):
        consistent = spectra_of(sound_of(magnitudes * phases))
        ahead = consistent + MOMENTUM * (consistent - before)
        phases, before = ahead / np.maximum(np.abs(ahead), TINY), consistent
    return sound_of(magnitudes * phases)


def sound(log_mel: Features, contour: PitchContour | None = None) -> Samples:
    """Return log-mel features (frames, MELS) of any level as sound with a peak of PEAK.

    With a ``contour`` (frames,) it has its pitch; without, whatever the picture shows of one.
    """
    magnitudes, begun = magnitudes_of(log_mel - log_mel.max()), None
    if contour is not None:
        begun = spectra_of(source(contour))
        strength = np.abs(begun)
        # The partial tones that the picture has would beat with those of the contour.
        magnitudes = _smooth(magnitudes) * strength / np.maximum(_smooth(strength), TINY)
    samples = griffin_lim(magnitudes, begun=begun)
    return samples * np.float32(PEAK / max(float(np.abs(samples).max()), TINY))


def _smooth(magnitudes: Magnitudes) -> Magnitudes:
    """Return the same without partial tones."""
    power = uniform_filter1d(magnitudes**2, SMOOTH, axis=1, mode="nearest")
    return np.asarray(np.sqrt(np.maximum(power, 0)), np.float64)
