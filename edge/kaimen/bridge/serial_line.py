"""An RS-485 line, for libosdp: what is there is read, and nothing is waited for."""

from __future__ import annotations

from kaimen.bridge.extras import library
from kaimen.closing import Closing
from kaimen.errors import DeviceError


class SerialLine(Closing):
    """A serial device that is ours alone, or a pseudo-terminal in its place."""

    def __init__(self, path: str, baud: int) -> None:
        """Open it; what came before is thrown away. Raises DeviceError."""
        self.id = 0  # libosdp asks for one
        self._path = path
        self._lost = ""
        serial = library("serial", "osdp", project="pyserial")
        try:
            self._serial = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
            self._serial.reset_input_buffer()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise DeviceError(
                f"{path}: the line cannot be used ({error}); check its plug, and 'ls -l {path}'"
            ) from None

    def fileno(self) -> int:
        """Return the descriptor, to wait for bytes."""
        return int(self._serial.fileno())

    def read(self, most: int) -> bytes:
        """Return what came, at most so many bytes."""
        try:
            return bytes(self._serial.read(most))
        except (OSError, TypeError) as error:  # what pyserial says of a line that was unplugged
            self._lost = str(error)
            return b""

    def write(self, content: bytes) -> int:
        """Send what the line takes now; return how many bytes it took."""
        try:
            return int(self._serial.write(bytes(content)) or 0)
        except OSError as error:
            self._lost = str(error)
            return -1

    def flush(self) -> None:
        """Throw away what came and was not read: it is of an earlier talk."""
        try:
            self._serial.reset_input_buffer()
        except OSError as error:
            self._lost = str(error)

    def raise_if_lost(self) -> None:
        """Raise DeviceError where a read or a write failed."""
        if self._lost:
            raise DeviceError(f"{self._path}: the line is gone ({self._lost}); check its plug")

    def close(self) -> None:
        """Give it back."""
        self._serial.close()
