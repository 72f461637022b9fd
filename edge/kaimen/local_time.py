"""Moments that are kept in UTC (ISO 8601), as people read them: local time, with the zone."""

from __future__ import annotations

import datetime


def now_as_kept() -> str:
    """Return this moment as moments are kept, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def local(at: str) -> str:
    """Return a moment in local time, as in ``2026-09-01 07:31:05 +08:00``."""
    moment = in_local_time(at)
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.isoformat()[-6:]}"


def local_day(at: str) -> str:
    """Return the local day of a moment, as in ``2026-09-01``."""
    return in_local_time(at).date().isoformat()


def begin_of(day: datetime.date) -> str:
    """Return the moment at which a local day begins, in UTC, as moments are kept."""
    midnight = datetime.datetime.combine(day, datetime.time.min).astimezone()
    return midnight.astimezone(datetime.UTC).isoformat(timespec="milliseconds")


def in_local_time(at: str) -> datetime.datetime:
    """Return a moment in the zone of where the gate stands."""
    return datetime.datetime.fromisoformat(at).astimezone()
