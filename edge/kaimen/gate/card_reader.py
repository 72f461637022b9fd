"""Reads who says they are at the door: one student a line, as card readers write them.

A reader is a pipe or a file, a serial line, or a keyboard that only types card numbers. One that is
not there is waited for; whoever opens by voice alone need not wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kaimen.gate.key_codes import GRAB, Typed
from kaimen.gate.supervisor import Pulse

RETRY = 2.0  # seconds between looks for a reader that is not there
EVERY = 0.5  # seconds between two signs of life
PAUSE = 0.1  # seconds between looks at a pipe that nobody writes to
PATIENCE = 15.0  # seconds after which a reader that cannot even be opened hangs
LONGEST = 256  # bytes of a line; more is no student
CHUNK = 4096  # bytes


class Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._too_long = False

    def push(self, content: bytes) -> Iterator[str]:
        """Yield the lines that end in these bytes, less empty ones and ones that are too long."""
        *ended, rest = content.replace(b"\r", b"\n").split(b"\n")
        for each in ended:
            whole, self._rest = self._rest + each, b""
            too_long, self._too_long = self._too_long or len(whole) > LONGEST, False
            line = whole.decode(errors="replace").strip()
            if line and not too_long:
                yield line
        self._rest += rest
        if len(self._rest) > LONGEST:
            self._rest, self._too_long = b"", True

    def end(self) -> Iterator[str]:
        """Yield the last line, which nothing ended."""
        return self.push(b"\n")


class CardReader:
    """Passes on every line of a reader as a claim."""

    def __init__(
        self,
        path: Path,
        claim: Callable[[str], None],
        say: Callable[[str], None],
        *,
        baud: int = 9600,
    ) -> None:
        """``claim`` gets each line, ``say`` what an operator should know; both in its thread."""
        self._path = path
        self._claim = claim
        self._say = say
        self._baud = baud
        self._said = ""

    def run(self, pulse: Pulse) -> None:
        """Read until it is told to stop; work for a supervised thread."""
        while not pulse.stopped:
            try:
                with opened(self._path, self._baud) as reader:
                    self._tell(f"the card reader is {self._path}")
                    self._read(reader, pulse)
            except OSError as error:
                self._tell(
                    f"{self._path}: the card reader cannot be read ({error.strerror}); check its "
                    "plug and its path; the gate waits for it"
                )
            pulse.well()
            pulse.wait(RETRY)

    def _read(self, reader: int, pulse: Pulse) -> None:
        """Read until the reader is gone. Raises OSError."""
        lines = Lines()
        mode = os.fstat(reader).st_mode
        typed = None if os.isatty(reader) or not stat.S_ISCHR(mode) else Typed()
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        while not pulse.stopped:
            pulse.well()
            if not waiting.poll(EVERY * 1000):
                continue
            try:
                content = os.read(reader, CHUNK)
            except BlockingIOError:
                continue
            ended = not content
            if ended and stat.S_ISCHR(mode):
                raise OSError(errno.ENODEV, "it was unplugged")
            if typed is not None:
                content = typed.text(content)
            for line in lines.end() if ended else lines.push(content):
                self._claim(line)
            if ended:  # whoever writes to a pipe comes again; a file may grow
                pulse.wait(PAUSE)

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


@contextmanager
def opened(path: Path, baud: int) -> Iterator[int]:
    """Open a reader for reading that never waits, ready to be read. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "this is no reader")
        if os.isatty(descriptor):
            _be_serial(descriptor, baud)
        elif stat.S_ISCHR(mode):
            _grab(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _be_serial(descriptor: int, baud: int) -> None:
    """Take every byte as it comes, at a speed. Raises OSError."""
    if _is_our_own(descriptor):
        return  # whoever types there may correct a line, and stop the gate by Ctrl-C
    try:
        tty.setraw(descriptor)
        attributes = termios.tcgetattr(descriptor)
        attributes[2] |= termios.CLOCAL | termios.CREAD
        attributes[4] = attributes[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except termios.error as error:
        raise OSError(*error.args) from None


def _is_our_own(descriptor: int) -> bool:
    """Return whether it is the terminal from which the gate was started."""
    try:
        os.tcgetpgrp(descriptor)
    except OSError:
        return False
    return True


def _grab(descriptor: int) -> None:
    """Take a keyboard for ourselves. Raises OSError where it is none, or somebody else has it."""
    try:
        fcntl.ioctl(descriptor, GRAB, 1)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            raise OSError(error.errno, "this is no reader") from None
        raise
