"""The demo's day as a person or a program reads it: some visits, and counts of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from kaimen.door.pins import Change
from kaimen.language import later, text
from kaimen.rehearsal.attack import Count
from kaimen.rehearsal.day import Visit
from kaimen.rehearsal.promise import Limit, wrong
from kaimen.rehearsal.visitors import Kind, Visitor
from kaimen.terminal import BAD, GOOD, styled

WIDE = 90  # columns from which there is room for everything
SHOWN = 3  # visits of each kind
SHOWN_WRONG = 1  # of them that went wrong, at most, where others went right
# What kept somebody outside, as ``Visit.stopped_by`` calls it.
STOPPED = (
    later("voice"),
    later("phrase"),
    later("loudspeaker"),
    later("replay"),
    later("stored"),
    later("pin"),
    later("no phrase"),
    later("taken for another"),
)


def visits_table(visits: Sequence[Visit], width: int) -> Table:
    """Return some visits of each kind, one that went wrong among them if any did."""
    chosen = [visit for kind in Kind for visit in _some(visits, kind)]
    table = Table(
        title=text("{shown} of {count} visits", shown=len(chosen), count=len(visits)),
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    wide = width >= WIDE
    for name in (
        text("who"),
        text("comes as"),
        *([text("says")] if wide else []),
        text("nearest"),
    ):
        table.add_column(name, overflow="fold")  # long names give way to the verdict
    for name in (text("score / needed"), text("try")) if wide else (text("score"),):
        table.add_column(name, justify="right", no_wrap=True)
    for name in (text("door"), *([text("relay")] if wide else []), ""):
        table.add_column(name, no_wrap=True)
    for visit in chosen:
        table.add_row(*_cells(visit, wide))
    return table


def _some(visits: Sequence[Visit], kind: Kind) -> list[Visit]:
    """From all over the day."""
    own = [visit for visit in visits if visit.visitor.kind is kind]
    bad, good = ([visit for visit in own if visit.right is right] for right in (False, True))
    some = _spread(bad, max(SHOWN_WRONG, SHOWN - len(good)))
    some += _spread(good, SHOWN - len(some))
    return [visit for visit in own if any(visit is each for each in some)]


def _spread(visits: Sequence[Visit], count: int) -> list[Visit]:
    count = min(count, len(visits))
    return [visits[place * len(visits) // count] for place in range(count)]


def _cells(visit: Visit, wide: bool) -> list[str | Text]:
    visitor = visit.visitor
    decision = visit.answers[-1].decision if visit.answers else None
    nearest, score = "—", ""
    if decision is not None and decision.nearest:
        nearest, score = decision.nearest[0].student, f"{decision.score:.3f}"
        score += f" / {decision.threshold:.3f}" if wide else ""
    door = styled(text("shut, {why}", why=text(visit.stopped_by)))
    if visit.opened:
        wrongly = text("open as another") if visitor.should_open else text("open, not to be let in")
        door = styled((text("open"), "green")) if visit.right else styled((wrongly, "red"))
    return [
        visitor.name,
        text(visitor.kind.value),
        *([_said(visitor)] if wide else []),
        nearest,
        score,
        *([str(visit.tries)] if wide else []),
        door,
        *([_drawn(visit.trace)] if wide else []),
        _mark(visit.right),
    ]


def _said(visitor: Visitor) -> str:
    """Return what a recording is called, as it is; a noise in the reader's language."""
    return text(visitor.said) if visitor.kind is Kind.NO_VOICE else visitor.said


def _mark(right: bool) -> Text:
    return styled(GOOD if right else BAD)


def _drawn(changes: Sequence[Change]) -> Text:
    """Return a pin's trace as a line: low, high, low again."""
    low, high = ("▁▁", "dim"), ("▔▔", "green")
    return styled(low, *(high if change.on else low for _, change in pairwise(changes)))


def counts_table(counts: Mapping[Kind, Count], promise: Mapping[Kind, Limit], width: int) -> Table:
    """Return how many of each kind were let in, and whether that is what was promised."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(text("at the gate"), no_wrap=True)
    for name in (text("visits"), text("let in"), "95 %", text("promised")):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if width >= WIDE:
        table.add_column(text("kept outside by"))
    for kind, count in counts.items():
        low, high = count.interval
        most = promise[kind].allowed(count.attempts)
        limit = f"≥ {count.attempts - most}" if kind is Kind.STUDENT else f"≤ {most}"
        cells: list[str | Text] = [text(kind.value), str(count.attempts), str(count.opened)]
        cells += [f"{low:.0%} – {high:.0%}", limit, _mark(wrong(kind, count) <= most)]
        by = _kept_by(count)
        table.add_row(*cells, *([by] if width >= WIDE else []))
    return table


def what_went_wrong(counts: Mapping[Kind, Count], promise: Mapping[Kind, Limit]) -> Iterator[str]:
    """Yield a line for each kind of visit of which more went wrong than was promised."""
    for kind, count in counts.items():
        found, most = wrong(kind, count), promise[kind].allowed(count.attempts)
        if found > most:
            what = text("were let in")
            if kind is Kind.STUDENT:
                what = text("were not let in as themselves (by {why})", why=_kept_by(count))
            yield text(
                "{kind}: {found} of {count} {what}; of the voices that come along at most {most} "
                "would be",
                kind=text(kind.value),
                found=found,
                count=count.attempts,
                what=what,
                most=most,
            )


def _kept_by(count: Count) -> str:
    return text(", ").join(f"{text(name)} {times}" for name, times in count.stopped.most_common())


def visit_fields(visit: Visit) -> dict[str, Any]:
    """Return a visit, for a program."""
    decision = visit.answers[-1].decision if visit.answers else None
    return {
        "who": visit.visitor.name,
        "kind": visit.visitor.kind.value,
        "says": visit.visitor.said,
        "tries": visit.tries,
        "verdict": decision.verdict.value if decision else None,
        "student": decision.student if decision else None,
        "nearest": decision.nearest[0].student if decision and decision.nearest else None,
        "score": decision.score if decision else None,
        "threshold": decision.threshold if decision else None,
        "milliseconds": visit.answers[-1].latency * 1000 if visit.answers else None,
        "stopped_by": visit.stopped_by or None,
        "trace": [[round(change.after, 4), change.on] for change in visit.trace],
        "right": visit.right,
    }


def count_fields(kind: Kind, count: Count, limit: Limit) -> dict[str, Any]:
    """Return what became of the visits of a kind, for a program."""
    return {
        "visits": count.attempts,
        "let_in": count.opened,
        "interval": count.interval,
        "wrong": wrong(kind, count),
        "wrong_at_most": limit.allowed(count.attempts),
        "stopped_by": dict(count.stopped),
    }
