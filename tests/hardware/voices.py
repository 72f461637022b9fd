"""Voice processes that only open, to be killed: ``python -m tests.hardware.voices SOCKET``.

A line with a seed on standard input starts one; its process number is answered. They are forked,
since starting Python a thousand times takes longer than killing it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress

from kaimen.door.client import Door
from kaimen.errors import DeviceError, OpeningRefused


def main() -> None:
    """Start one for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to wait for the dead
    for line in sys.stdin:
        number = os.fork()
        if not number:
            _open_again_and_again(sys.argv[1], random.Random(int(line)))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _open_again_and_again(socket: str, chance: random.Random) -> None:
    try:
        door = _connected(socket)
        while True:
            time.sleep(chance.uniform(0, 0.1))
            with suppress(OpeningRefused):  # a door that came too late opens the next time
                door.open()
            door.alive()
            if chance.random() < 0.3:
                time.sleep(chance.uniform(0, 0.4))
    finally:
        os._exit(1)


def _connected(socket: str) -> Door:
    """The door, once it has noticed that the voice before is dead."""
    while True:
        try:
            return Door.connect(socket)
        except DeviceError:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
