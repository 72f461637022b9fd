"""A gate's log as the bridge sees it, and a broker: what the bridge's tests are made of."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kaimen.audit import Audit, pseudonym
from kaimen.bridge.adapters import Adapter
from kaimen.bridge.cards import Cards
from kaimen.bridge.source import GateLog
from kaimen.closing import Closing

KEY = bytes(range(32))
ENOUGH = 60.0  # seconds in which anything has happened on any machine
STUDENTS = {"李雷": 12345, "s0002": 65535}

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None, reason="no mosquitto here: apt-get install mosquitto"
)


class LoggedGate(Closing):
    """Writes a log as a gate does."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.key = KEY
        self.cards = folder / "cards.csv"
        rows = "".join(f"{name},{number}\n" for name, number in STUDENTS.items())
        self.cards.write_text("student,number\n" + rows, encoding="utf-8")
        self.audit = Audit(folder / "audit", KEY, now=self.now)
        self.source = GateLog(folder / "audit", KEY, Cards.read(self.cards, KEY))
        self.behind = 0.0  # seconds that the clock of the log is behind

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=self.behind)

    def close(self) -> None:
        self.audit.close()

    def door(self, *texts: str) -> None:
        for text in texts:
            self.audit.write({"kind": "door", "event": text})

    def greet(self) -> None:
        self.door("relay off", "state shut")

    def decide(self, verdict: str, student: str | None = None, **more: Any) -> None:
        hashed = student and pseudonym(self.key, student)
        self.audit.write(
            {"kind": "decision", "verdict": verdict, "student": hashed, "score": 0.93, **more}
        )


class Running:
    """Runs an adapter in a thread until the end of a block; what it raises fails the test."""

    def __init__(self, adapter: Adapter) -> None:
        self.rounds = 0
        self.failed: BaseException | None = None
        self._stop = threading.Event()
        self._adapter = adapter
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._adapter.run(self)
        except BaseException as error:
            self.failed = error

    def alive(self) -> None:
        """No round yet."""

    def well(self) -> None:
        self.rounds += 1

    def wait(self, seconds: float) -> bool:
        return self._stop.wait(seconds)

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def __enter__(self) -> Running:
        self._thread.start()
        soon(lambda: self.rounds > 0 or self.failed is not None)
        if self.failed:
            raise self.failed
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(ENOUGH)
        assert not self._thread.is_alive()
        if self.failed:
            raise self.failed


def soon(done: Callable[[], bool], seconds: float = ENOUGH) -> None:
    """Wait until something is so; fail after a long while."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def mosquitto(
    folder: Path, port: int, more: str = "allow_anonymous true\n"
) -> Iterator[subprocess.Popen[bytes]]:
    """A real broker on loopback."""
    path = folder / "mosquitto.conf"
    path.write_text(f"user root\nlistener {port} 127.0.0.1\n{more}", encoding="ascii")
    program = shutil.which("mosquitto")
    assert program
    process = subprocess.Popen([program, "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        soon(lambda: _reachable(port))
        yield process
    finally:
        process.terminate()
        process.wait(ENOUGH)


def _reachable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
