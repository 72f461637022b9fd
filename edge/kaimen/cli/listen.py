"""``kaimen listen``: recordings through the whole gate."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from kaimen.access.policy import AccessPolicy
from kaimen.cli.options import add_nearest
from kaimen.errors import NoSpeech, RecordingError
from kaimen.gate.gate import Gate
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.service import answers
from kaimen.settings import Settings
from kaimen.sound.bandwidth import highest_speech
from kaimen.sound.recording import Recording
from kaimen.terminal import styled

EXAMPLE = """example:
  kaimen listen probe.wav
  kaimen listen --json day.mp3 | jq .verdict

A recording may last up to half an hour and hold many phrases. Each phrase is answered as at the
gate. The relay is simulated unless --relay is given."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("files", nargs="+", type=Path, help="recordings (WAV, FLAC, MP3 and more)")
    add_nearest(parser)
    parser.add_argument("--claim", metavar="STUDENT", help="who the speaker claims to be")
    parser.add_argument(
        "--relay",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="switch the relay of this Pi, too; without this, it is simulated",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Answer every phrase of every file; 0 if all files could be heard."""
    settings = Settings.read(arguments.config)
    if not arguments.relay:
        settings = replace(settings, door=replace(settings.door, mock=True))
    refused = 0
    with Installation.open(settings, screen) as installation:
        policy = AccessPolicy(
            installation.gallery,
            installation.arming.calibration.thresholds,
            roster=settings.roster,
            checks=installation.forgetful_checks,
            policy=settings.gate.policy,
            retry=settings.gate.retry,
        )
        gate = Gate(installation.encoder, policy, installation.relay)
        for path in arguments.files:
            try:
                _play(gate, path, arguments, screen)
            except RecordingError as error:
                refused += 1
                screen.error(error)
    return RecordingError.exit_code if refused else 0


def _play(gate: Gate, path: Path, arguments: argparse.Namespace, screen: Screen) -> None:
    claim, nearest = arguments.claim, arguments.nearest
    screen.show(styled((str(path), "bold")))
    heard = 0
    if claim:
        gate.claim(claim)
    for answer in gate.listen(Recording.open(path)):
        heard += 1
        if claim:  # every phrase of the file is theirs
            gate.claim(claim)
        screen.result(
            {"path": str(path), **answers.as_fields(answer, nearest=nearest)},
            answers.as_line(answer, nearest=nearest),
        )
        warning = gate.policy.gallery.band.warning_of(highest_speech(answer.phrase.samples))
        if warning:
            screen.note(warning)
    if not heard:
        raise NoSpeech("no phrase is heard in it; the door stays shut", path)
