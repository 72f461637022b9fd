"""An access panel at the other end of a line: libosdp's own control panel, on pseudo-terminals."""

from __future__ import annotations

import os
import time
import tty
from typing import Any

import osdp

from kaimen.bridge.serial_line import SerialLine
from kaimen.closing import Closing

BAUD = 115200
GONE = 0.15  # seconds after which a reader counts as gone
SECURE = bytes(range(16))


class Line(Closing):
    """A pair of wires between two pseudo-terminals, that can be cut and disturbed."""

    def __init__(self) -> None:
        self.cut = False
        self.noise = 0  # bytes that are spoilt from now on
        self._ends = []
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._ends.append((master, slave, os.ttyname(slave)))

    @property
    def gate(self) -> str:
        return self._ends[0][2]

    @property
    def panel(self) -> str:
        return self._ends[1][2]

    def carry(self) -> None:
        """Bring what was written at one end to the other."""
        (here, *_), (there, *_) = self._ends
        for source, target in ((here, there), (there, here)):
            try:
                content = bytearray(os.read(source, 4096))
            except BlockingIOError:
                continue
            while self.noise and content:
                self.noise -= 1
                content[self.noise % len(content)] ^= 0x55
            if not self.cut:
                os.write(target, content)

    def close(self) -> None:
        for master, slave, _ in self._ends:
            os.close(master)
            os.close(slave)


class AccessPanel(Closing):
    """Takes card reads, and knows whether the box is open."""

    def __init__(self, path: str, key: bytes | None = SECURE) -> None:
        self.reads: list[bytes] = []
        self.reports: list[int] = []  # tamper, as it was told
        self._line = SerialLine(path, BAUD)
        self._panel = osdp.ControlPanel(
            [
                osdp.PDInfo(
                    1,
                    self._line,
                    scbk=key,
                    flags=[] if key is None else [osdp.LibFlag.EnforceSecure],
                )
            ],
            log_level=osdp.LogLevel.Emergency,
            event_handler=self._take,
        )
        self._secure = key is not None
        self._seen = time.monotonic()

    def _take(self, address: int, event: dict[str, Any]) -> int:
        if event["event"] == osdp.Event.CardRead:
            assert event["length"] in (26, 34)
            self.reads.append(bytes(event["data"]))
        elif event["event"] == osdp.Event.Status:
            self.reports.append(event["report"][0])
        return 0

    @property
    def online(self) -> bool:
        panel = self._panel.ctx
        return bool(panel.status() and (not self._secure or panel.sc_status()))

    def turn(self) -> None:
        """Talk to the reader, and begin anew with one that is gone.

        By itself libosdp's panel waits for five minutes before it does.
        """
        panel, now = self._panel.ctx, time.monotonic()
        panel.refresh()
        if self.online:
            self._seen = now
        elif now - self._seen > GONE:
            self._seen = now
            (panel.disable_pd if panel.is_pd_enabled(0) else panel.enable_pd)(0)

    def ask(self, **command: Any) -> bool:
        return bool(self._panel.ctx.submit_command(0, command))

    def close(self) -> None:
        self._panel.ctx = None
        self._line.close()
