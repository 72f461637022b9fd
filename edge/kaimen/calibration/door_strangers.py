"""What strangers' scores at a door say of its threshold: they may raise it, and never lower it.

The school's recordings came through whatever microphone enrolled it. Whoever is let in at the door
is a stranger to all other students, too, by this door's microphone and in this room. Where so many
come so near that they certainly contradict the promise, the threshold is raised until they do not.
It is never lowered: who comes to a door can choose how to speak there.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.intervals import share_of
from kaimen.calibration.thresholds import FIRST_TRY

SEVERAL = 3  # students without whom nothing is raised: two alike are twins


@dataclass(frozen=True, slots=True, eq=False)
class DoorStrangers:
    """Strangers' scores at a door, (phrases,), and by number whose phrases they are of."""

    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    owners: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def raised(self, threshold: float, fpir: float) -> float:
        """Return the threshold, or the least above it that these scores do not contradict.

        They do where the lower end of their share's interval, 95 %, is above ``fpir``.
        """
        nearer = np.unique(self.scores[self.scores >= threshold])
        found = [threshold, *np.nextafter(nearer, np.inf).tolist()]
        return float(found[bisect_left(found, True, key=lambda least: self._agree(least, fpir))])

    def _agree(self, threshold: float, fpir: float) -> bool:
        above = self.scores >= threshold
        few = len(np.unique(self.owners[above])) < SEVERAL
        return few or share_of(above, self.owners).low <= fpir

    def raised_tries(self, first: float, both: float, fpir: float) -> tuple[float, float]:
        """Return the threshold of a first try so raised, and that of two together by as much."""
        least = self.raised(first, fpir * FIRST_TRY)
        return least, both + (least - first)
