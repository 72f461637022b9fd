"""What was found on the emulated Pi, said as it is found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What was found, said as it is found."""

    began: float = field(default_factory=time.monotonic)
    found: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Something for whoever watches, with the time since the beginning."""
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)

    def check(self, right: bool, text: str) -> None:
        """Something that must be so."""
        self.say(f"{'✓' if right else '✗'} {text}")
        if not right:
            self.wrong.append(text)
