"""Linear filters of microphones and loudspeakers, as frequency responses and as what they answer.

Sections of second order are the analogue ones (R. Bristow-Johnson's audio EQ cookbook starts from
the same); a gain becomes a filter of minimum phase by its cepstrum (A. Oppenheim and R. Schafer,
Discrete-Time Signal Processing, 13.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import SAMPLE_RATE, Samples

POINTS = 4096  # of a response
BLOCK = 2048  # samples that a transform is a multiple of
LEAST = 1e-4  # of a gain
TAPS = 2048  # of what a filter answers: 128 ms
FREQUENCIES = np.linspace(0, SAMPLE_RATE / 2, POINTS // 2 + 1)  # Hz, of a response

Response = NDArray[np.complex128]  # (len(FREQUENCIES),)


def high_pass(corner: float, quality: float) -> Response:
    """Second order; a quality above 0.7 is a resonance at the corner (Hz)."""
    s: Response = 1j * FREQUENCIES / corner
    return s**2 / (s**2 + s / quality + 1)


def low_pass(corner: float, quality: float = 0.7) -> Response:
    """Second order, corner in Hz."""
    s: Response = 1j * FREQUENCIES / corner
    response: Response = np.reciprocal(s**2 + s / quality + 1)
    return response


def first_order_high_pass(corner: float) -> Response:
    """6 dB an octave below the corner (Hz)."""
    s: Response = 1j * FREQUENCIES / corner
    return s / (s + 1)


def butterworth_high_pass(corner: float, order: int) -> Response:
    """Flat above the corner (Hz), 6 dB an octave and order below it; orders are even."""
    angles = np.pi * (2 * np.arange(order // 2) + 1) / (2 * order)
    sections = [high_pass(corner, 0.5 / float(np.cos(angle))) for angle in angles]
    response: Response = np.prod(sections, axis=0)
    return response


def peak(centre: float, quality: float, gain: float) -> Response:
    """A resonance, or for a negative gain (dB) a notch, at a frequency in Hz."""
    s: Response = 1j * FREQUENCIES / centre
    height = 10 ** (gain / 40)
    return (s**2 + s * height / quality + 1) / (s**2 + s / (height * quality) + 1)


def curve(hertz: Sequence[float], decibels: Sequence[float]) -> Response:
    """A gain that goes through these points, straight in decibels and octaves."""
    at = np.log2(np.maximum(FREQUENCIES, 20))
    return 10 ** (np.interp(at, np.log2(hertz), decibels) / 20) + 0j


def answer(response: Response) -> Samples:
    """What a filter makes of one sample of height one, shape (TAPS,), its end faded out.

    Only the gain of the response counts: the filter is the one of minimum phase, as microphones
    and loudspeakers about are.
    """
    logarithm = np.log(np.maximum(np.abs(response), LEAST))
    cepstrum = np.fft.irfft(logarithm, POINTS)
    cepstrum[1 : POINTS // 2] *= 2
    cepstrum[POINTS // 2 + 1 :] = 0
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), POINTS)[:TAPS]
    taps[-TAPS // 4 :] *= np.linspace(1, 0, TAPS // 4)
    return taps.astype(np.float32)


def convolve(sound: Samples, *answers: Samples) -> Samples:
    """The sound through all of these, as long as before, shape (samples,)."""
    longest = len(sound) + sum(len(each) for each in answers)
    points = -(-longest // BLOCK) * BLOCK  # of small factors, and hardly longer than needed
    spectrum = np.fft.rfft(sound, points)
    for each in answers:
        spectrum *= np.fft.rfft(each, points)
    return np.fft.irfft(spectrum, points)[: len(sound)].astype(np.float32)
