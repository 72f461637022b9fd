"""The header's lines, as the kernel knows them: libgpiod's, without gpiozero.

The chip is found by the label that its driver gives it. Its number says nothing: a Pi 5's header
was gpiochip4, then gpiochip0, then one of 10 to 15. An output is claimed together with its first
level, in one call to the kernel, so that its line never has another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaimen.errors import DeviceError

if TYPE_CHECKING:
    from gpiod import LineRequest, LineSettings
    from gpiod.line import Value

LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")  # Pi 5; Pi 4; all before
DEVICES = Path("/dev")
CONSUMER = "kaimen"  # who has a line, as 'gpioinfo' shows it


@dataclass(frozen=True, slots=True)
class HeaderChip:
    """The chip whose lines are on the header."""

    path: str  # such as /dev/gpiochip0
    label: str  # such as pinctrl-bcm2835

    @property
    def name(self) -> str:
        """Return what the kernel calls it, such as gpiochip0."""
        return Path(self.path).name

    def offset(self, pin: int) -> int:
        """Return the line of a BCM number: the one of its name, else the one of its number.

        Raises OSError.
        """
        import gpiod

        with gpiod.Chip(self.path) as chip:
            # Where a line has another name, such as ID_SDA, its offset is the BCM number.
            with suppress(OSError):
                return chip.line_offset_from_id(f"GPIO{pin}")
            return chip.line_offset_from_id(pin)

    def request(self, pin: int, settings: LineSettings) -> Line:
        """Claim a line by its BCM number. Raises OSError, EBUSY for one that is taken."""
        import gpiod

        offset = self.offset(pin)
        with gpiod.Chip(self.path) as chip:
            return Line(chip.request_lines({offset: settings}, consumer=CONSUMER), offset)

    def __str__(self) -> str:
        return f"{self.name} ({self.label})"


@dataclass(frozen=True, slots=True)
class Line:
    """One claimed line."""

    request: LineRequest
    offset: int

    @property
    def high(self) -> bool:
        """Return the level of the line."""
        return bool(self.request.get_value(self.offset))

    def set(self, high: bool) -> None:
        """Drive the line."""
        self.request.set_value(self.offset, _level(high))

    def release(self) -> None:
        """Give the line back. Some kernels let it keep its level, others make it an input."""
        self.request.release()


def _level(high: bool) -> Value:
    from gpiod.line import Value

    return Value.ACTIVE if high else Value.INACTIVE


def output(high: bool) -> LineSettings:
    """Return the settings of an output that has a level from the moment on it is claimed.

    The line is pulled to the same level: a kernel that makes it an input again leaves it there.
    """
    from gpiod import LineSettings
    from gpiod.line import Bias, Direction

    return LineSettings(
        direction=Direction.OUTPUT,
        output_value=_level(high),
        bias=Bias.PULL_UP if high else Bias.PULL_DOWN,
    )


def header_chip(devices: Path | None = None) -> HeaderChip:
    """Return the chip of this Pi's header, among the ``devices`` of a machine.

    Raises DeviceError with the chips that are there.
    """
    try:
        import gpiod  # noqa: F401 - only whether it is installed
    except ImportError as error:
        raise DeviceError(
            f"the pins cannot be used ({error}); install 'kaimen[pi]', "
            "or set mock = true under [door]"
        ) from None
    devices = devices or DEVICES
    seen = []
    for each in chips(devices):
        if each.get("header"):
            return HeaderChip(str(devices / str(each["chip"])), str(each["label"]))
        seen.append(f"{each['chip']} ({each.get('label', each.get('error'))})")
    if not seen:
        raise DeviceError("there is no /dev/gpiochip; update the system: it lacks GPIO")
    raise DeviceError(
        f"the header's pins are not found among {', '.join(seen)}; join the group gpio, update "
        "the system, or set mock = true under [door]"
    )


def chips(devices: Path | None = None) -> Iterator[dict[str, str | int]]:
    """Yield each chip of a machine: name, label, how many lines, and whether it is the header's.

    They come in the order of their numbers; a second name of one is left out.
    """
    import gpiod

    named = (devices or DEVICES).glob("gpiochip*")
    found = [path for path in named if re.fullmatch(r"gpiochip\d+", path.name)]
    for path in sorted(found, key=lambda path: int(path.name[8:])):
        if path.is_symlink():
            continue
        try:
            with gpiod.Chip(str(path)) as chip:
                info = chip.get_info()
        except OSError as error:
            yield {"chip": path.name, "error": str(error.strerror or error)}
            continue
        yield {
            "chip": path.name,
            "label": info.label,
            "lines": info.num_lines,
            "header": info.label in LABELS,
        }


def drive(pin: int, high: bool) -> None:
    """Drive a line and give it back, in a call each. Raises DeviceError."""
    try:
        header_chip().request(pin, output(high)).release()
    except OSError as error:
        raise DeviceError(
            f"pin {pin} cannot be driven to rest ({error.strerror or error}); "
            "stop the program that has it, or cut the relay's power"
        ) from None
