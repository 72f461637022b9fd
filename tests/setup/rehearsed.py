"""`kaimen setup` in a process of its own, with a relay that is traced and inputs that are moved.

    python -m tests.setup.rehearsed TRACE MOVES OPTIONS...

Everything the relay's pin does is in TRACE. A line of MOVES, ``PIN high`` or ``PIN low``, moves an
input as soon as it is written.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from gpiozero.pins.mock import MockFactory

from kaimen.cli.main import main
from kaimen.door import client
from kaimen.door.client import Door
from kaimen.settings import DoorSettings
from kaimen.setup import trials
from tests.door.bench import ENOUGH, opened

LEASE = 0.3  # seconds of a trial
LISTENED = 1.0  # seconds of the meter


class Traced(Door):
    """A door whose pins are written down."""

    @classmethod
    def start(cls, settings: DoorSettings) -> Door:  # type: ignore[override]
        return Door.start(settings, trace=Path(sys.argv[1]))


def moved() -> MockFactory:
    """Pins that follow the file."""
    factory = MockFactory()

    def follow() -> None:
        done = 0
        while True:
            lines = Path(sys.argv[2]).read_text().splitlines(keepends=True)
            for line in lines[done:]:
                if line.endswith("\n"):
                    pin, level = line.split()
                    (factory.pin(int(pin)).drive_high if level == "high" else
                     factory.pin(int(pin)).drive_low)()  # fmt: skip
                    done += 1
            time.sleep(0.01)

    threading.Thread(target=follow, daemon=True).start()
    return factory


if __name__ == "__main__":
    trials.LEASE = LEASE
    trials.LISTENED = LISTENED
    Door.open = opened  # type: ignore[method-assign]
    client.LEAVING = ENOUGH  # no door is killed that only takes long to end
    trials.Door = Traced  # type: ignore[misc]
    trials.mock_pins = moved  # type: ignore[assignment]
    sys.exit(main(["setup", *sys.argv[3:]]))
