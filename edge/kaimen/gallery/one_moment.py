"""Whether most students' takes seem to be of one moment, by how alike they are.

Takes of two days are rarely as alike as that, and long phrases of one moment nearly always are.
Of short phrases it says little: theirs are often less alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.77  # least cosine of a student's takes, by the encoder that it was measured of
MEASURED = "large"  # that encoder
TAKES = 3  # of a student, at least, that are looked at
FEWEST = 5  # students of whom something is said
MANY = 0.5  # share of students

MEND = "take two of each on another day, with 'kaimen enroll --student NAME --add'"


@dataclass(frozen=True, slots=True)
class OneMoment:
    """How many students were looked at, and how many of them have takes that alike."""

    students: int
    alike: int

    @classmethod
    def of(cls, takes: Iterable[NDArray[np.float32]]) -> OneMoment:
        """Return the same of each student's voiceprints, (takes, dimension)."""
        least = [float((own @ own.T).min()) for own in takes if len(own) >= TAKES]
        return cls(len(least), sum(each >= ALIKE for each in least))

    @property
    def warning(self) -> str:
        """Return what is to be said of it; nothing where takes differ, or are too few to tell."""
        if self.students < FEWEST or self.alike <= MANY * self.students:
            return ""
        return (
            f"the takes of {self.alike} of {self.students} students are so alike that they seem to "
            "be of one moment: on another day these students are missed more often"
        )
