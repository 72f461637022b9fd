"""Errors of a biometric system, in the terms of ISO/IEC 19795-1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]
Numbers = NDArray[np.int_]  # of speakers, from zero


def det_curve(targets: Scores, strangers: Scores) -> tuple[Scores, Scores, Scores]:
    """Return thresholds, and the shares missed and let in when scores at or above them pass.

    All three have one entry a distinct score, and one more above them all; rising thresholds.
    """
    if not len(targets) or not len(strangers):
        raise ValueError("a curve needs scores of both kinds")
    thresholds = np.append(np.unique(np.concatenate((targets, strangers))), np.inf)
    missed = np.searchsorted(np.sort(targets), thresholds, "left") / len(targets)
    let_in = 1 - np.searchsorted(np.sort(strangers), thresholds, "left") / len(strangers)
    return thresholds, missed, let_in


def equal_error_rate(targets: Scores, strangers: Scores) -> float:
    """Return the error where as many are missed as let in, between the two nearest thresholds."""
    _, missed, let_in = det_curve(targets, strangers)
    at = int(np.argmax(missed >= let_in))
    if at == 0:
        return float((missed[0] + let_in[0]) / 2)
    # The two curves are lines between neighbouring thresholds; they cross on the way.
    before, after = let_in[at - 1] - missed[at - 1], missed[at] - let_in[at]
    share = before / (before + after)
    return float(missed[at - 1] + share * (missed[at] - missed[at - 1]))


def equal_error_threshold(targets: Scores, strangers: Scores) -> float:
    """Return the lowest threshold at which at least as many are missed as let in."""
    thresholds, missed, let_in = det_curve(targets, strangers)
    return float(thresholds[int(np.argmax(missed >= let_in))])


def minimum_cost(targets: Scores, strangers: Scores, p_target: float = 0.01) -> float:
    """MinDCF with unit costs, normalised by the better of always and never (NIST SRE 2008)."""
    _, missed, let_in = det_curve(targets, strangers)
    cost = p_target * missed + (1 - p_target) * let_in
    return float(cost.min() / min(p_target, 1 - p_target))


def threshold_at(strangers: Scores, share: float) -> float:
    """Return the lowest threshold at which at most ``share`` of the strangers' scores pass."""
    ordered = np.sort(strangers)[::-1]
    allowed = int(np.floor(share * len(ordered)))
    if allowed >= len(ordered):
        return -np.inf
    # The next number of the scores' own kind: half of one would be rounded away on comparison.
    return float(np.nextafter(ordered[allowed], ordered.dtype.type(np.inf)))


def misses_at(targets: Scores, strangers: Scores, let_in: Scores) -> Scores:
    """Return share of targets missed where at most these shares of strangers are let in."""
    thresholds = np.array([threshold_at(strangers, float(share)) for share in let_in])
    return np.searchsorted(np.sort(targets), thresholds, "left") / len(targets)


def auc(targets: Scores, strangers: Scores) -> float:
    """Return how often a target scores above a stranger (Mann and Whitney); ties count half."""
    ordered = np.sort(strangers)
    below = np.searchsorted(ordered, targets, "left") + np.searchsorted(ordered, targets, "right")
    return float(below.mean() / 2 / len(ordered))


def interval(drawn: Sequence[Any] | NDArray[Any]) -> tuple[float, float]:
    """Return the 95 % interval of a figure from its values in a bootstrap, shape (rounds,)."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def interval_of_equal_error_rate(
    scores: Scores, first: Numbers, second: Numbers
) -> tuple[float, float]:
    """Return 95 % interval by bootstrap over speakers: trials count as often as both are drawn.

    scores, and the numbers of the speakers on both sides, all (trials,). A speaker drawn twice
    counts twice against others, not four times against themselves.
    """
    return interval(drawn_equal_error_rates([scores], first, second)[:, 0])


def drawn_equal_error_rates(
    ways: Sequence[Scores], first: Numbers, second: Numbers, *, rounds: int = 200
) -> Scores:
    """EERs of the same trials scored in several ways, (rounds, ways): speakers drawn anew a round.

    Arguments as of ``interval_of_equal_error_rate``.
    """
    orders = [np.argsort(scores) for scores in ways]
    same = first == second
    found = []
    for weights in _drawn_weights(first, second, rounds):
        errors = []
        for order in orders:
            weighed, targeted = weights[order], same[order]
            targets, strangers = np.cumsum(weighed * targeted), np.cumsum(weighed * ~targeted)
            missed, let_in = targets / targets[-1], 1 - strangers / strangers[-1]
            at = int(np.argmax(missed >= let_in))
            errors.append((missed[at] + let_in[at]) / 2)
        found.append(errors)
    return np.array(found)


def separation(scores: Scores, same: NDArray[np.bool_], weights: Scores | None = None) -> float:
    """Return how far targets' scores lie above strangers', in their mean deviation (d').

    scores, and whether both sides are the same speaker, (trials,). Scores that are normal have an
    EER of Phi(-d' / 2) (D. Green and J. Swets, Signal Detection Theory, 1966); it moves with all
    trials, and the EER of few with the few nearest to the threshold alone.
    """
    counted = np.ones(len(scores)) if weights is None else weights
    means, variances = [], []
    for kind in (same, ~same):
        shares = counted[kind] / counted[kind].sum()
        means.append(shares @ scores[kind])
        variances.append(shares @ (scores[kind] - means[-1]) ** 2)
    return float((means[0] - means[1]) / np.sqrt(np.mean(variances)))


def interval_of_separation_gained(
    before: Scores, after: Scores, first: Numbers, second: Numbers, *, rounds: int = 500
) -> tuple[float, float]:
    """Return 95 % interval of what ``separation`` gains, by bootstrap over speakers.

    Both scores of each trial, and the rest as of ``interval_of_equal_error_rate``.
    """
    same = first == second
    return interval(
        [
            separation(after, same, weights) - separation(before, same, weights)
            for weights in _drawn_weights(first, second, rounds)
        ]
    )


def _drawn_weights(first: Numbers, second: Numbers, rounds: int) -> Iterator[Scores]:
    """Yield how often each trial counts, (trials,), by round: speakers are drawn anew.

    A round that draws one speaker alone is left out: there is nobody to be taken for.
    """
    random = np.random.default_rng(0)
    same = first == second
    speakers = int(max(first.max(), second.max())) + 1
    for _ in range(rounds):
        drawn = np.bincount(random.integers(speakers, size=speakers), minlength=speakers)
        weights = np.where(same, drawn[first], drawn[first] * drawn[second]).astype(float)
        if weights[same].any() and weights[~same].any():
            yield weights
