"""Messages to people when a gate needs somebody, by whatever Apprise reaches.

A message of one kind is sent at most once in some minutes, over restarts, too. It names nobody.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

from kaimen.access.decision import Verdict
from kaimen.audit import Record
from kaimen.bridge.extras import library
from kaimen.bridge.problems import problems_of
from kaimen.bridge.source import GateLog, is_late, secret_of
from kaimen.bridge.status import DoorStatus, notice_of
from kaimen.door.protocol import DoorState, FaultStatus
from kaimen.door.states import State
from kaimen.errors import SettingsError, StorageError
from kaimen.gate.supervisor import Pulse
from kaimen.parsing import read_json
from kaimen.settings import NotifySettings
from kaimen.storage import write_whole

EVERY = 1.0  # seconds between two looks
LOOK = 30.0  # seconds between two looks at what may be wrong
NEWS = 600.0  # seconds after which something that happened is no news any more
RETRY = 60.0  # seconds before another try, where nobody was reached
PATIENCE = 300.0  # seconds without a sign of life: some services are slow
KEPT = "notify.json"

DOOR = {
    State.HELD.value: "the door is held open",
    State.FORCED.value: "the door was forced",
}
FAULTS = {
    "tamper": "the box was opened",
    "microphone": "the gate cannot hear",
    "resent": "the relay was asked for too long, and rests",
}
LOCKOUT = "too many unknown voices: the door hears nobody for a while"


def happened(record: Record) -> tuple[str, str] | None:
    """Return what a record tells that somebody should know: its kind, and a sentence."""
    match notice_of(record):
        case DoorState(name) if name in DOOR:
            return name, DOOR[name]
        case FaultStatus(name, True) if name in FAULTS:
            return name, FAULTS[name]
    if record.get("kind") != "decision" or record.get("verdict") != Verdict.REFUSED.value:
        return None
    # A door that is shut for everybody has no threshold, and is a problem of its own.
    locked_out = not record.get("nearest") and record.get("threshold") is not None
    return ("lockout", LOCKOUT) if locked_out else None


class NotifyBridge:
    """Tells people."""

    name = "notifications"
    patience = PATIENCE

    def __init__(
        self,
        settings: NotifySettings,
        source: GateLog,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the settings. Raises SettingsError for what cannot be."""
        self._source, self._say, self._clock = source, say, clock
        self._apart = settings.every * 60
        self._path = source.folder.parent / KEPT
        self._sent = self._kept()
        self._pending: dict[str, str] = {}
        self._failed = -RETRY
        self._apprise = library("apprise", "notify", project="Apprise", extra="notify").Apprise()
        lines = secret_of(settings.urls, "the addresses", 1).decode(errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            url = line.strip()
            if url and not url.startswith("#") and not self._apprise.add(url):
                raise SettingsError(f"{settings.urls}: line {number}: no Apprise address")
        if not len(self._apprise):
            raise SettingsError(f"{settings.urls}: no address in it; write one a line")

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop."""
        follower = self._source.follower()
        status = DoorStatus.now(self._source)
        looked = -LOOK
        while not pulse.stopped:
            for record in follower.waiting():
                status.take(record)
                found = happened(record)
                if found is not None and not is_late(record, NEWS):
                    self._pending[found[0]] = found[1]
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                self._pending.update(self._problems(status))
            self._tell()
            pulse.well()
            pulse.wait(EVERY)

    def _problems(self, status: DoorStatus) -> Iterator[tuple[str, str]]:
        """Yield what is broken; a drift of the scores is the doctor's line "drift"."""
        for each in problems_of(self._source, status):
            if each.name.startswith("fault_") or each.state != "broken":
                continue
            mend = f" → {each.mend}" if each.mend else ""
            yield each.name, f"{each.title}: {each.found}{mend}"

    def _tell(self) -> None:
        """Send what is due, as one message; what was told a moment ago is not told again."""
        now = self._clock()
        due = {
            kind: text
            for kind, text in self._pending.items()
            if not 0 <= now - self._sent.get(kind, -self._apart) < self._apart
        }
        if not due or 0 <= now - self._failed < RETRY:
            if not due:
                self._pending.clear()
            return
        if self._apprise.notify(title="Kaimen", body="\n".join(due.values())):
            self._sent |= dict.fromkeys(due, now)
            self._pending.clear()
            self._failed = -RETRY
            self._keep()
        else:
            self._failed = now
            self._say("nobody could be told; look at the addresses of [bridge.notify]")

    def _kept(self) -> dict[str, float]:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            kept = read_json(self._path.read_bytes())
            return {str(kind): float(at) for kind, at in kept.items()}
        return {}

    def _keep(self) -> None:
        content = json.dumps(self._sent).encode()
        try:
            write_whole(self._path, content, private=True)
        except StorageError as error:
            self._say(str(error))
