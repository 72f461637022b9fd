"""``kaimen run``: the gate at a microphone, for years."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen.cli.options import add_file, add_flag, add_nearest
from kaimen.output import best_effort
from kaimen.screen import Screen
from kaimen.service.options import ServiceOptions
from kaimen.service.service import run_service

EXAMPLE = """example:
  kaimen run
  kaimen run --config /etc/kaimen/kaimen.toml --json --wait
  kaimen run --play day.mp3        (a recording in the microphone's place, in its own time)

SIGHUP reads the settings again. SIGTERM ends it, with the relay off first; a door at a socket goes
on, and ends its lease by itself."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_nearest(parser)
    parser.add_argument(
        "--microphone", help="a part of the microphone's name; without it, as in the settings"
    )
    add_file(parser, "--play", "a recording instead of a microphone")
    add_flag(
        parser,
        "--wait",
        "wait for what is missing at the start: a gallery, a calibration, a key, space",
    )
    parser.add_argument(
        "--reader",
        type=Path,
        metavar="PATH",
        help="a pipe, a serial line or a keyboard-like card reader: a claimed student a line",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Listen until SIGINT or SIGTERM; the relay is off before the program ends."""
    options = ServiceOptions(
        config=arguments.config,
        microphone=arguments.microphone or "",
        play=arguments.play,
        wait=arguments.wait,
        reader=arguments.reader,
        nearest=arguments.nearest,
    )
    with best_effort():
        run_service(options, screen)
    return 0
