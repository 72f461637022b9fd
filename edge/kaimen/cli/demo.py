"""``kaimen demo``: a day at the gate, without microphone, pins or anybody's data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.text import Text

from kaimen.cli.options import add_file, add_flag
from kaimen.installation import Installation
from kaimen.language import text
from kaimen.rehearsal import RECORDINGS, VOICES, promise, tables
from kaimen.rehearsal.day import Visit, counted, day
from kaimen.rehearsal.visitors import Kind
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder
from kaimen.terminal import BAD, styled
from kaimen.voice.encoder import Encoder

EXAMPLE = """example:
  kaimen demo
  kaimen demo --synthetic
  kaimen demo --speech class/      (class/STUDENT/RECORDING.mp3)

The voices that come along are of real people: two classes, and strangers. Each class has its own
passphrase and its own gate. A student's first recordings enroll, the others come to the gate. Each
student comes once as a stranger, to a gate that knows only the others. Whoever is nearly known says
it once more. Replays come out of simulated loudspeakers. The exit code is 1 if more visits of a
kind go wrong than the shipped encoder promises.

--synthetic plays a class spoken by espeak-ng. It shows the words, not the voices: all are one voice
at several pitches, so nobody is a stranger. A machine says the same thing in nearly the same way
each time, as a recording does; so nothing is played back, and the checks for replays and
loudspeakers are off."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    voices = parser.add_mutually_exclusive_group()
    voices.add_argument(
        "--speech", type=Path, metavar="FOLDER", help="use your own recordings instead"
    )
    add_flag(voices, "--synthetic", "use synthetic voices instead")
    add_file(parser, "--encoder", "use another encoder.tflite")
    add_file(parser, "--picture", "draw the tables as an SVG")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll everybody, let the visitors come, show what happened; 0 if it is as promised."""
    if arguments.picture:
        require_folder(arguments.picture)
        screen.remember()
    installation = Installation.open(Settings.read(arguments.config), screen)
    encoder = Encoder(arguments.encoder) if arguments.encoder else installation.encoder
    folders = [arguments.speech] if arguments.speech else sorted(VOICES.glob("*/"))
    if arguments.synthetic:
        folders = [RECORDINGS]
    visits = day(encoder, folders, screen, replays=not arguments.synthetic)
    kept = _show(visits, screen)
    if arguments.picture:
        screen.picture(arguments.picture, "kaimen demo")
    return 0 if kept else 1


def _show(visits: Sequence[Visit], screen: Screen) -> bool:
    """Show the day; whether it was as promised."""
    counts, limits = counted(visits), promise.load()
    kept = all(
        promise.wrong(kind, count) <= limits[kind].allowed(count.attempts)
        for kind, count in counts.items()
    )
    width = screen.out.width
    screen.show(tables.visits_table(visits, width))
    for visit in visits:
        screen.result(tables.visit_fields(visit))
    summary = {
        "visits": len(visits),
        "right": sum(visit.right for visit in visits),
        "kept": kept,
        "kinds": {
            kind.value: tables.count_fields(kind, count, limits[kind])
            for kind, count in counts.items()
        },
    }
    screen.result(summary, tables.counts_table(counts, limits, width))
    for line in tables.what_went_wrong(counts, limits):
        screen.show(styled(BAD, f" {line}"))
    screen.show(_footnote(visits, kept))
    return kept


def _footnote(visits: Sequence[Visit], kept: bool) -> Text:
    students = [visit for visit in visits if visit.visitor.kind is Kind.STUDENT]
    second = sum(visit.right and visit.tries > 1 for visit in students)
    told = (text("As promised."), "bold green")
    if not kept:
        told = (text("Not as promised."), "bold red")
    lines = [
        text("{count} of the students' visits needed a second try.", count=second),
        text("Intervals are Wilson's and take each visit for a new person, which it is not."),
    ]
    waits = [visit.answers[-1].latency for visit in visits if visit.opened and visit.answers]
    if waits:
        took = f"{1000 * median(waits):.0f}"
        lines.append(text("From the last speech to the relay: {took} ms (median).", took=took))
    return styled(told, (f" {text(' ').join(lines)}", "dim"))
