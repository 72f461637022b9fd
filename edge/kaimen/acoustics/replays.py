"""Replays of a phrase, and live phrases beside them, all simulated.

A replayed phrase goes from a mouth through a room to the recording microphone, through a codec,
out of a loudspeaker, through the gate's room and into the gate's microphone. A live one only goes
through the gate's room and into its microphone.
"""

from __future__ import annotations

import numpy as np

from kaimen.acoustics import filters
from kaimen.acoustics.devices import Device, MicrophonePath, gates
from kaimen.sound import SAMPLE_RATE, Samples

AROUND = 0.4  # seconds of the gate's room before and after a phrase
SNR = (12.0, 40.0)  # dB, that callers draw from
LEVEL = (-36.0, -16.0)  # dB of full scale, of speech at the gate
PEAK = 0.97  # at most, at the gate
FADE = 80  # samples: speech that was cut out begins and ends without a click


def live(sound: Samples, gate: MicrophonePath, snr: float, random: np.random.Generator) -> Samples:
    """Return a phrase said at the gate, with its room before and after it.

    ``sound`` is trimmed speech; ``snr`` in dB counts over all of it.
    """
    return _heard(_around(_faded(sound)), len(sound), gate, snr, random)


def replayed(
    sound: Samples,
    device: Device,
    snr: float,
    random: np.random.Generator,
    *,
    gate: MicrophonePath | None = None,
) -> Samples:
    """Return a phrase that was recorded and is played at the gate, with the gate's room around it.

    ``sound`` and ``snr`` as of ``live``. Without a gate one of the device's family is drawn.
    """
    if gate is None:
        (gate,) = gates(random, 1, device.family)
    # The recording has its own room around the phrase, and it is played with it.
    by = device.recorded_by
    said = filters.convolve(_around(_faded(sound)), by.reverberation, by.microphone)
    recorded = said + _noise(len(said), _loudness(said, len(sound)), device.recorded_snr, random)
    recorded *= np.float32(random.uniform(0.3, 0.9) / np.max(np.abs(recorded), initial=1e-9))
    played = device.loudspeaker(device.codec(recorded))
    return _heard(played, len(sound), gate, snr, random)


def _heard(
    arriving: Samples, spoken: int, gate: MicrophonePath, snr: float, random: np.random.Generator
) -> Samples:
    heard = filters.convolve(arriving, gate.reverberation, gate.microphone)
    loudness = _loudness(heard, spoken)
    heard = heard + _noise(len(heard), loudness, snr, random)
    wanted = 10 ** (random.uniform(*LEVEL) / 20)
    height = min(wanted / loudness, PEAK / float(np.max(np.abs(heard), initial=1e-9)))
    return (heard * np.float32(height)).astype(np.float32)


def _around(sound: Samples) -> Samples:
    quiet = np.zeros(round(AROUND * SAMPLE_RATE), np.float32)
    return np.concatenate((quiet, sound, quiet)).astype(np.float32)


def _faded(sound: Samples) -> Samples:
    faded = sound.astype(np.float32)
    edge = min(FADE, len(sound) // 2)
    slope = np.linspace(0, 1, edge, dtype=np.float32)
    faded[:edge] *= slope
    faded[len(faded) - edge :] *= slope[::-1]
    return faded


def _loudness(sound: Samples, spoken: int) -> float:
    """Root of the mean square, as if all of the energy were in the phrase."""
    return float(np.sqrt(np.sum(sound.astype(np.float64) ** 2) / max(spoken, 1))) + 1e-9


def _noise(length: int, loudness: float, snr: float, random: np.random.Generator) -> Samples:
    """Noise whose power falls with frequency by 0 to 6 dB an octave, ``snr`` dB below."""
    points = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(random.standard_normal(points, dtype=np.float32))
    bins = np.maximum(np.arange(len(spectrum)), points * 50 // SAMPLE_RATE)  # level below 50 Hz
    spectrum *= bins ** -random.uniform(0, 1)
    noise = np.fft.irfft(spectrum, points)[:length]
    noise *= loudness * 10 ** (-snr / 20) / (np.std(noise) + 1e-12)
    return noise.astype(np.float32)
