"""How many students are missed where few strangers get in, beyond what trials can count.

Below one in the number of trials nothing can be counted. There the highest strangers' scores are
taken for the tail of a generalized Pareto distribution (J. Pickands, "Statistical inference using
extreme order statistics", Annals of Statistics 3(1), 1975), which is an extrapolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int_]

# Of strangers' scores that are the tail. More of them bend the fit towards scores that open for
# nobody, fewer are a handful of pairs of speakers; of 1, 2, 5 and 10 % this one came nearest to
# what can be counted at an FMR of 1e-4 (``docs/figures/protocols.md``).
SHARE = 0.02
ROUNDS = 200  # of the bootstrap over speakers
SHAPES = (-1.0, 0.0)  # from uniform to exponential: cosines end at one, so no tail is heavier


@dataclass(frozen=True, slots=True)
class Tail:
    """The distribution of the scores above ``start``, which ``share`` of all scores are."""

    share: float
    start: float
    scale: float
    shape: float  # below zero: scores end somewhere, as cosines do

    @classmethod
    def fit(cls, scores: Floats, weights: Floats, share: float = SHARE) -> Tail:
        """Fit the highest of falling ``scores`` by their probability-weighted moments.

        scores, and how often each counts, (n,). J. Hosking and J. Wallis, "Parameter and quantile
        estimation for the generalized Pareto distribution", Technometrics 29(3), 1987.
        """
        total = weights.sum()
        above = np.cumsum(weights)
        count = int(np.searchsorted(above, share * total, "right"))
        start = scores[min(count, len(scores) - 1)]
        excess, counted = scores[:count] - start, weights[:count]
        inside = counted.sum()
        if inside == 0:
            return cls(share, float(start), 0.0, 0.0)
        exceeded = (above[:count] - counted / 2) / inside  # the share above each score
        mean = float(counted @ excess / inside)
        weighed = float(counted @ (excess * exceeded) / inside)
        ratio = mean / max(mean - 2 * weighed, 1e-12)
        shape = float(np.clip(2 - ratio, *SHAPES))
        return cls(float(inside / total), float(start), mean * (1 - shape), shape)

    def threshold(self, share: float) -> float:
        """Return the score that ``share`` of all scores reach, ``share`` being in the tail.

        S. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, (4.12).
        """
        times = self.share / share
        if abs(self.shape) < 1e-9:
            return self.start + self.scale * float(np.log(times))
        return self.start + self.scale / self.shape * float(times**self.shape - 1)


def counted_threshold(scores: Floats, weights: Floats, share: float) -> float:
    """Return the lowest threshold that at most ``share`` of falling ``scores`` reach, by weight."""
    above = np.cumsum(weights)
    at = int(np.searchsorted(above, share * above[-1] * (1 + 1e-9), "right"))
    return float(np.nextafter(scores[at], np.inf)) if at < len(scores) else -np.inf


class Errors:
    """Students' and strangers' scores by who was there, and the FNIR at given FMRs."""

    def __init__(self, scores: Floats, first: Numbers, second: Numbers) -> None:
        """scores, and the numbers of the enrolled and of the speakers, each (trials,)."""
        own = first == second
        falling = np.argsort(-scores[~own])
        self._own, self._who = scores[own], first[own]
        self._others = scores[~own][falling]
        self._sides = first[~own][falling], second[~own][falling]
        self._speakers = np.union1d(first, second)

    @property
    def counted(self) -> int:
        """Return how many strangers' trials there are: an FMR below one of them is not counted."""
        return len(self._others)

    def fnir(self, fmrs: Sequence[float], drawn: Floats | None = None) -> tuple[Floats, Floats]:
        """Return FNIR at each of the falling ``fmrs``, counted and by the tail; NaN where none is.

        ``drawn`` says how often each speaker counts, (highest number + 1,); each once if None.
        """
        often = np.ones(int(self._speakers.max()) + 1) if drawn is None else drawn
        first, second = self._sides
        weights, own = often[first] * often[second], often[self._who]
        if not own.any() or not weights.any():
            return np.full(len(fmrs), np.nan), np.full(len(fmrs), np.nan)
        tail = Tail.fit(self._others, weights)
        counted, fitted = np.full(len(fmrs), np.nan), np.full(len(fmrs), np.nan)
        least = -np.inf  # rarer strangers never need a lower threshold
        for place, fmr in enumerate(fmrs):
            if fmr * self.counted >= 1:
                least = counted_threshold(self._others, weights, fmr)
                counted[place] = own[self._own < least].sum() / own.sum()
            if fmr <= tail.share:
                threshold = max(tail.threshold(fmr), -np.inf if fmr * self.counted >= 1 else least)
                fitted[place] = own[self._own < threshold].sum() / own.sum()
        return counted, fitted

    def intervals(self, fmrs: Sequence[float]) -> Floats:
        """95 % intervals, (fmrs, 2), by bootstrap over speakers: of the counted, or the fitted.

        Trials count as often as both speakers are drawn, a speaker's own as often as they are.
        """
        random = np.random.default_rng(0)
        found = []
        for _ in range(ROUNDS):
            some = random.choice(self._speakers, len(self._speakers))
            drawn = np.bincount(some, minlength=int(self._speakers.max()) + 1).astype(float)
            counted, fitted = self.fnir(fmrs, drawn)
            shares = np.where(np.isnan(counted), fitted, counted)
            if not np.isnan(shares).any():  # else one speaker alone was drawn
                found.append(shares)
        edges: Floats = np.quantile(np.array(found), (0.025, 0.975), axis=0)
        return edges.T
