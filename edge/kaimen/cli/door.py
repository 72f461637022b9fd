"""``kaimen door``: the door as a process of its own, until stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kaimen.door.board import on_a_pi
from kaimen.errors import SettingsError
from kaimen.screen import Screen
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen door --socket /run/kaimen-door/socket
  kaimen door --config /etc/kaimen/kaimen.toml        (with socket under [door])
  kaimen door --rest

'kaimen run' asks this door with the same socket under [door]. --rest drives the relay's pin to
rest and ends: for after a door that was killed, and for before the first one starts."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="where to be asked")
    parser.add_argument(
        "--rest", action="store_true", help="switch the relay off, whatever became of the door"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Drive the relay to rest, or become the door.

    The latter never returns: the small process takes this one's place and number.
    """
    door = Settings.read(arguments.config).door
    socket = arguments.socket or door.socket
    if not arguments.rest and not socket:
        raise SettingsError("where is the door to be asked? give --socket, or socket under [door]")
    if not screen.as_json and (door.mock or not on_a_pi()):
        sys.stderr.write("pins are simulated: no relay is switched\n")  # without loading rich
    if arguments.rest:
        from kaimen.door.pins import pins_of  # each loads what the other way does not need
        from kaimen.door.relay import drive_to_rest

        drive_to_rest(door, pins=pins_of(door))
        return 0
    from kaimen.door.client import command_line

    command = command_line(door, "--socket", str(socket))
    sys.stdout.flush()
    os.execv(command[0], command)
