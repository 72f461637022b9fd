"""What the shipped encoder promises of the demo's day: how many visits of each kind may go wrong.

``promise.json`` has two counts a kind: the visits of the day it was measured on, and how many of
them may end otherwise than they should. That is more than did: the upper end of the 95 % interval
(Wilson) of the share that went wrong, so that another machine, another runtime or an encoder that
is as good passes, and one that is worse than chance explains does not. Of noises none may open.
A day of another size may go wrong in the same shares, rounded down.

    python -m kaimen_train.evaluation.demo_promise

measures it anew, for an encoder that is better.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kaimen.parsing import read_json
from kaimen.rehearsal.attack import Count
from kaimen.rehearsal.visitors import Kind

PROMISE = Path(__file__).with_name("promise.json")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many visits of a kind may go wrong."""

    visits: int
    wrong: int

    def allowed(self, visits: int) -> int:
        """Return how many of so many."""
        return visits * self.wrong // self.visits


def wrong(kind: Kind, count: Count) -> int:
    """Return how many visits went wrong: students who were not let in, others who were."""
    return count.attempts - count.opened if kind is Kind.STUDENT else count.opened


def measured(counts: Mapping[Kind, Count]) -> dict[Kind, Limit]:
    """Return what can be promised after a day."""
    found = {}
    for kind, count in counts.items():
        of_wrong = Count(kind.value, count.attempts, wrong(kind, count))
        most = 0 if kind is Kind.NO_VOICE else math.floor(of_wrong.interval[1] * count.attempts)
        found[kind] = Limit(count.attempts, most)
    return found


def load(path: Path = PROMISE) -> dict[Kind, Limit]:
    """Return the limits that come along."""
    written = read_json(path.read_text(encoding="utf-8"))
    return {kind: Limit(**written[kind.value]) for kind in Kind}


def save(limits: Mapping[Kind, Limit], path: Path = PROMISE) -> None:
    """Write them, a line a kind."""
    lines = [f' "{kind.value}": {json.dumps(asdict(limit))}' for kind, limit in limits.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
