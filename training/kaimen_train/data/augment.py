"""What happens to a phrase between a mouth and the gate: rooms, noise, other voices, microphones.

Rooms are image-source simulations (pyroomacoustics), computed once a run. Everything is
drawn from one random generator, so that a run can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.data.corpus import Clips, long_enough
from kaimen_train.progress import track

ROOMS = 300
LONGEST_ECHO = 0.5  # seconds of a room's answer that are kept
IN_A_ROOM = 0.3  # share of the clips
IN_NOISE = 0.5
AMONG_VOICES = 0.3  # of those: babble instead of noise
SNR = (3.0, 25.0)  # dB
MICROPHONE = 4.0  # dB, deviation of the microphone's curve at its knots
KNOTS = 6  # of that curve, over the mel scale
COVERED = (8, 10)  # mels and frames at most hidden by one mask of SpecAugment


def rooms(folder: Path, seed: int = 0) -> list[Samples]:
    """Answers of ROOMS shoebox rooms, each with unit energy and the direct sound first."""
    kept = folder / f"rooms-{ROOMS}-{seed}.npz"
    if not kept.exists():
        import pyroomacoustics

        random = np.random.default_rng(seed)
        answers = []
        for _ in track(range(ROOMS), "building rooms"):
            size = random.uniform((2.5, 2.5, 2.3), (9, 7, 3.8))
            absorption, order = pyroomacoustics.inverse_sabine(
                random.uniform(0.15, 0.6), size, c=343
            )
            room = pyroomacoustics.ShoeBox(
                size,
                fs=SAMPLE_RATE,
                materials=pyroomacoustics.Material(min(absorption, 0.95)),
                max_order=min(order, 12),
            )
            gate = random.uniform(0.3, size - 0.3)
            mouth = gate + random.normal(size=3) * random.uniform(0.15, 1.0)
            room.add_source(np.clip(mouth, 0.2, size - 0.2))
            room.add_microphone(gate)
            room.compute_rir()
            answer = np.asarray(room.rir[0][0], np.float32)
            direct = int(np.argmax(np.abs(answer)))
            answer = answer[max(0, direct - 8) :][: int(LONGEST_ECHO * SAMPLE_RATE)]
            answers.append(answer / np.sqrt(np.sum(answer**2)))
        np.savez(kept, *answers)
    with np.load(kept) as stored:
        return [stored[name] for name in stored.files]


@dataclass
class Augmenter:
    """Turns clips into features as a gate might have heard them."""

    noise: Clips
    voices: Clips
    rooms: list[Samples]
    random: np.random.Generator

    def __call__(self, clip: Samples, frames: int) -> NDArray[np.float32]:
        """Return level-free log-mel features of the clip, changed at random, (frames, MELS)."""
        length = (frames - 1) * features.HOP + features.WINDOW
        sound = self._piece(clip, length)
        if self.random.random() < IN_A_ROOM:
            room = self.rooms[self.random.integers(len(self.rooms))]
            sound = fftconvolve(sound, room)[: len(sound)]
        if self.random.random() < IN_NOISE:
            sound = sound + self._disturbance(len(sound), float(np.std(sound)))
        values = features.log_mel(sound.astype(np.float32)) + self._microphone()
        values = features.level_free(np.resize(values, (frames, features.MELS)))
        return cover(values, COVERED, self.random)

    def _piece(self, clip: Samples, length: int) -> Samples:
        if len(clip) <= length:
            return long_enough(clip)
        start = self.random.integers(len(clip) - length + 1)
        return clip[start : start + length]

    def _disturbance(self, length: int, level: float) -> Samples:
        if self.random.random() < AMONG_VOICES:
            sound = np.zeros(length, np.float32)
            for _ in range(self.random.integers(2, 6)):
                voice = self.voices[self.random.integers(len(self.voices))]
                sound += np.roll(np.resize(voice, length), self.random.integers(length))
        else:
            place = self.random.integers(len(self.noise))
            start, end = self.noise.starts[place], self.noise.ends[place]
            if end - start > length:
                start += self.random.integers(end - start - length)
            piece = self.noise.samples[start : min(end, start + length)]
            sound = np.resize(piece.astype(np.float32) / 32768, length)
        wanted = level * 10 ** (-self.random.uniform(*SNR) / 20)
        return sound * np.float32(wanted / (np.std(sound) + 1e-5))

    def _microphone(self) -> NDArray[np.float32]:
        """Return a smooth curve added to log energies: what a filter does to a spectrum."""
        knots = self.random.normal(0, MICROPHONE * np.log(10) / 10, KNOTS)
        knots *= self.random.random()
        places = np.linspace(0, KNOTS - 1, features.MELS)
        return np.interp(places, np.arange(KNOTS), knots).astype(np.float32)


def cover(
    values: NDArray[np.float32], most: tuple[int, int], random: np.random.Generator
) -> NDArray[np.float32]:
    """Hide one band of at most ``most[0]`` mels and one stretch of ``most[1]`` frames.

    SpecAugment: D. Park et al., Interspeech 2019. ``values`` (frames, MELS) are zero on average.
    """
    values = values.copy()
    for axis, widest in ((1, most[0]), (0, most[1])):
        width = random.integers(widest + 1)
        start = random.integers(values.shape[axis] - width + 1)
        values[(slice(None),) * axis + (slice(start, start + width),)] = 0
    return values
