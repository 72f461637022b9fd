"""The gate's microphone and lights, lent to an enrollment at the same door.

A gate holds its microphone for years. Who enrolls somebody there asks the running gate at a socket
beside the registry. As long as the loan lasts, the gate passes every block of sound on and decides
nothing, so no voice opens the door. The loan ends when the borrower leaves, in whatever way, or
hangs, or keeps it for LONGEST seconds.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kaimen.closing import Closing
from kaimen.door.listener import PathListener
from kaimen.door.patterns import SHOWS
from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.sound import BLOCK, Samples

LONGEST = 600.0  # seconds of a loan
HANGING = 3.0  # seconds for which a borrower may take no sound
ANSWER = 3.0  # seconds within which a running gate answers
SOUND, TEXT = b"s", b"t"  # what a packet holds
LARGEST = 1 + 4 * BLOCK  # bytes of a packet
NO_GATE = "no gate answers; start 'kaimen run', or enroll with --microphone"


def loan_path(registry: Path) -> Path:
    """Return the socket of the gate that opens by a registry's file."""
    return registry.with_suffix(".microphone")


class NoGate(DeviceError):
    """No gate runs that could lend its microphone."""


class Lender(Closing):
    """The gate's end: asked once a block, without ever waiting."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        """Listen at ``path``; ``show`` puts on the door's lights. Raises DeviceError."""
        self._show = show
        self._borrower: socket.socket | None = None
        self._began = self._taken = 0.0  # monotonic seconds: the loan, and the last packet taken
        try:
            self._listener = PathListener(path, 1, mode=0o600)
        except OSError as error:
            raise DeviceError(
                f"{path}: the microphone cannot be lent ({error.strerror or error}); "
                "nobody can be enrolled at this gate while it runs"
            ) from None

    def take(self, block: Samples, name: str) -> bool:
        """Pass a block of shape (BLOCK,) on; return whether somebody has borrowed the microphone.

        ``name`` is the microphone's, for whoever borrows it now.
        """
        self._welcome(name)
        if self._borrower is None:
            return False
        self._hear_wishes()
        now = time.monotonic()
        if self._borrower is not None and now - self._began > LONGEST:
            self.end(f"it was lent for {LONGEST / 60:g} min; begin again")
        if self._borrower is not None:
            try:
                self._borrower.send(SOUND + block.astype("<f4").tobytes())
                self._taken = now
            except BlockingIOError:
                if now - self._taken > HANGING:
                    self.end("the enrollment hangs; begin again")
            except OSError:
                self.end("")
        return True  # this block belongs to neither, if the loan has just ended

    def end(self, reason: str) -> None:
        """End the loan, if there is one; the borrower is told why."""
        if self._borrower is None:
            return
        with contextlib.suppress(OSError):
            self._borrower.send(TEXT + reason.encode())
        self._borrower.close()
        self._borrower = None
        self._show("idle")

    def close(self) -> None:
        """End the loan and the listening."""
        try:
            with contextlib.suppress(DeviceError):
                self.end("the gate ends or reads its settings again; begin again")
        finally:
            self._listener.close()

    def _welcome(self, name: str) -> None:
        asking = self._listener.newcomer()
        if asking is None:
            return
        if self._borrower is not None:
            with contextlib.suppress(OSError):
                asking.send(TEXT + b"somebody is being enrolled at this gate; wait for them")
            asking.close()
            return
        self._borrower = asking
        self._began = self._taken = time.monotonic()
        with contextlib.suppress(OSError):
            asking.send(SOUND + name.encode())
        self._show("enrolling")

    def _hear_wishes(self) -> None:
        """Show what the borrower asks for; one that has left ends the loan."""
        while self._borrower is not None:
            try:
                wish = self._borrower.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                wish = b""
            if not wish:
                self.end("")
            elif wish.decode(errors="replace") in SHOWS:
                self._show(wish.decode())


class LentMicrophone(Closing):
    """The borrower's end: a source of the gate's sound, and its lights.

    Raises NoGate where none runs, and DeviceError where another has borrowed the microphone.
    """

    floor: float | None = None  # a room is learned by listening
    overruns = 0

    def __init__(self, path: Path) -> None:
        self._talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._talk.settimeout(ANSWER)
        try:
            self._talk.connect(str(path))
            kind, said = _parted(self._talk.recv(LARGEST))
        except PermissionError:
            self._talk.close()
            raise DeviceError(
                f"{path}: no permission to ask the gate; be its user, or root"
            ) from None
        except OSError:
            self._talk.close()
            raise NoGate(NO_GATE) from None
        if kind != SOUND:
            self._talk.close()
            raise DeviceError(said.decode(errors="replace") or NO_GATE)
        self.name = said.decode(errors="replace")

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,) as the gate hears them. Raises MicrophoneLost."""
        while True:
            try:
                kind, said = _parted(self._talk.recv(LARGEST))
            except OSError:
                kind, said = TEXT, b""
            if kind != SOUND or len(said) != 4 * BLOCK:
                reason = said.decode(errors="replace") if kind == TEXT else ""
                raise MicrophoneLost(
                    f"the gate took its microphone back: {reason or 'it has ended; begin again'}"
                )
            yield np.frombuffer(said, "<f4").astype(np.float32)

    def show(self, what: str) -> None:
        """Ask for one of the door's lights; a gate that is gone says so with the next block."""
        with contextlib.suppress(OSError):
            self._talk.send(what.encode())

    def close(self) -> None:
        """Give the microphone back."""
        self._talk.close()


def _parted(packet: bytes) -> tuple[bytes, bytes]:
    return packet[:1], packet[1:]
