"""A gate as a reader at an access panel: OSDP over RS-485 (IEC 60839-11-5), by libosdp.

An opening becomes one card read. It is sent at most once: it is handed to the line only while the
panel is there, and taken back when the panel did not fetch it in time. Who is let in then is the
panel's choice, and its own door opens.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.audit import Record
from kaimen.bridge.card_format import Bits, packed
from kaimen.bridge.extras import library
from kaimen.bridge.serial_line import SerialLine
from kaimen.bridge.source import EVERY, GateLog, secret_of
from kaimen.bridge.status import DoorStatus, openings
from kaimen.door.by_hand import show_by_hand
from kaimen.errors import KaimenError, SettingsError
from kaimen.gate.supervisor import Pulse
from kaimen.settings import DoorSettings, OsdpSettings

TURN = 0.01  # seconds that a byte of the panel is waited for
REMIND = 5.0  # seconds after which an open box is told again
PATIENCE = 30.0  # seconds without a sign of life
DELIVERED = 0  # how libosdp ends an event that the panel fetched
SHOWN = {1: "refused", 2: "granted", 3: "again"}  # by the colour of a light that the panel asks for
TEMPORARY = 2  # control code that sets a light for a while

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CardRead:
    """A read that the panel should get, at most until a time of the monotonic clock."""

    bits: Bits
    until: float


class Reader:
    """What a panel sees: reads, each once or never, and whether the box is open. No threads."""

    def __init__(
        self,
        settings: OsdpSettings,
        line: SerialLine,
        show: Callable[[str], None],
        *,
        key: bytes | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a line; ``show`` lights what the panel asks for. A key asks for a secure channel."""
        self.dropped = 0  # reads that came too late
        self._show, self._clock = show, clock
        self._secure = key is not None
        self._waiting: deque[CardRead] = deque()
        self._sent: CardRead | None = None  # handed to the line, and not fetched yet
        self._tampered = False
        self._told: bool | None = None  # whether the panel knows of the tamper, as it is
        self._told_at = 0.0
        self._telling = False
        self._online = False
        osdp = library("osdp", "osdp", project="libosdp")
        capability = osdp.Capability
        self._device = osdp.PeripheralDevice(
            osdp.PDInfo(
                settings.address,
                line,
                scbk=key,
                flags=[osdp.LibFlag.EnforceSecure] if key is not None else [],
                name="kaimen",
            ),
            osdp.PDCapabilities(
                [
                    (capability.CardDataFormat, 1, 1),
                    (capability.LEDControl, 1, 1),
                    (capability.AudibleControl, 1, 1),
                    (capability.ContactStatusMonitoring, 1, 1),
                    (capability.CheckCharacter, 1, 1),
                    (capability.CommunicationSecurity, 1, 1),
                    (capability.Readers, 1, 1),
                ]
            ),
            log_level=osdp.LogLevel.Critical,
            command_handler=self._obey,
            event_completion_handler=self._ended,
        )
        self._osdp = osdp

    @property
    def online(self) -> bool:
        """Return whether the panel talks to this reader, in a secure channel where one is asked."""
        device = self._device.ctx
        return bool(device.is_online() and (not self._secure or device.is_sc_active()))

    def read(self, read: CardRead) -> None:
        """Let the panel have a read, if it fetches it in time."""
        self._waiting.append(read)

    def tamper(self, is_open: bool) -> None:
        """Let the panel know whether the box is open."""
        self._tampered = is_open

    def turn(self) -> None:
        """Answer the panel, and go on with what it should get; call it every few milliseconds."""
        now = self._clock()
        self._drop_late(now)  # before the panel is answered: this process may have been stopped
        self._device.ctx.refresh()
        online = self.online
        if online and not self._online:
            self._told = None  # a panel that begins anew knows nothing
        self._online = online
        if not online:
            return
        if self._told is not self._tampered or (
            self._tampered and now - self._told_at >= REMIND and not self._telling
        ):
            self._tell_tamper(now)
        if self._sent is None and self._waiting:
            self._send(self._waiting.popleft())

    def _drop_late(self, now: float) -> None:
        if self._sent is not None and now >= self._sent.until:
            self._take_back()
        while self._waiting and now >= self._waiting[0].until:
            self._waiting.popleft()
            self.dropped += 1

    def _send(self, read: CardRead) -> None:
        self._sent = read
        event = {
            "event": self._osdp.Event.CardRead,
            "reader_no": 0,
            "direction": 0,
            "format": self._osdp.CardFormat.Wiegand,
            "length": len(read.bits),
            "data": packed(read.bits),
        }
        if not self._device.ctx.submit_event(event):
            self._sent = None
            self.dropped += 1

    def _take_back(self) -> None:
        """Drop what the panel did not fetch: nobody stands there any more."""
        self._device.ctx.flush_events()
        if self._sent is not None:
            self._sent = None
            self.dropped += 1
        self._told, self._telling = None, False  # that may have been flushed, too

    def _tell_tamper(self, now: float) -> None:
        report = self._local_status()
        if self._device.ctx.submit_event({"event": self._osdp.Event.Status, **report}):
            self._told, self._told_at, self._telling = self._tampered, now, True

    def _local_status(self) -> dict[str, Any]:
        """Return whether the box is open, and that there is power."""
        return {
            "type": self._osdp.StatusReportType.Local,
            "report": bytes([int(self._tampered), 0]),
        }

    def _ended(self, event: Event, status: int) -> None:
        """Learn what became of an event; libosdp calls this within a turn."""
        if event["event"] == self._osdp.Event.CardRead:
            if self._sent is not None:
                self._sent = None
                self.dropped += status != DELIVERED
            return
        self._telling = False
        if status != DELIVERED:
            self._told = None

    def _obey(self, command: Event) -> tuple[int, Any]:
        """Do what the panel asks for; libosdp calls this within a turn."""
        known = self._osdp.Command
        if command["command"] == known.LED:
            if command["temporary"] and command["control_code"] == TEMPORARY:
                what = SHOWN.get(command["on_color"])
                if what is not None:
                    self._show(what)
        elif command["command"] == known.Buzzer:
            if command["control_code"] > 1:  # 1 is off
                self._show("beep")
        elif command["command"] == known.Status:
            if command.get("type") == self._osdp.StatusReportType.Local:
                return 0, {"command": known.Status, **self._local_status()}
            return -1, None
        elif command["command"] in (known.Keyset, known.Comset, known.FileTransfer):
            return -1, None  # who changes a key or an address does it at the gate
        return 0, None


class OsdpBridge:
    """Serves a panel by a gate's log."""

    name = "OSDP reader"
    patience = PATIENCE

    def __init__(
        self,
        settings: OsdpSettings,
        door: DoorSettings,
        source: GateLog,
        say: Callable[[str], None],
    ) -> None:
        """Take the settings. Raises SettingsError for what cannot be."""
        self._settings, self._door, self._source, self._say = settings, door, source, say
        self._key = _key_of(settings)
        source.require_cards(settings, "osdp")
        library("osdp", "osdp", project="libosdp")

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop. Raises DeviceError when the line is gone."""
        settings, follower = self._settings, self._source.follower()
        status = DoorStatus.now(self._source)
        looked = 0.0
        with SerialLine(settings.device, settings.baud) as line:
            reader = Reader(settings, line, self._show, key=self._key)
            online, dropped = False, 0
            while not pulse.stopped:
                select.select([line], [], [], TURN)
                now = time.monotonic()
                if now - looked >= EVERY:
                    looked = now
                    records = follower.waiting()
                    for record in records:
                        status.take(record)
                    for record in openings(records):
                        self._read(record, reader)
                    reader.tamper("tamper" in status.faults)
                    pulse.well()
                reader.turn()
                line.raise_if_lost()
                if reader.online != online:
                    online = reader.online
                    self._say(f"the panel {'is there' if online else 'is gone'}")
                if reader.dropped != dropped:
                    self._say("the panel did not fetch a card read in time; it was dropped")
                    dropped = reader.dropped

    def _read(self, record: Record, reader: Reader) -> None:
        bits = self._source.read_for(record, self._settings, self._say)
        if bits is not None:
            reader.read(CardRead(bits, time.monotonic() + self._settings.late))

    def _show(self, what: str) -> None:
        """Light what the panel asks for, where the door can be asked."""
        if self._door.socket:
            with contextlib.suppress(KaimenError):
                show_by_hand(Path(self._door.socket), what)


def _key_of(settings: OsdpSettings) -> bytes | None:
    if not settings.key:
        return None
    written = secret_of(settings.key, "the secure channel's key", 32)
    try:
        key = bytes.fromhex(written.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != 16:
        raise SettingsError(f"{settings.key}: the key must be 32 hexadecimal digits")
    return key
