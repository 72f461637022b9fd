"""The fairness card: whether some group of students is turned away, or let in, more than others.

ISO/IEC 19795-10 compares groups by their error rates. The worst of several groups is always worse
than the others by chance, so each interval is as wide as the number of groups asks for
(Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from kaimen.calibration.intervals import CONFIDENCE, Share
from kaimen.calibration.school_scores import SchoolScores, WhatIf

FEWEST = 5  # students of a group that can be compared, and of whom nobody is shown alone


@dataclass(frozen=True, slots=True)
class GroupShares:
    """What one group meets at this threshold."""

    group: str
    students: int
    fnir: Share
    fpir: Share  # of its members' recordings, as strangers to all the others


@dataclass(frozen=True, slots=True)
class Worst:
    """The group that fares worst, against the one in the middle."""

    group: str
    share: Share
    median: float  # share of the group in the middle
    others: Share  # of all other groups together
    apart: bool  # whether its whole interval lies above that of the others: more than chance


@dataclass(frozen=True, slots=True)
class FairnessCard:
    """Groups at one threshold, by name, and the worst of them."""

    threshold: float
    groups: tuple[GroupShares, ...]
    small: int  # groups of fewer than FEWEST students, which are not shown
    fnir: Worst | None  # None: fewer than two groups are to be compared
    fpir: Worst | None

    @property
    def sentence(self) -> str:
        """Return what it comes to, for a person."""
        if self.fnir is None or self.fpir is None:
            return f"fewer than two groups of {FEWEST} students: nothing to compare"
        turned_away, let_in = _told(self.fnir, "turned away"), _told(self.fpir, "like another")
        return f"{turned_away}; {let_in}"


def fairness(scores: SchoolScores, groups: Mapping[int, str], threshold: float) -> FairnessCard:
    """Return the card of groups by the numbers of students; who has none, or "", is left out."""
    names = sorted({group for group in groups.values() if group})
    places = {name: place for place, name in enumerate(names)}
    numbers, whose = np.unique(scores.owners, return_inverse=True)
    students = np.array([places.get(groups.get(each, ""), -1) for each in numbers.tolist()], int)
    counts = np.bincount(students[students >= 0], minlength=len(names))
    large = [place for place in range(len(names)) if counts[place] >= FEWEST]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(large))
    recordings = students[whose] if len(numbers) else students

    def of(place: int) -> GroupShares:
        found = scores.where(recordings == place).at(threshold, confidence)
        return GroupShares(names[place], int(counts[place]), found.fnir, found.fpir)

    def others(name: str) -> WhatIf:
        rest = np.isin(recordings, large) & (recordings != places[name])
        return scores.where(rest).at(threshold)

    found = tuple(of(place) for place in large)
    return FairnessCard(
        threshold,
        found,
        len(names) - len(large),
        _worst([(each.group, each.fnir) for each in found], lambda name: others(name).fnir),
        _worst([(each.group, each.fpir) for each in found], lambda name: others(name).fpir),
    )


def _worst(shares: list[tuple[str, Share]], others: Callable[[str], Share]) -> Worst | None:
    known = [(name, share, share.value) for name, share in shares if share.value is not None]
    if len(known) < 2:
        return None
    middle = median(value for _, _, value in known)
    name, share, _ = max(known, key=lambda each: each[2])
    rest = others(name)
    return Worst(name, share, middle, rest, share.low > rest.high)


def _told(worst: Worst, what: str) -> str:
    how = "more than chance explains" if worst.apart else "chance explains it"
    return (
        f"{what} most: {worst.group}, {worst.share.value:.1%} ({worst.share.low:.1%} to "
        f"{worst.share.high:.1%}), the group in the middle {worst.median:.1%}: {how}"
    )
