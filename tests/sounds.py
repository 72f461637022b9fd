"""Sounds that tests are made of; levels are in dB of full scale."""

from __future__ import annotations

import numpy as np

from kaimen.sound import SAMPLE_RATE, Samples


def tone(hertz: float, seconds: float, rate: int = SAMPLE_RATE, height: float = 0.5) -> Samples:
    """A sine, shape (samples,)."""
    return (height * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """White noise, shape (samples,)."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return (samples * 10 ** (level / 20)).astype(np.float32)


def spoken(seconds: float, pitch: float = 140.0, height: float = 0.3) -> Samples:
    """What a voice is to a level: harmonics that swell four times a second."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * n * at + n * n) / n for n in range(1, 40))
    swell = 0.55 + 0.45 * np.cos(2 * np.pi * 4 * at)
    voiced = harmonics * swell
    return (height * voiced / np.abs(voiced).max()).astype(np.float32)


def silence(seconds: float) -> Samples:
    """Nothing at all, shape (samples,)."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def in_a_room(*parts: Samples, level: float = -70.0, seed: int = 0) -> Samples:
    """The parts one after another, over the noise of a room."""
    dry = np.concatenate(parts)
    return dry + noise(len(dry) / SAMPLE_RATE, level, seed)


def pitch_of(samples: Samples, rate: int = SAMPLE_RATE) -> float:
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))
