"""Rooms, simulated: what arrives of a sound at a place in a shoebox of hard walls.

The first reflections are image sources (J. B. Allen and D. A. Berkley, "Image method for
efficiently simulating small-room acoustics", JASA 65(4), 1979); from EARLY on, noise that decays as
Eyring's formula says, with the energy of a diffuse field (H. Kuttruff, Room Acoustics, ch. 5).
Walls absorb all frequencies alike, and nobody and nothing stands in the room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import SAMPLE_RATE, Samples

SOUND = 343.0  # m/s
EARLY = 0.03  # seconds after the direct sound in which each reflection has its own time
LONGEST = 0.6  # seconds of an answer that are kept
WALL = 0.2  # m that everybody keeps from the walls

Place = NDArray[np.float64]  # (3,), metres


@dataclass(frozen=True, slots=True)
class Room:
    """A shoebox: length, width and height in metres, and the share of energy walls swallow."""

    size: tuple[float, float, float]
    absorption: float

    @property
    def surface(self) -> float:
        """Square metres of wall, floor and ceiling."""
        x, y, z = self.size
        return 2 * (x * y + y * z + z * x)

    @property
    def decay(self) -> float:
        """Seconds in which sound falls by 60 dB (Eyring)."""
        x, y, z = self.size
        return 0.161 * x * y * z / (-self.surface * float(np.log(1 - self.absorption)))

    def answer(self, distance: float, random: np.random.Generator) -> Samples:
        """The impulse response from a source to a listener ``distance`` metres from it.

        Both places are drawn. The direct sound comes first, with height one.
        """
        source, listener = self._places(distance, random)
        delays, heights = self._images(source, listener)
        direct = delays[0]
        length = round(min(LONGEST, EARLY + self.decay) * SAMPLE_RATE)
        answer = np.zeros(length + 2)
        at = (delays - direct) * SAMPLE_RATE
        early = at < EARLY * SAMPLE_RATE
        at, heights = at[early], heights[early] / heights[0]
        whole = at.astype(np.int64)
        # Between two samples a reflection is shared between them.
        np.add.at(answer, whole, heights * (1 - (at - whole)))
        np.add.at(answer, whole + 1, heights * (at - whole))
        answer[:length] += self._tail(length, delays[0] * SOUND, random)
        return answer[:length].astype(np.float32)

    def _places(self, distance: float, random: np.random.Generator) -> tuple[Place, Place]:
        low, high = np.full(3, WALL), np.array(self.size) - WALL
        source = random.uniform(low, high)
        away = random.normal(size=3) * (1, 1, 0.3)  # mostly at about the same height
        away *= distance / np.linalg.norm(away)
        # Into the room, where the way leads through a wall.
        outside = (source + away < low) | (source + away > high)
        listener = np.clip(source + np.where(outside, -away, away), low, high)
        if np.linalg.norm(listener - source) < 0.05:
            listener = source + np.array((0.05, 0, 0))
        return source, listener

    def _images(
        self, source: Place, listener: Place
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and heights of the direct sound, then of its reflections."""
        reach = SOUND * EARLY + float(np.linalg.norm(source - listener))
        places, bounces = [], []
        for axis in range(3):
            most = int(np.ceil(reach / (2 * self.size[axis]))) + 1
            turns = np.arange(-most, most + 1)
            shift = 2 * turns * self.size[axis] - listener[axis]
            places.append(np.concatenate((shift + source[axis], shift - source[axis])))
            bounces.append(np.concatenate((np.abs(2 * turns), np.abs(2 * turns - 1))))
        x, y, z = (places[0][:, None, None], places[1][:, None], places[2])
        far = np.sqrt(x**2 + y**2 + z**2).ravel()
        count = (bounces[0][:, None, None] + bounces[1][:, None] + bounces[2]).ravel()
        near = far <= reach
        order = np.argsort(far[near], kind="stable")
        far, count = far[near][order], count[near][order]
        return far / SOUND, (1 - self.absorption) ** (count / 2) / far

    def _tail(
        self, length: int, distance: float, random: np.random.Generator
    ) -> NDArray[np.float64]:
        times = np.arange(length) / SAMPLE_RATE
        falling = np.exp(-6.91 / self.decay * times)
        falling[times < EARLY] = 0
        # Reverberant over direct energy, at all times together: 16 pi d^2 / R.
        constant = self.surface * self.absorption / (1 - self.absorption)
        energy = 16 * np.pi * distance**2 / constant * np.exp(-13.82 / self.decay * EARLY)
        noise = random.normal(size=length) * falling
        total = float(np.sum(noise**2))
        tail: NDArray[np.float64] = noise * np.sqrt(energy / total) if total > 0 else noise
        return tail
