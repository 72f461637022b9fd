"""Events that commands left in the registry, brought into the log by whoever writes it."""

from __future__ import annotations

from kaimen.audit.writing import Audit
from kaimen.registry.events import Events


def write_waiting(audit: Audit, events: Events, most: int) -> int:
    """Write down at most so many events that wait; how many there were.

    A power cut between the two files leaves an event to be written a second time, under the same
    ``event_number``, and never leaves one out. Raises GalleryError, and StorageError also where a
    gate that is at work writes the log: it does this itself.
    """
    waiting = events.waiting(most)
    for number, record in waiting:
        if number > events.written:  # otherwise only striking it off failed
            audit.write({**record, "event_number": number})
            events.written = number
    if waiting:
        events.done(waiting[-1][0])
    return len(waiting)
