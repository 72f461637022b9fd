"""``kaimen door``: the door as a process of its own, until stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kaimen.cli.options import add_flag
from kaimen.door.board import on_a_pi
from kaimen.errors import SettingsError
from kaimen.screen import Screen

EXAMPLE = """example:
  kaimen door --socket /run/kaimen-door/socket
  kaimen door --config /etc/kaimen/kaimen.toml        (with socket under [door])
  kaimen door --rest --socket /run/kaimen-door/socket

'kaimen run' asks this door with the same socket under [door]. --rest drives the relay, the lights
and the buzzer to rest and ends: for after a door that was killed, and for before the first one
starts. With --socket it knows what that door had claimed, too, whatever the settings say now."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="where to be asked")
    add_flag(parser, "--rest", "switch the relay off, whatever became of the door")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Drive the relay to rest, or become the door.

    The latter never returns: the small process takes this one's place and number.
    """
    if arguments.rest:
        return _rest(arguments, screen)
    from kaimen.door.client import command_line
    from kaimen.settings import Settings

    door = Settings.read(arguments.config).door
    socket = arguments.socket or door.socket
    if not socket:
        raise SettingsError("where is the door to be asked? give --socket, or socket under [door]")
    _say_what_is_simulated(door.mock, screen)
    command = command_line(door, "--socket", str(socket))
    sys.stdout.flush()
    os.execv(command[0], command)


def _rest(arguments: argparse.Namespace, screen: Screen) -> int:
    from kaimen.door.rest import drive_to_rest, find_levels

    levels, mock = find_levels(arguments.config, arguments.socket)
    _say_what_is_simulated(mock, screen)
    if on_a_pi() and not mock:
        drive_to_rest(levels)
    return 0


def _say_what_is_simulated(mock: bool, screen: Screen) -> None:
    if not screen.as_json and (mock or not on_a_pi()):
        sys.stderr.write("pins are simulated: no relay is switched\n")  # without loading rich
