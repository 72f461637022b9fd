"""``kaimen run``: the gate at a microphone, until stopped."""

from __future__ import annotations

import argparse
import signal
from types import FrameType

from edge.commands import answers, common
from edge.gate import Gate
from edge.screen import Screen
from edge.sound.microphone import Microphone

EXAMPLE = """example:
  kaimen run
  kaimen run --config /etc/kaimen/kaimen.toml --json"""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--microphone", help="a part of its name; the default one without")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Listen until SIGINT or SIGTERM; the relay is off before the program ends."""
    settings = common.settings_of(arguments)
    encoder = common.load_encoder(settings)
    gallery = common.load_gallery(settings, encoder, screen)
    calibration = common.arming(settings, gallery)
    microphone = Microphone(arguments.microphone or settings.sound.microphone or None)
    signal.signal(signal.SIGTERM, _stop)
    with common.relay_of(settings, screen) as relay:
        gate = Gate(encoder, gallery, calibration.threshold, relay)
        screen.say(f"{len(gallery)} students; listening to {microphone.name}; Ctrl-C stops")
        try:
            for answer in gate.listen(microphone):
                screen.result(answers.as_fields(answer), answers.as_line(answer))
        except KeyboardInterrupt:
            relay.rest()
            screen.say("stopped; the relay is off")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
