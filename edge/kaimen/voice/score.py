"""The score: how alike a probe is to a student, by what the student's recordings became.

Half of it is the highest cosine between the probe and a recording, half the cosine to the
centroid: the mean of the recordings' points, scaled to unit length. One recording that fits well
counts, and so does how well the probe fits them all. Of one recording it is the cosine itself.

A score that is no number is -inf: it opens nothing, and it is nobody's best.

A grown voiceprint, which was taken in at the gate, raises the score of a probe that is very near
to it, and by LIFT at most: who is further below a threshold by what enrolled stays outside,
whatever was taken in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RULE = "best + centroid"  # thresholds learned by another rule mean nothing
LIFT = 0.05  # by which grown voiceprints raise a score, at most
BELOW = 0.1  # of cosine to the nearest grown voiceprint, to which it is raised
LEAST_LENGTH = 1e-3  # of a sum of points: those that cancel each other have no centroid

Scores = NDArray[np.float32]
Points = NDArray[np.float32]
Starts = NDArray[np.int64]  # where each student's recordings begin; everybody has one


def centroids_of(points: Points, starts: Starts) -> Points:
    """Return students' centroids, (students, dimension).

    ``points`` (recordings, dimension) have unit length, each student's together.
    """
    return _unit(np.add.reduceat(points, starts, axis=0))


def combined(highest: Scores, middle: Scores) -> Scores:
    """Return scores of the highest cosines to a recording and those to the centroid, any shape."""
    found: Scores = (highest + middle) * np.float32(0.5)
    found[~np.isfinite(found)] = -np.inf
    return found


def scores(cosines: Scores, starts: Starts, middle: Scores) -> Scores:
    """Return students' scores, (..., students).

    ``cosines`` (..., recordings) are those to all students' recordings, each one's together,
    ``middle`` (..., students) those to the centroids.
    """
    return combined(np.maximum.reduceat(cosines, starts, axis=-1), middle)


def score_of(enrolled: Points, probes: Points) -> Scores:
    """Return one student's scores, (probes,), of probes (probes, dimension)."""
    return combined((probes @ enrolled.T).max(axis=1), probes @ _unit(enrolled.sum(axis=0)))


def lifted(enrolled: Scores, nearest: Scores) -> Scores:
    """Return scores by what enrolled as grown voiceprints raise them; all of one shape.

    ``nearest`` are the highest cosines to a student's grown voiceprints. A score of -inf stays so.
    """
    raised: Scores = np.minimum(nearest - np.float32(BELOW), enrolled + np.float32(LIFT))
    return np.fmax(enrolled, raised)  # of what is no number, the other


def among_themselves(points: Points) -> Scores:
    """Return each recording's score against the others of its student, (recordings,).

    ``points`` (recordings, dimension) are two at least.
    """
    each = range(len(points))
    return np.concatenate([score_of(np.delete(points, n, 0), points[n : n + 1]) for n in each])


def _unit(sums: Points) -> Points:
    lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
    unit: Points = sums / np.maximum(lengths, np.float32(LEAST_LENGTH))
    return unit
