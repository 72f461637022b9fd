"""Chips as the kernel would show them, in libgpiod's place: what reaches a line is written down.

A line that is given back keeps its level, as on Raspberry Pi's kernels, or becomes an input with
its pull (``strict``), as on all others.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpiod
import pytest
from gpiod import LineSettings
from gpiod.line import Bias, Direction, Value

from kaimen.door import chip as header

EXPANDER, FIRMWARE = "raspberrypi-exp-gpio", "gpio-brcmstb@107d508500"
BCM2835, BCM2711, RP1 = "pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"

# Labels by number. What a Pi 5's numbers were: reports of its owners.
BOARDS = {
    ("Pi 3B", "6.6, 6.12, 6.18"): {0: BCM2835, 1: EXPANDER},
    ("Zero 2 W", "6.6, 6.12, 6.18"): {0: BCM2835},
    ("Pi 4, CM4", "6.6, 6.12, 6.18"): {0: BCM2711, 1: EXPANDER},
    ("Pi 5, CM5", "6.6, before July 2024"): dict.fromkeys(range(4), FIRMWARE) | {4: RP1},
    ("Pi 5, CM5", "6.6, 6.12"): {0: RP1, **dict.fromkeys(range(10, 14), FIRMWARE)},
    ("Pi 5, CM5", "6.18"): {15: RP1, **dict.fromkeys(range(11, 15), FIRMWARE)},
    ("Pi 5, CM5", "6.18, in another order"): {11: RP1, **dict.fromkeys(range(12, 16), FIRMWARE)},
    ("Pi 5, CM5", "with none below 10"): {10: FIRMWARE, 12: RP1},
}


@dataclass
class KernelLine:
    """One line: what it is, and everything that it was."""

    name: str
    direction: Direction = Direction.INPUT
    high: bool = False
    pull: Bias = Bias.AS_IS
    taken: bool = False
    consumer: str = ""
    did: list[str] = field(default_factory=list)  # such as "output 0", "set 1", "input up"

    @property
    def driven(self) -> list[bool]:
        """Every level that this line was driven to, in order."""
        return [each[-1] == "1" for each in self.did if each.startswith(("output", "set"))]


@dataclass
class Machine:
    """The chips of one machine, in place of gpiod's."""

    labels: dict[int, str]
    folder: Path
    strict: bool = False
    named: bool = True
    forbidden: set[int] = field(default_factory=set)
    lines: dict[str, list[KernelLine]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in self.labels:
            path = self.folder / f"gpiochip{number}"
            path.touch()
            names = [f"GPIO{n}" if self.named and n > 1 else f"ID_{n}" for n in range(54)]
            self.lines[str(path)] = [KernelLine(name) for name in names]

    @classmethod
    def installed(
        cls, monkeypatch: pytest.MonkeyPatch, labels: dict[int, str], folder: Path, **others: Any
    ) -> Machine:
        """A machine that gpiod finds."""
        made = cls(labels, folder, **others)
        monkeypatch.setattr(header, "DEVICES", folder)
        monkeypatch.setattr(gpiod, "Chip", lambda path: Chip(made, path))
        return made

    def line(self, pin: int) -> KernelLine:
        """A line of the header."""
        number = next(n for n, label in self.labels.items() if label in header.LABELS)
        return self.lines[str(self.folder / f"gpiochip{number}")][pin]

    def touched(self) -> set[str]:
        """The chips of which a line was ever claimed."""
        return {path for path, lines in self.lines.items() if any(each.did for each in lines)}

    def kill(self) -> None:
        """The process that has lines dies: the kernel gives them back."""
        for lines in self.lines.values():
            for line in lines:
                if line.taken:
                    self.give_back(line)

    def give_back(self, line: KernelLine) -> None:
        line.taken = False
        line.did.append("given back")
        if self.strict and line.direction is Direction.OUTPUT:
            line.direction = Direction.INPUT
            line.high = line.pull is Bias.PULL_UP
            line.did.append(f"pulled {int(line.high)}")

    def drive(self, pin: int, high: bool) -> None:
        """Something outside sets an input."""
        self.line(pin).high = high


class Chip:
    """gpiod.Chip."""

    def __init__(self, machine: Machine, path: str) -> None:
        self.machine, self.path = machine, path
        number = int(Path(path).name[8:])
        if number in machine.forbidden:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.label = machine.labels[number]
        self.lines = machine.lines[path]

    def __enter__(self) -> Chip:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(name=Path(self.path).name, label=self.label, num_lines=54)

    def line_offset_from_id(self, line: int | str) -> int:
        for offset, each in enumerate(self.lines):
            if line in (offset, each.name):
                return offset
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    def request_lines(self, config: dict[int, LineSettings], consumer: str) -> Request:
        ((offset, settings),) = config.items()
        line = self.lines[offset]
        if line.taken:
            raise OSError(errno.EBUSY, "Device or resource busy")
        line.taken, line.consumer, line.direction = True, consumer, settings.direction
        line.pull = settings.bias
        if settings.direction is Direction.OUTPUT:
            line.high = bool(settings.output_value)
            line.did.append(f"output {int(line.high)}")
        else:
            line.high = settings.bias is Bias.PULL_UP
            line.did.append(f"input {settings.bias.name.lower().removeprefix('pull_')}")
        return Request(self.machine, line, offset)


class Request:
    """gpiod.LineRequest."""

    def __init__(self, machine: Machine, line: KernelLine, offset: int) -> None:
        self.machine, self.line, self.offset = machine, line, offset

    def get_value(self, offset: int) -> Value:
        assert offset == self.offset and self.line.taken
        return Value.ACTIVE if self.line.high else Value.INACTIVE

    def set_value(self, offset: int, value: Value) -> None:
        assert offset == self.offset and self.line.taken
        assert self.line.direction is Direction.OUTPUT
        self.line.high = bool(value)
        self.line.did.append(f"set {int(self.line.high)}")

    def release(self) -> None:
        self.machine.give_back(self.line)
