"""``kaimen demo``: a day at the gate, without microphone, pins or anybody's data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from edge.checks import Checks, Models, detector_of, phrase_of
from edge.commands import common
from edge.demo.visitors import Day, Visitor, plan
from edge.door.pins import Change, forget, mock_pins, trace
from edge.door.relay import PIN, Relay
from edge.gallery import Calibration, Gallery, calibrate
from edge.gate import Answer, Gate
from edge.screen import Screen
from edge.sound.recording import Recording
from edge.voice.encoder import Encoder

RECORDINGS = Path(__file__).parents[1] / "demo" / "recordings"
LEASE = 0.2  # seconds: nobody has to walk through

EXAMPLE = """example:
  kaimen demo
  kaimen demo --speech class/      (class/STUDENT/RECORDING.mp3)

Every third person stays a stranger; the first five recordings of the others enroll and the
rest come to the gate. The exit code is 1 when an enrolled voice is not let in as itself, or a
stranger, other words or a noise are. The recordings that come along are synthetic (espeak-ng)."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="real recordings instead")
    parser.add_argument(
        "--synthetic", action="store_true", help="they are a machine's: no checks for recordings"
    )
    parser.add_argument("--encoder", type=Path, metavar="FILE", help="another encoder.tflite")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the table as an SVG")


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor, what the gate answered, and everything the relay's pin did."""

    visitor: Visitor
    answers: Sequence[Answer]
    trace: Sequence[Change]

    @property
    def opened(self) -> bool:
        """Whether the pin was ever on, whatever the answer said."""
        return any(change.on for change in self.trace)

    @property
    def right(self) -> bool:
        """Whether the gate did what it should."""
        wanted = self.visitor.should_open
        as_themselves = any(a.decision.student == self.visitor.name for a in self.answers)
        return self.opened and as_themselves if wanted else not self.opened


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll a class, let the visitors come, show what happened; 0 if all went right."""
    settings = common.settings_of(arguments)
    if arguments.picture:
        screen.remember()
    encoder = Encoder(arguments.encoder) if arguments.encoder else common.load_encoder(settings)
    day = plan(common.recordings_in(arguments.speech or RECORDINGS))
    gallery = Gallery(encoder.identity, encoder.card.dimension)
    # A machine says the same thing in nearly the same way each time, as a recording does.
    real = arguments.speech is not None and not arguments.synthetic
    models = Models(encoder, phrase_of(encoder), detector_of(encoder) if real else None)
    for student, files in screen.progress(day.enrolling.items(), "enrolling", len(day.enrolling)):
        found = common.usable(models, files, screen)
        if found:
            gallery.enroll(
                student,
                [each.voiceprint for each in found],
                evidence=[each.evidence for each in found],
            )
    calibration = calibrate(gallery, encoder.card)
    checks = Checks(models, gallery.registry, None, replay=real)
    visits = list(_visits(day, gallery, calibration, checks, screen))
    _show(visits, gallery, calibration, arguments.speech, screen)
    if arguments.picture:
        screen.picture(arguments.picture, "kaimen demo")
    return 0 if all(visit.right for visit in visits) else 1


def _visits(
    day: Day, gallery: Gallery, calibration: Calibration, checks: Checks, screen: Screen
) -> list[Visit]:
    pins = mock_pins()
    found = []
    with Relay(PIN, pins=pins, lease=LEASE) as relay:
        gate = Gate(checks.models.encoder, gallery, calibration.thresholds, relay, checks=checks)
        for visitor in screen.progress(day.visitors, "at the gate", len(day.visitors)):
            found.append(_visit(visitor, gate, relay, pins))
    return found


def _visit(visitor: Visitor, gate: Gate, relay: Relay, pins: MockFactory) -> Visit:
    forget(pins, PIN)
    answers = list(gate.listen(Recording(visitor.samples)))
    relay.wait_for_rest()
    return Visit(visitor, answers, trace(pins, PIN))


def _show(
    visits: Sequence[Visit],
    gallery: Gallery,
    calibration: Calibration,
    speech: Path | None,
    screen: Screen,
) -> None:
    table = Table(title="芝麻开门", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("who", "comes as", "says", "nearest"):
        table.add_column(name, no_wrap=True)
    for name in ("score", "threshold", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("door", "relay pin", ""):
        table.add_column(name, no_wrap=True)
    for visit in visits:
        screen.result(_fields(visit))
        table.add_row(*_cells(visit, calibration.threshold))
    right = sum(visit.right for visit in visits)
    summary = {"enrolled": len(gallery), "visits": len(visits)}
    screen.result({**summary, "right": right, "threshold": calibration.threshold}, table)
    if not screen.as_json:
        screen.out.print(_footnote(right, len(visits), speech))


def _fields(visit: Visit) -> dict[str, Any]:
    decision = visit.answers[-1].decision if visit.answers else None
    return {
        "who": visit.visitor.name,
        "kind": visit.visitor.kind.value,
        "says": visit.visitor.said,
        "verdict": decision.verdict.value if decision else None,
        "student": decision.student if decision else None,
        "nearest": decision.nearest[0].student if decision and decision.nearest else None,
        "score": decision.score if decision else None,
        "threshold": decision.threshold if decision else None,
        "milliseconds": visit.answers[-1].latency * 1000 if visit.answers else None,
        "trace": [[round(change.after, 4), change.on] for change in visit.trace],
        "right": visit.right,
    }


def _cells(visit: Visit, threshold: float) -> list[str]:
    visitor = visit.visitor
    mark = "[green]✓[/green]" if visit.right else "[red]✗[/red]"
    door = "[green]open[/green]" if visit.opened else "shut"
    if not visit.answers:
        nothing = "[dim]no phrase[/dim]"
        said = [escape(visitor.name), visitor.kind.value, escape(visitor.said), nothing, "", "", ""]
    else:
        answer = visit.answers[-1]
        nearest = escape(answer.decision.nearest[0].student)
        milliseconds = f"{answer.latency * 1000:.0f}"
        scores = [f"{answer.decision.score:.3f}", f"{threshold:.3f}"]
        said = [escape(visitor.name), visitor.kind.value, escape(visitor.said), nearest]
        said += [*scores, milliseconds]
    return [*said, door, _drawn(visit.trace), mark]


def _drawn(changes: Sequence[Change]) -> str:
    """A pin's trace as a line: low, high for so long, low again."""
    drawn = "[dim]▁▁[/dim]"
    for before, change in pairwise(changes):
        drawn += f" {change.after:.2f} s " if before.on else ""
        drawn += "[green]▔▔[/green]" if change.on else "[dim]▁▁[/dim]"
    return drawn


def _footnote(right: int, visits: int, speech: Path | None) -> str:
    lines = [
        f"[bold]{right} of {visits}[/bold] visits went as they should. ms: from the last speech "
        "sample to the relay, the sound's own time and measured computing added."
    ]
    if speech is None:
        lines.append(
            "The voices are synthetic (espeak-ng), so that the checks for recordings and "
            "loudspeakers are off; try --speech FOLDER with real ones."
        )
    return "[dim]" + "\n".join(lines) + "[/dim]"
