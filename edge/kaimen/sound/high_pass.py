"""What lies below every voice is taken from the sound where it enters: offset, rumble, mains hum.

An inverse Chebyshev filter passes nothing of a constant and next to nothing up to 60 Hz, where
the mains hum, and leaves the lowest voices alone. Its poles and zeros have a closed form
(L. D. Paarmann, "Design and Analysis of Analog Filters", 2001, chapter 5); the bilinear transform
makes them digital at any rate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kaimen.sound import FULL_SCALE, Samples

STOPPED = 60.0  # Hz up to which nothing passes
ATTENUATION = 25.0  # dB there at least; 3 dB at 76 Hz
ORDER = 5  # odd: one of the zeros is a constant's
_BELOW = FULL_SCALE - 1e-6
TOGETHER = 160  # samples that are filtered in one step


class HighPass:
    """Filters a stream in blocks of any size; the same for a whole recording at once.

    Before its first sample a stream is taken to have been constant, so that an offset leaves no
    trace, not even where the stream begins.
    """

    def __init__(self, rate: int) -> None:
        self._filter = _filter_at(rate)
        self._state: NDArray[np.complex128] | None = None

    def __call__(self, block: Samples) -> Samples:
        """Return a block, shape (n,), without what is too low; n samples.

        What was cut off is at full scale, and nothing else is, so that it can be told.
        """
        if not len(block):
            return block
        block = np.clip(block, -1, 1)
        if self._state is None:
            self._state = self._filter.steady * block[0]
        passed = np.empty(len(block), np.float64)
        whole = len(block) // TOGETHER * TOGETHER
        for first, last in ((0, whole), (whole, len(block))):
            if last > first:
                rows = block[first:last].reshape(-1, min(TOGETHER, last - first))
                filtered, self._state = self._filter.step(rows.astype(np.float64), self._state)
                passed[first:last] = filtered.ravel()
        passed = np.clip(passed, -_BELOW, _BELOW)
        cut_off = np.abs(block) >= FULL_SCALE
        passed[cut_off] = np.sign(block[cut_off])
        return passed.astype(np.float32)


class _Filter:
    """The filter at one rate, as a sum of first-order ones: a state a pole."""

    def __init__(self, rate: int) -> None:
        angles = np.pi * (2 * np.arange(ORDER) + 1) / (2 * ORDER)
        flat = np.arcsinh(np.sqrt(10 ** (ATTENUATION / 10) - 1)) / ORDER
        edge = np.tan(np.pi * STOPPED / rate)
        zeros = _digital(1j * edge * np.cos(angles))
        poles = _digital(
            edge * (-np.sinh(flat) * np.sin(angles) + 1j * np.cosh(flat) * np.cos(angles))
        )
        gain = np.prod((1 + poles) / (1 + zeros)).real  # 1 at the highest frequency
        residues = np.array(
            [
                gain * np.prod(pole - zeros) / np.prod(pole - np.delete(poles, number))
                for number, pole in enumerate(poles)
            ]
        )
        # Of a pair of poles, one does: the other adds the same real part.
        kept = poles.imag > -1e-12
        twice = np.where(poles.imag > 1e-12, 2, 1)
        self._poles, self._residues = poles[kept], (twice * residues)[kept]
        self.steady = 1 / (1 - self._poles)  # after a constant 1
        powers = self._poles ** np.arange(TOGETHER)[:, np.newaxis]  # (TOGETHER, poles)
        answer = np.concatenate(([gain], (powers @ self._residues).real[:-1]))
        behind = np.subtract.outer(np.arange(TOGETHER), np.arange(TOGETHER)).T
        self._answer = np.where(behind >= 0, answer[behind], 0)  # (heard, passed)
        self._powers = powers

    def step(
        self, rows: NDArray[np.float64], state: NDArray[np.complex128]
    ) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
        """Filter rows (n, samples) of up to TOGETHER; also return the state after them."""
        length = rows.shape[1]
        added = rows @ self._powers[:length][::-1]
        fading = self._poles**length
        states = np.empty_like(added)
        for number, more in enumerate(added):
            states[number] = state
            state = fading * state + more
        decays = (self._powers[:length] * self._residues).T
        return rows @ self._answer[:length, :length] + (states @ decays).real, state


_filter_at = lru_cache(maxsize=16)(_Filter)


def _digital(analogue: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Poles or zeros in the plane of z, by the bilinear transform."""
    return (1 + analogue) / (1 - analogue)
