"""What a reader types that is a keyboard to the machine: Linux's input events as letters."""

from __future__ import annotations

import struct
from collections.abc import Iterator

EVENT = struct.Struct("@llHHi")  # struct input_event: seconds, microseconds, type, code, value
KEY = 1  # EV_KEY
GRAB = 0x40044590  # EVIOCGRAB: nobody else hears these keys, a login prompt neither
SHIFTS = (42, 54)
ENTERS = (28, 96)
PRESSED, RELEASED = 1, 0

# By linux/input-event-codes.h, on the layout that readers type on.
_ROWS = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'", 44: "zxcvbnm,./"}
_SHIFTED = {2: "!@#$%^&*()_+", 16: "QWERTYUIOP{}", 30: 'ASDFGHJKL:"', 44: "ZXCVBNM<>?"}
_KEYPAD = {71: "789-456+1230."}
_OTHERS = {57: " ", 55: "*", 98: "/"}


def _codes(rows: dict[int, str]) -> dict[int, str]:
    return {first + at: sign for first, row in rows.items() for at, sign in enumerate(row)}


PLAIN = _codes(_ROWS) | _codes(_KEYPAD) | _OTHERS
SHIFTED = PLAIN | _codes(_SHIFTED)


class Typed:
    """Turns input events into text; Enter ends a line."""

    def __init__(self) -> None:
        self._shifts: set[int] = set()
        self._rest = b""

    def text(self, content: bytes) -> bytes:
        """Return what was typed, in UTF-8, by the bytes that were read next."""
        content = self._rest + content
        whole = len(content) // EVENT.size * EVENT.size
        self._rest = content[whole:]
        return "".join(self._signs(content[:whole])).encode()

    def _signs(self, events: bytes) -> Iterator[str]:
        for _, _, kind, code, value in EVENT.iter_unpack(events):
            if kind != KEY:
                continue
            if code in SHIFTS:
                (self._shifts.discard if value == RELEASED else self._shifts.add)(code)
            elif value == PRESSED:
                signs = SHIFTED if self._shifts else PLAIN
                yield "\n" if code in ENTERS else signs.get(code, "")
