"""``kaimen run``: the gate at a microphone, until stopped."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType

from edge.commands import answers, common
from edge.gallery.calibration import beside
from edge.gate import Gate
from edge.keeper import Keeper, claims
from edge.screen import Screen
from edge.sound.microphone import Microphone

EXAMPLE = """example:
  kaimen run
  kaimen run --config /etc/kaimen/kaimen.toml --json"""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--microphone", help="a part of its name; the default one without")
    parser.add_argument(
        "--reader", type=Path, help="a file, pipe or terminal with a claimed student a line"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Listen until SIGINT or SIGTERM; the relay is off before the program ends."""
    settings = common.settings_of(arguments)
    encoder = common.load_encoder(settings)
    gallery = common.load_gallery(settings, encoder, screen)
    calibration = common.arming(settings, gallery)
    microphone = Microphone(arguments.microphone or settings.sound.microphone or None)
    signal.signal(signal.SIGTERM, _stop)
    with common.relay_of(settings, screen) as relay:
        gate = Gate(encoder, gallery, calibration.thresholds, relay, roster=settings.roster)
        screen.say(f"{len(gallery)} students; listening to {microphone.name}; Ctrl-C stops")
        if arguments.reader:
            claims(arguments.reader, gate.claim)
        try:
            with Keeper(gate, beside(settings.gallery.file), screen.say):
                for answer in gate.listen(microphone):
                    screen.result(answers.as_fields(answer), answers.as_line(answer))
        except KeyboardInterrupt:
            relay.rest()
            screen.say("stopped; the relay is off")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
