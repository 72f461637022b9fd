"""What the log says of each phrase, as far as it tells how scores behave."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kaimen.access.decision import Verdict
from kaimen.audit.chain import Record, files_of
from kaimen.audit.reading import latest
from kaimen.registry.pseudonyms import SHORT

WINDOW = datetime.timedelta(days=28)  # that drift and a calibration look back


@dataclass(frozen=True, slots=True)
class Passage:
    """One phrase at the gate.

    Whoever is let in is a stranger to all other students: how like the next of them they are is a
    stranger's score, measured at this door and today, as leaving one out measures it of recordings.
    """

    at: datetime.datetime
    verdict: str
    student: str  # keyed hash of the nearest; empty where nobody was looked for
    microphone: str  # empty: not written down, as by earlier releases
    encoder: str  # the first characters of its identity
    accepted: float | None  # the score that opened
    stranger: float | None  # the score of the next student then

    @property
    def week(self) -> str:
        """Return the week of the calendar (ISO 8601), like 2026-W48, by the clock on the wall."""
        year, week, _ = self.at.astimezone().isocalendar()
        return f"{year}-W{week:02}"


def passage_of(record: Record) -> Passage | None:
    """Return what a line says of a phrase; None where it says nothing of one that was heard."""
    if record.get("kind") != "decision" or not record.get("nearest"):
        return None
    nearest = record["nearest"]
    opened = record.get("verdict") == Verdict.OPEN.value
    # A claim is compared with one student, and two tries make a point that nobody said.
    alone = opened and not record.get("claim") and record.get("pooled") is None
    return Passage(
        datetime.datetime.fromisoformat(record["at"]),
        str(record["verdict"]),
        str(nearest[0]["student"]),
        str(record.get("microphone") or ""),
        str(record.get("encoder") or ""),
        nearest[0]["score"] if alone else None,
        nearest[1]["score"] if alone and len(nearest) > 1 else None,
    )


def passages_since(records: Iterable[Record], since: datetime.datetime | None) -> Iterator[Passage]:
    """Yield the passages of records, the latest first, until one is older; all without ``since``.

    A clock that was set back for a moment ends nothing: a day more is looked at.
    """
    slack = datetime.timedelta(days=1)
    for record in records:
        if since is not None and datetime.datetime.fromisoformat(record["at"]) < since - slack:
            return
        passage = passage_of(record)
        if passage is not None and (since is None or passage.at >= since):
            yield passage


def passages_of(folder: Path, key: bytes, since: datetime.datetime) -> list[Passage]:
    """Return what a log tells of the phrases since, the latest first; nothing without a log.

    Raises StorageError.
    """
    return list(passages_since(latest(folder, key), since)) if files_of(folder) else []


def strangers_at(passages: Iterable[Passage], encoder: str) -> Iterator[tuple[str, float]]:
    """Yield the student and the stranger's score of each that is of an encoder's identity."""
    for each in passages:
        if each.stranger is not None and each.encoder == encoder[:SHORT]:
            yield each.student, each.stranger
