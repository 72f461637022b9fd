"""``kaimen demo``: a day at the gate, without microphone, pins or anybody's data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from kaimen import installation
from kaimen.enrollment.judging import Recorded
from kaimen.rehearsal import promise
from kaimen.rehearsal.day import Visit, counted, play
from kaimen.rehearsal.tables import count_fields, counts_table, visit_fields, visits_table
from kaimen.rehearsal.visitors import Kind, plan
from kaimen.screen import Screen
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models, detector_of, phrase_of

VOICES = Path(__file__).parents[1] / "rehearsal" / "voices"  # real ones; a folder a class
RECORDINGS = Path(__file__).parents[1] / "rehearsal" / "recordings"  # one class, synthetic

EXAMPLE = """example:
  kaimen demo
  kaimen demo --synthetic
  kaimen demo --speech class/      (class/STUDENT/RECORDING.mp3)

The voices that come along are real: two classes, each with a passphrase and a gate of its own, and
strangers. A student's first recordings enroll, the others come to the gate; each student is once a
stranger, to a gate where the rest of the class is enrolled. Who is nearly known says it once more.
Recordings are played back by simulated loudspeakers. The exit code is 1 when more visits of a kind
go wrong than the shipped encoder promises. --synthetic: a class spoken by espeak-ng; since a
machine says the same thing in nearly the same way each time, as a recording does, nobody plays it
back, and the checks for recordings and loudspeakers are off. Its voices are one voice at several
pitches, so that nobody is a stranger: it shows the words."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    voices = parser.add_mutually_exclusive_group()
    voices.add_argument("--speech", type=Path, metavar="FOLDER", help="your own recordings instead")
    voices.add_argument("--synthetic", action="store_true", help="synthetic voices instead")
    parser.add_argument("--encoder", type=Path, metavar="FILE", help="another encoder.tflite")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the tables as an SVG")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll everybody, let the visitors come, show what happened; 0 if it is as promised."""
    settings = installation.settings_of(arguments)
    if arguments.picture:
        screen.remember()
    encoder = (
        Encoder(arguments.encoder) if arguments.encoder else installation.load_encoder(settings)
    )
    folders = [arguments.speech] if arguments.speech else sorted(VOICES.glob("*/"))
    if arguments.synthetic:
        folders = [RECORDINGS]
    visits = day(encoder, folders, screen, replays=not arguments.synthetic)
    kept = _show(visits, screen)
    if arguments.picture:
        screen.picture(arguments.picture, "kaimen demo")
    return 0 if kept else 1


def day(encoder: Encoder, folders: Sequence[Path], screen: Screen, *, replays: bool) -> list[Visit]:
    """All visits to these classes' gates; without ``replays`` nothing is done against them."""
    models = Models(encoder, phrase_of(encoder), detector_of(encoder) if replays else None)
    plans = [plan(installation.recordings_in(folder), replays=replays) for folder in folders]
    enrolling = [
        (place, *student) for place, each in enumerate(plans) for student in each.enrolling.items()
    ]
    enrolled: list[dict[str, list[Recorded]]] = [{} for _ in plans]
    for place, student, files in screen.progress(enrolling, "enrolling", len(enrolling)):
        found = installation.usable(models, files, screen)
        if found:
            enrolled[place][student] = found
    visits = (
        visit
        for own, each in zip(enrolled, plans, strict=True)
        for visit in play(own, each.sessions, models, replay=replays)
    )
    total = sum(len(session.visitors) for each in plans for session in each.sessions)
    return list(screen.progress(visits, "at the gate", total))


def _show(visits: Sequence[Visit], screen: Screen) -> bool:
    """Show the day; whether it was as promised."""
    counts, limits = counted(visits), promise.load()
    kept = all(
        promise.wrong(kind, count) <= limits[kind].allowed(count.attempts)
        for kind, count in counts.items()
    )
    width = screen.out.width
    if not screen.as_json:
        screen.out.print(visits_table(visits, width))
    for visit in visits:
        screen.result(visit_fields(visit))
    summary = {
        "visits": len(visits),
        "right": sum(visit.right for visit in visits),
        "kept": kept,
        "kinds": {
            kind.value: count_fields(kind, count, limits[kind]) for kind, count in counts.items()
        },
    }
    screen.result(summary, counts_table(counts, limits, width))
    if not screen.as_json:
        screen.out.print(_footnote(visits, kept))
    return kept


def _footnote(visits: Sequence[Visit], kept: bool) -> str:
    students = [visit for visit in visits if visit.visitor.kind is Kind.STUDENT]
    second = sum(visit.right and visit.tries > 1 for visit in students)
    told = "[green]As promised.[/green]" if kept else "[red]Not as promised.[/red]"
    lines = [
        f"{second} of the students' visits needed a second try.",
        "Intervals are Wilson's and take each visit for a new person, which it is not.",
    ]
    waits = [visit.answers[-1].latency for visit in visits if visit.opened and visit.answers]
    if waits:
        lines.append(f"From the last speech to the relay: {1000 * median(waits):.0f} ms (median).")
    return f"[bold]{told}[/bold] [dim]{' '.join(lines)}[/dim]"
