"""How all gates of a fleet are, as a desk last heard of them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from kaimen.fleet.ledger import Ledger
from kaimen.fleet.store import Store

DAY = datetime.timedelta(hours=24)
SILENT = datetime.timedelta(minutes=2)  # after which a gate that reports every 30 s is not well


@dataclass(frozen=True, slots=True)
class GateRow:
    """One gate."""

    name: str
    online: bool
    since: str  # when it was linked, or the link was lost, UTC; empty: not known
    seen: str  # when a report last came, UTC
    version: str  # of Kaimen
    bundle: str  # identity of the active bundle; empty: what ships
    tags: tuple[str, ...]
    students: int
    behind: int  # students whose latest change the gate may not have
    openings: int  # in the last 24 hours, as far as they were told
    problems: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Return whether nobody need look at it."""
        return not self.problems


def gate_rows(store: Store, now: datetime.datetime | None = None) -> list[GateRow]:
    """Return all gates that ever reported, by name. Raises FleetError and StorageError."""
    ledger = Ledger({topic: kept.entry for topic, kept in store.kept().items()})
    moment = now or datetime.datetime.now(datetime.UTC)
    since = (moment - DAY).astimezone(datetime.UTC)
    return [
        _row(name, status, ledger, moment, store.openings(name, since))
        for name, status in sorted(store.gates().items())
    ]


def _row(
    name: str, status: dict[str, Any], ledger: Ledger, now: datetime.datetime, openings: int
) -> GateRow:
    problems = [str(each) for each in status.get("problems", [])]
    behind = ledger.after(int(status.get("whole_at", 0)))
    online = bool(status.get("online"))
    seen = str(status.get("seen", ""))
    if not online:
        problems.insert(0, "no link to the broker")
    elif _silent(str(status.get("reported", status.get("at", ""))), now):
        problems.insert(0, "online, and silent for minutes: look at its log")
    if status.get("refused"):
        problems.append(f"{status['refused']} messages were refused: look at its log")
    if status.get("events_missed"):
        problems.append(f"{status['events_missed']} events were lost before they were told")
    return GateRow(
        name,
        online,
        str(status.get("since", "")),
        seen,
        str(status.get("version", "")),
        str(status.get("bundle", "")),
        tuple(map(str, status.get("tags", []))),
        int(status.get("students", 0)),
        behind,
        openings,
        tuple(problems),
    )


def _silent(reported: str, now: datetime.datetime) -> bool:
    """Return whether a gate's last report is old, by this desk's own clock."""
    try:
        return now - datetime.datetime.fromisoformat(reported) > SILENT
    except (ValueError, TypeError):
        return True
