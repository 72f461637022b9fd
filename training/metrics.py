"""Errors of a biometric system, in the terms of ISO/IEC 19795-1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]


def det_curve(targets: Scores, strangers: Scores) -> tuple[Scores, Scores, Scores]:
    """Thresholds, and the shares missed and let in when scores at or above them pass.

    All three have one entry a distinct score, and one more above them all; rising thresholds.
    """
    if not len(targets) or not len(strangers):
        raise ValueError("a curve needs scores of both kinds")
    thresholds = np.append(np.unique(np.concatenate((targets, strangers))), np.inf)
    missed = np.searchsorted(np.sort(targets), thresholds, "left") / len(targets)
    let_in = 1 - np.searchsorted(np.sort(strangers), thresholds, "left") / len(strangers)
    return thresholds, missed, let_in


def equal_error_rate(targets: Scores, strangers: Scores) -> float:
    """The error where as many are missed as let in, between the two nearest thresholds."""
    _, missed, let_in = det_curve(targets, strangers)
    at = int(np.argmax(missed >= let_in))
    if at == 0:
        return float((missed[0] + let_in[0]) / 2)
    # The two curves are lines between neighbouring thresholds; they cross on the way.
    before, after = let_in[at - 1] - missed[at - 1], missed[at] - let_in[at]
    share = before / (before + after)
    return float(missed[at - 1] + share * (missed[at] - missed[at - 1]))


def minimum_cost(targets: Scores, strangers: Scores, p_target: float = 0.01) -> float:
    """MinDCF with unit costs, normalised by the better of always and never (NIST SRE 2008)."""
    _, missed, let_in = det_curve(targets, strangers)
    cost = p_target * missed + (1 - p_target) * let_in
    return float(cost.min() / min(p_target, 1 - p_target))


def threshold_at(strangers: Scores, share: float) -> float:
    """The lowest threshold at which at most ``share`` of the strangers' scores pass."""
    ordered = np.sort(strangers)[::-1]
    allowed = int(np.floor(share * len(ordered)))
    if allowed >= len(ordered):
        return -np.inf
    # The next number of the scores' own kind: half of one would be rounded away on comparison.
    return float(np.nextafter(ordered[allowed], ordered.dtype.type(np.inf)))
