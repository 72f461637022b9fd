"""The threshold of a door at which not everybody may enter: its size is that of its roster.

FPIR = 1 - (1 - FMR)^N, and N is how many a stranger may be taken for. A gate takes nobody for a
student who may not enter now, so N is the number of those who may enter at once. What the school's
recordings say of it is counted, not computed from the curve of the whole school: strangers differ
in how like others they are, and a power of their mean would promise too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.door_strangers import DoorStrangers
from kaimen.calibration.leave_one_out import LeftOut, Pairs
from kaimen.calibration.thresholds import (
    FIRST_TRY,
    Row,
    Spread,
    forecast_of,
    interval_of,
    missed,
    pooled_threshold_of,
    roster_threshold_of,
    share,
    shown_by,
    trade_of,
)
from kaimen.settings.roster import Rule, groups_at_once


@dataclass(frozen=True, slots=True)
class RosterSets:
    """Who may enter together by a roster: sets of which none is part of another."""

    groups: list[list[str]]  # of each set
    students: list[NDArray[np.bool_]]  # whether each student of the school is in it

    @property
    def sizes(self) -> list[int]:
        """Return how many students each has."""
        return [int(who.sum()) for who in self.students]

    @property
    def busiest(self) -> int:
        """Return the place of the largest."""
        return int(np.argmax(self.sizes))

    @property
    def everybody(self) -> NDArray[np.bool_]:
        """Return whether each student may enter at any time."""
        found: NDArray[np.bool_] = np.logical_or.reduce(self.students)
        return found

    @classmethod
    def of(cls, roster: Iterable[Rule], groups: Sequence[str]) -> RosterSets:
        """Return those that have somebody, by the group of each student; none without a roster."""
        of_each = np.array(groups, object)
        sets = [sorted(each) for each in groups_at_once(roster)]
        students = [np.isin(of_each, each) for each in sets]
        there = [place for place, who in enumerate(students) if who.any()]
        return cls([sets[place] for place in there], [students[place] for place in there])


@dataclass(frozen=True, slots=True)
class RosterCalibration:
    """Thresholds for those who may enter at once, and what is expected of them.

    Its fields are called as those of ``Calibration`` that they take the place of.
    """

    groups: list[list[str]]  # that may enter together
    at_once: int  # students who may, when they are most
    threshold: float
    interval: tuple[float, float]
    promised: float
    expected_fpir: float  # at the time of the roster at which it is highest
    expected_fnir: float  # of the students who may enter at any time
    trade: list[Row]
    forecast: list[Row]
    first_threshold: float
    both_threshold: float
    retry_fnir: float | None
    raised: float  # of the threshold: by what strangers scored at this door

    def misfit(self, roster: Iterable[Rule], by_group: Mapping[str, int], growth: float) -> str:
        """Return why it does not fit who may enter now, or nothing.

        ``by_group``: how many students each group has. More by the share ``growth`` still fit.
        """
        known = [frozenset(each) for each in self.groups]
        for groups in groups_at_once(roster):
            count = sum(by_group.get(each, 0) for each in groups)
            if count and not any(groups <= each for each in known):
                return "other groups may enter together than it was calibrated for"
            if count > (1 + growth) * self.at_once:
                return (
                    f"{count} students may enter at once, and it was calibrated for {self.at_once}"
                )
        return ""


def calibrate_roster(
    sets: RosterSets,
    left_out: LeftOut,
    pairs: Pairs,
    counts: NDArray[np.int64],
    others: Spread,
    fpir: float,
    everybody: tuple[float, float, float],
    heard: DoorStrangers,
) -> RosterCalibration | None:
    """Return what the scores of a school say of each of the sets; None where there is none.

    ``everybody``: the threshold, that of a first try and that of two together among all students.
    They keep the promise at each door, so none is ever above them. ``heard``: strangers' scores at
    the door, which may raise the thresholds.
    """
    if not sets.students:
        return None
    sizes, busiest = sets.sizes, sets.busiest
    may = np.repeat(sets.everybody, counts)
    own = left_out.own[may & ~np.isnan(left_out.own)]
    found = [
        _thresholds_of_set(left_out, pairs, place, (size, len(counts)), others, fpir)
        for place, size in enumerate(sizes)
    ]
    counted = min(everybody[0], max(each[0] for each in found))
    threshold = heard.raised(counted, fpir)
    first, both = everybody[1:]
    if max(each[1] for each in found) < first:
        # The higher of either lets in fewer strangers, at each of the sets.
        first, both = (max(each[at] for each in found) for at in (1, 2))
        first, both = heard.raised_tries(first, both, fpir)
    of_busiest = left_out.of_set(busiest)
    strangers = of_busiest.strangers[np.isfinite(of_busiest.strangers)]
    compared = int(others.get("scores", 0))
    expected = max(share(each[np.isfinite(each)] >= threshold) for each in left_out.at_once.T)
    several = sizes[busiest] > 1
    return RosterCalibration(
        groups=sets.groups,
        at_once=sizes[busiest],
        threshold=threshold,
        interval=interval_of(of_busiest, counts, fpir, threshold) if several else (threshold, 1.0),
        promised=shown_by(len(strangers) + compared / sizes[busiest]),
        expected_fpir=expected,
        expected_fnir=share(own < threshold),
        trade=trade_of(strangers, own),
        forecast=(
            forecast_of(strangers, own, sizes[busiest], fpir, expected) if len(strangers) else []
        ),
        first_threshold=first,
        both_threshold=both,
        retry_fnir=missed(left_out.own, pairs.only(may[pairs.first]), first, both),
        raised=threshold - counted,
    )


def _thresholds_of_set(
    left_out: LeftOut,
    pairs: Pairs,
    place: int,
    sizes: tuple[int, int],
    others: Spread,
    fpir: float,
) -> tuple[float, float, float]:
    """Return the threshold, that of a first try, and that of two together, of one set."""
    at_once = left_out.at_once[:, place]
    threshold = roster_threshold_of(at_once, left_out, sizes, others, fpir)
    first = roster_threshold_of(at_once, left_out, sizes, others, fpir * FIRST_TRY)
    both = pooled_threshold_of(at_once, pairs.of_set(place), first, fpir)
    return threshold, first, both
