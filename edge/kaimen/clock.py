"""The time of day where the gate stands, by the zone that is set at this moment; and UTC."""

from __future__ import annotations

import datetime
import time


def local_now() -> datetime.datetime:
    """Return the time on the wall, without a zone; of an hour that comes twice, ``fold`` tells.

    The C library remembers the zone of the program's start until it is told to look again.
    """
    time.tzset()
    return datetime.datetime.now()


def utc_now() -> datetime.datetime:
    """Return the time in UTC."""
    return datetime.datetime.now(datetime.UTC)


def today() -> datetime.date:
    """Return the day on the wall."""
    return local_now().date()
