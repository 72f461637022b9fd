"""[reader]: what says who comes, beside their voice."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.errors import SettingsError

SPEEDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)  # baud


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """[reader]"""

    path: str = ""  # a pipe, a serial line, or a reader that types; empty: none
    baud: int = 9600  # of a serial line
    pin: bool = False  # whether a card and a PIN open, without a voice

    def __post_init__(self) -> None:
        if self.path and not self.path.startswith("/"):
            raise SettingsError("reader.path must begin with /, like /dev/serial/by-id/usb-...")
        if self.baud not in SPEEDS:
            raise SettingsError(f"reader.baud must be one of {', '.join(map(str, SPEEDS))}")
