"""Tell whether a recording is good enough to know somebody by: its voice, its level, its room.

Voiced sound repeats itself with the pitch of the voice, so its normalised autocorrelation
has a peak at that lag; hiss, breath and knocks have none that lasts. How the thresholds were
found is in ``docs/figures/enrollment.md``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import NoSpeech, RecordingError
from kaimen.sound import FULL_SCALE, SAMPLE_RATE, Samples
from kaimen.sound.endpoint import FRAME, NO_ROOM, QUIETEST, Phrase, background, levels

COARSER = 2  # samples taken together: pitch needs no high frequencies
RATE = SAMPLE_RATE // COARSER
WINDOW = 320  # coarser samples: 40 ms, two periods of the lowest voice
HOP = 80  # coarser samples: 10 ms
LOWEST_PITCH = 60  # Hz
HIGHEST_PITCH = 450  # Hz
TRANSFORM = 480  # points: with WINDOW samples, exact up to the lag of the lowest pitch
TOGETHER = 16  # frames transformed at a time
PERIODIC = 0.5  # of the autocorrelation at lag zero
LOUD = 20.0  # dB below the loudest frame at which a frame still counts
VOICED = 0.08  # seconds of voice that a phrase must hold to be speech at all

MOST_CLIPPED = 0.10  # share of a phrase's samples
LEAST_VOICED = 0.15  # seconds of voice that a recording must hold to enroll somebody
LEAST_SIGNAL_TO_NOISE = 10.0  # dB
AROUND = 10  # frames outside the phrase from which they are the room


class Clipped(RecordingError):
    """So loud that the tops of the waves are cut off."""


class TooShort(RecordingError):
    """A voice, but too little of it."""


class TooNoisy(RecordingError):
    """The voice hardly stands out from what else is heard."""


def voiced_seconds(phrase: Samples, enough: float = math.inf) -> float:
    """Seconds of a phrase that are loud and voiced; not counted on once they are ``enough``."""
    whole = phrase[: len(phrase) // COARSER * COARSER]
    coarse = (whole[::COARSER] + whole[1::COARSER]) / 2
    if len(coarse) < WINDOW:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(coarse, WINDOW)[::HOP]
    energy = _energy(coarse)
    # The loudest first: they are the likeliest to be voiced, and soon enough.
    loudest = np.argsort(-energy, kind="stable")
    loud = loudest[: np.count_nonzero(energy > energy.max() * 10 ** (-LOUD / 10))]
    voiced = 0
    for start in range(0, len(loud), TOGETHER):
        some = loud[start : start + TOGETHER]
        voiced += int(np.count_nonzero(_periodic(frames[some], energy[some])))
        if voiced * HOP >= enough * RATE:
            break
    return voiced * HOP / RATE


def _energy(sound: Samples) -> NDArray[np.float64]:
    """Return energy of each window around its mean, from the sums over hops."""
    hops = sound[: len(sound) // HOP * HOP].reshape(-1, HOP).astype(np.float64)
    ones = np.ones(WINDOW // HOP)
    sums = np.convolve(hops.sum(axis=1), ones, "valid")
    squares = np.convolve(np.einsum("ij,ij->i", hops, hops), ones, "valid")
    energy: NDArray[np.float64] = np.maximum(squares - sums**2 / WINDOW, 0) + 1e-9
    return energy


def _periodic(frames: Samples, energy: NDArray[np.float64]) -> NDArray[np.bool_]:
    frames = frames - frames.mean(axis=1, keepdims=True)
    lags = slice(RATE // HIGHEST_PITCH, RATE // LOWEST_PITCH)
    spectra = np.fft.rfft(frames, TRANSFORM)
    likeness = np.fft.irfft(spectra.real**2 + spectra.imag**2, TRANSFORM)[:, lags]
    likeness /= energy[:, np.newaxis]
    # A window that slides off itself has fewer products at larger lags.
    likeness *= WINDOW / (WINDOW - np.arange(WINDOW)[lags])
    periodic: NDArray[np.bool_] = likeness.max(axis=1) > PERIODIC
    return periodic


def clipped_share(phrase: Samples) -> float:
    """Return share of a phrase's samples at full scale."""
    return float(np.mean(np.abs(phrase) >= FULL_SCALE))


def signal_to_noise(samples: Samples, phrase: Phrase) -> float:
    """Return how far the phrase of a recording stands out from the rest of it, in dB.

    Levels after pre-emphasis, as the endpointer hears them. Where hardly anything surrounds
    the phrase, its quietest moment is the room.
    """
    power = levels(samples)
    first, last = phrase.start // FRAME, -(-phrase.end // FRAME)
    around = np.concatenate((power[: max(0, first - 1)], power[last + 1 :]))
    around = around[around > NO_ROOM]
    room = float(np.median(around)) if len(around) >= AROUND else background(samples)
    spoken = 10 ** (power[first:last] / 10)
    return float(10 * np.log10(spoken.mean())) - max(QUIETEST if room is None else room, NO_ROOM)


def constants() -> dict[str, float]:
    """Return what decides whether a recording is good enough."""
    return {
        "periodic": PERIODIC,
        "loud": LOUD,
        "voiced": VOICED,
        "full_scale": FULL_SCALE,
        "most_clipped": MOST_CLIPPED,
        "least_voiced": LEAST_VOICED,
        "least_signal_to_noise": LEAST_SIGNAL_TO_NOISE,
    }


def is_voice(phrase: Samples) -> bool:
    """Return whether a phrase holds enough voice to be speech at all."""
    return voiced_seconds(phrase, VOICED) >= VOICED


def require_voice(phrase: Samples, enough: float = VOICED) -> float:
    """Return seconds of voice, as far as ``enough``; raises NoSpeech where there is hardly any."""
    voiced = voiced_seconds(phrase, enough)
    if voiced < VOICED:
        raise NoSpeech("there is sound in it but hardly a voice; record it in a quieter place")
    return voiced


def require_good(samples: Samples, phrase: Phrase) -> None:
    """Raise NoSpeech, Clipped, TooNoisy or TooShort for a recording that should enroll nobody."""
    voiced = require_voice(phrase.samples, LEAST_VOICED)
    clipped = clipped_share(phrase.samples)
    if clipped > MOST_CLIPPED:
        raise Clipped(f"too loud: {clipped:.0%} of it is cut off; record it from further away")
    stands_out = signal_to_noise(samples, phrase)
    if stands_out < LEAST_SIGNAL_TO_NOISE:
        raise TooNoisy(
            f"too noisy: the voice stands out by {stands_out:.0f} dB; record it in a quieter place"
        )
    if voiced < LEAST_VOICED:
        raise TooShort(f"only {voiced:.2f} s of voice in it; record it again, the whole phrase")
