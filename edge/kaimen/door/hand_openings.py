"""Which openings by hand the door grants; they have a bound of their own, beside the voice's."""

from __future__ import annotations

from collections.abc import Callable

from kaimen.closing import Closing
from kaimen.door.bound import Bound
from kaimen.door.by_hand import HandServer
from kaimen.door.patterns import HAND_SHOWS
from kaimen.door.protocol import (
    TOO_LATE,
    Message,
    NotOpened,
    Open,
    Opened,
    OpenIfWritten,
    Show,
    in_time,
    request_from_bytes,
)


class HandOpenings(Closing):
    """Obeys who asks at the desk or at a panel. Times are seconds of the door's clock."""

    def __init__(
        self,
        server: HandServer,
        bound: Bound,
        *,
        opens: Callable[[float], Opened | NotOpened],
        shows: Callable[[str, float], None],
        gate_runs: Callable[[], bool],
    ) -> None:
        """``opens`` begins a lease and ``shows`` a pattern, now.

        ``gate_runs``: whether a gate is there that writes openings down.
        """
        self.server = server
        self.bound = bound
        self.ignored = 0  # packets that meant nothing
        self._opens = opens
        self._shows = shows
        self._gate_runs = gate_runs

    def obey(self, now: float) -> None:
        """Answer everybody who asked; never wait."""
        for asker, packet in self.server.read(now):
            asker.answer(self.answer(packet, now))

    def answer(self, packet: bytes, now: float) -> Message:
        """Open or show what a packet asks for, if it is wanted still; return the answer."""
        try:
            request = request_from_bytes(packet)
        except ValueError:
            request = None
        if isinstance(request, Show) and request.what in HAND_SHOWS:
            self._shows(request.what, now)
            return request
        if not isinstance(request, Open | OpenIfWritten) or request.until is None:
            self.ignored += 1
            return NotOpened("that was no request for an opening before a time")
        if not in_time(request.until, now):
            return NotOpened(TOO_LATE)
        if isinstance(request, OpenIfWritten) and not self._gate_runs():
            return NotOpened("no gate runs that would write it down")
        if not self.bound.allows(now):
            return NotOpened("it was opened by hand for too long in a row; wait a little")
        return self._opens(now)

    def close(self) -> None:
        """Leave; the socket is removed."""
        self.server.close()
