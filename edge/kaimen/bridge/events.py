"""A record of the log as other systems get it: what happened, and of whom no more than they may."""

from __future__ import annotations

from typing import Any

from kaimen.audit import Record, id_of
from kaimen.bridge.cards import Cards

# Of a decision; the keyed hashes of students stay here: they are of use to nobody else.
TOLD = ("verdict", "score", "threshold", "above_threshold", "above_next", "seconds", "latency")


def event_of(record: Record, cards: Cards | None) -> dict[str, Any] | None:
    """Return what is told of a record; None for one that is the log's own business.

    ``cards``: where students are to be named.
    """
    event: dict[str, Any] = {"id": id_of(record), "at": record["at"], "kind": record.get("kind")}
    match record.get("kind"):
        case "decision":
            event |= {name: record.get(name) for name in TOLD}
            checks = record.get("checks") or {}
            event["checks"] = {
                name: dict(zip(("score", "threshold"), each, strict=False))
                for name, each in checks.items()
            }
            if cards is not None:
                event["student"] = cards.name(record)
        case "door" | "gate" | "bundle":
            event["event"] = record.get("event")
        case "gap":
            event["lost"] = record.get("lost")
        case _:
            return None
    return event
