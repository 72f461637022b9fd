"""``kaimen door``: the door as a process of its own, until stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kaimen.door.board import on_a_pi
from kaimen.door.client import command_line
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
    """Become the door. It never returns: the small process takes this one's place and number."""
    door = Settings.read(arguments.config).door
    socket = arguments.socket or door.socket
    if not arguments.rest and not socket:
        raise SettingsError("where is the door to be asked? give --socket, or socket under [door]")
    if door.mock or not on_a_pi():
        screen.say("pins are simulated: no relay is switched")
    command = command_line(door, *(["--rest"] if arguments.rest else ["--socket", str(socket)]))
    sys.stdout.flush()
    os.execv(command[0], command)
