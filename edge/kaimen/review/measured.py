"""What marks come to: the FNIR and the false openings of this door, with intervals.

Phrases of each kind are counted in the log, and those that were marked stand for them: of so many
doubtful phrases, this share was a student's. What no mark tells of may be anything, and makes the
interval wide. Shares are drawn from their posterior after Jeffreys' prior.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from kaimen.audit import Record
from kaimen.registry.kept_phrases import Mark
from kaimen.review.strata import Stratum, stratum_of

DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated share with its 95 % interval."""

    value: float | None  # None: nothing of a kind was marked that it depends on
    low: float
    high: float

    @property
    def fields(self) -> dict[str, float | None]:
        """Return it as a program reads it."""
        return {"share": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class StratumCount:
    """Phrases of one kind since the first marked one."""

    phrases: int
    marked: int
    wrong: int  # of the marked: the gate was not right


@dataclass(frozen=True, slots=True)
class MeasuredErrors:
    """What was measured at this door by listening."""

    since: datetime.datetime | None  # None: nothing is marked
    strata: Mapping[Stratum, StratumCount]
    fnir: Estimate  # of students' phrases, those that did not open; asked once more is not open
    false_openings: Estimate  # of openings, those for somebody else
    fpir: Estimate  # of strangers' phrases, those that opened

    @property
    def fields(self) -> dict[str, object]:
        """Return it as a program reads it."""
        return {
            "since": self.since and self.since.isoformat(),
            "strata": {name.value: asdict(each) for name, each in self.strata.items()},
            "fnir": self.fnir.fields,
            "false_openings": self.false_openings.fields,
            "fpir": self.fpir.fields,
        }


def measured(records: Iterable[Record], marks: Sequence[Mark]) -> MeasuredErrors:
    """Return what marks come to; ``records`` are the log's, the latest first."""
    since = min((mark.at for mark in marks), default=None)

    def counts(record: Record) -> bool:
        return since is not None and datetime.datetime.fromisoformat(record["at"]) >= since

    read = () if since is None else records  # without a mark the log need not be readable
    phrases = Counter(map(stratum_of, takewhile(counts, read)))
    strata = {}
    for stratum in Stratum:
        own = [mark for mark in marks if mark.stratum == stratum.value]
        wrong = sum(not mark.right for mark in own)
        # The log may have lost lines; what was heard was there.
        strata[stratum] = StratumCount(max(phrases[stratum], len(own)), len(own), wrong)
    drawn = _draws(strata)
    plain = {
        name: np.array([each.wrong / each.marked if each.marked else np.nan])
        for name, each in strata.items()
    }
    return MeasuredErrors(
        since,
        strata,
        _estimate(_fnir(strata, plain), _fnir(strata, drawn)),
        _estimate(plain[Stratum.OPENED], drawn[Stratum.OPENED]),
        _estimate(_fpir(strata, plain), _fpir(strata, drawn)),
    )


Shares = Mapping[Stratum, NDArray[np.float64]]


def _draws(strata: Mapping[Stratum, StratumCount]) -> Shares:
    random = np.random.default_rng(0)
    return {
        name: random.beta(each.wrong + 0.5, each.marked - each.wrong + 0.5, DRAWS)
        for name, each in strata.items()
    }


def _fnir(strata: Mapping[Stratum, StratumCount], wrong: Shares) -> NDArray[np.float64]:
    """Return students' phrases that did not open, of all of theirs."""
    missed = _of(strata, wrong, Stratum.DOUBTFUL) + _of(strata, wrong, Stratum.CLEAR)
    let_in = strata[Stratum.OPENED].phrases - _of(strata, wrong, Stratum.OPENED)
    return _ratio(missed, missed + let_in)


def _fpir(strata: Mapping[Stratum, StratumCount], wrong: Shares) -> NDArray[np.float64]:
    """Return strangers' phrases that opened, of all of theirs."""
    opened = _of(strata, wrong, Stratum.OPENED)
    shut = sum(strata[each].phrases for each in (Stratum.DOUBTFUL, Stratum.CLEAR))
    kept_out = shut - _of(strata, wrong, Stratum.DOUBTFUL) - _of(strata, wrong, Stratum.CLEAR)
    return _ratio(opened, opened + kept_out)


def _of(
    strata: Mapping[Stratum, StratumCount], wrong: Shares, stratum: Stratum
) -> NDArray[np.float64]:
    """Return how many phrases of a kind the gate was wrong about; none of no phrases."""
    phrases = strata[stratum].phrases
    return wrong[stratum] * phrases if phrases else np.zeros_like(wrong[stratum])


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _estimate(plain: NDArray[np.float64], drawn: NDArray[np.float64]) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    value = float(plain[0])
    low, high = np.quantile(known, [0.025, 0.975]).tolist() if len(known) else (0.0, 1.0)
    if not np.isfinite(value):
        return Estimate(None, low, high)
    # None of a few is an interval that begins at none.
    return Estimate(value, min(low, value), max(high, value))
