"""Where a threshold lies, by the scores of people who were left out.

What was counted decides where enough was counted. With less, a normal curve through the school's
own strangers, and other people's scores, brought to the school's size, set the least that it may
be. Their part fades as the school's own evidence grows, so that no threshold moves by a step
because one more student was enrolled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.leave_one_out import LeftOut, Pairs
from kaimen.voice.score import Scores
from kaimen.voice.spread import HIGHEST, exceeded_by, spread_of

RULE_OF_THREE = 3.0  # the rule of three
PLENTY = 10  # strangers above the threshold from which no curve is needed
DRAWS = 200  # of the bootstrap
FIRST_TRY = 1 / 3  # share of the FPIR that a first try may use up where a second one is asked for
GREY = 0.15  # of score below the first try's threshold, within which a second one is asked for
SIZES = (100, 500, 2_000, 5_000, 20_000, 100_000)  # of schools, in the forecast
TRADE = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # FPIRs of the DET points

Spread = dict[str, float]  # of other people's scores, by ``spread_of``
Row = dict[str, float | None]


def shown_by(strangers: float) -> float:
    """Return the least FPIR that this many strangers show (95 %): the rule of three."""
    return min(1.0, RULE_OF_THREE / strangers) if strangers else 1.0


def needed(counted: float) -> float:
    """Return the part, from 1 to 0, that curves have where so many scores are to be exceeded."""
    return float(np.clip((PLENTY - counted) / (PLENTY - RULE_OF_THREE), 0, 1))


def threshold_of(strangers: Scores, students: int, others: Spread, fpir: float) -> float:
    """Return the score that ``fpir`` of strangers to so many students exceed."""
    # One comparison may go wrong so rarely that N of them keep the promise.
    drawn = exceeded_by(others, 1 - (1 - fpir) ** (1 / students))
    if not len(strangers):
        return drawn
    drawn = max(drawn, exceeded_by(spread_of(strangers), fpir))
    return _blended(strangers, drawn, fpir)


def roster_threshold_of(
    at_once: Scores, left_out: LeftOut, sizes: tuple[int, int], others: Spread, fpir: float
) -> float:
    """Return the score that ``fpir`` of strangers exceed who are compared with a part of a school.

    ``at_once`` are their scores, ``left_out`` those of the whole school; ``sizes``: how many
    students the part and the whole have. Of two parts, the one within the other never has the
    higher threshold. A curve through strangers to few would break that: their scores are spread
    wider. So the curve is that of single comparisons, raised as far as all the school's strangers
    lie above it.
    """
    one_alone, single = 1 - (1 - fpir) ** (1 / np.array(sizes)), left_out.claims.ravel()
    drawn = exceeded_by(others, float(one_alone[0]))
    if not len(single):
        return drawn
    of_part, of_whole = (np.arctanh(exceeded_by(spread_of(single), each)) for each in one_alone)
    whole = np.arctanh(exceeded_by(spread_of(left_out.strangers), fpir))
    drawn = max(drawn, float(np.tanh(of_part + max(0.0, whole - of_whole))))
    # Whose own student is the only one there is nobody to be taken for: the least score.
    return _blended(np.maximum(at_once, -1), drawn, fpir)


def claim_threshold_of(claims: Scores, others: Spread, fpir: float) -> float:
    """Return the score that ``fpir`` of those exceed who claim to be somebody else."""
    drawn = exceeded_by(others, fpir)
    return _blended(claims, drawn, fpir) if len(claims) else drawn


def _blended(counted: Scores, drawn: float, fpir: float) -> float:
    """Return what was counted, raised to what curves say as far as they are needed."""
    measured = float(np.quantile(counted, 1 - fpir))
    return measured + needed(len(counted) * fpir) * max(0.0, drawn - measured)


def pooled_threshold_of(strangers: Scores, pairs: Pairs, first: float, fpir: float) -> float:
    """Return the threshold of two tries together: ``fpir`` of strangers pass by one or both.

    Without evidence it is the first try's, which spends a third of it.
    """
    part = needed(len(pairs.first) * fpir)
    if part == 1:
        return first
    scores = _visits(strangers, pairs, pairs.strangers, first)
    counted = max(first - GREY, float(np.quantile(scores, 1 - fpir)))
    return max(counted, counted + part * (first - counted))


def missed(own: Scores, pairs: Pairs, first: float, pooled: float) -> float | None:
    """Return the share of students' recordings that, with the next one, would not let them in."""
    there = ~np.isnan(pairs.own)
    if not there.any():
        return None
    return share(_visits(own, pairs, pairs.own, first)[there] < pooled)


def _visits(alone: Scores, pairs: Pairs, together: Scores, first: float) -> Scores:
    """Return what two tries come to: beyond every threshold if either is enough, or too little."""
    one, other = alone[pairs.first], alone[pairs.first + 1]
    asked = one >= first - GREY
    enough = (one >= first) | (asked & (other >= first))
    visits: Scores = np.where(asked & pairs.one_voice, together, -1)
    visits[enough] = HIGHEST
    return visits


def interval_of(
    left_out: LeftOut, counts: NDArray[np.int64], fpir: float, threshold: float
) -> tuple[float, float]:
    """Return the interval of a threshold, 95 %: other students might have been enrolled."""
    random = np.random.default_rng(0)
    order = np.argsort(left_out.strangers)
    scores = left_out.strangers[order]
    owners = np.repeat(np.arange(len(counts)), counts)[order]
    found = []
    for _ in range(DRAWS):
        drawn = np.bincount(random.integers(0, len(counts), len(counts)), minlength=len(counts))
        below = np.cumsum(drawn[owners])
        found.append(scores[np.searchsorted(below, (1 - fpir) * below[-1])])
    low, high = np.quantile(found, [0.025, 0.975])
    return min(float(low), threshold), max(float(high), threshold)


def trade_of(strangers: Scores, own: Scores) -> list[Row]:
    """Return DET points, as far down as there is evidence."""
    points: list[Row] = []
    for fpir in TRADE:
        if len(strangers) * fpir >= RULE_OF_THREE:
            threshold = float(np.quantile(strangers, 1 - fpir))
            points.append({"threshold": threshold, "fpir": fpir, "fnir": share(own < threshold)})
    return points


def forecast_of(
    strangers: Scores, own: Scores, students: int, fpir: float, expected: float
) -> list[Row]:
    """Return what other sizes would bring: the highest of N' scores is that of N to the N'/N.

    ``expected``: the share of strangers that pass at the threshold for so many students.
    """
    found: list[Row] = []
    # What was not seen at all is taken for half a time.
    seen = max(expected, 0.5 / len(strangers))
    for size in SIZES:
        growth = size / students
        level = (1 - fpir) ** (1 / growth)
        threshold = float(np.quantile(strangers, level))
        known = (1 - level) * len(strangers) >= RULE_OF_THREE
        found.append(
            {
                "students": size,
                "fpir": 1 - (1 - seen) ** growth,
                "threshold": threshold if known else None,  # None: no evidence for it
                "fnir": share(own < threshold) if known else None,
            }
        )
    return found


def share(which: NDArray[np.bool_]) -> float:
    """Return the share that is true; of nothing, none."""
    return float(np.mean(which)) if len(which) else 0.0
