"""``kaimen enroll``: recordings become students of the gallery."""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from kaimen.calibration.calibration import Calibration
from kaimen.enrollment.enrollment import Outcome, Status, enroll
from kaimen.enrollment.entries import Entry, day_of, entries_in
from kaimen.enrollment.judging import Refusal
from kaimen.enrollment.workers import on_cluster, workers_for
from kaimen.errors import GalleryError, RecordingError, SettingsError
from kaimen.gallery.gallery import index_of
from kaimen.installation import QUICK, Installation
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import write_whole
from kaimen.voice.models import phrase_of

WANTED = 5  # recordings a student
NEEDED = 3  # below which a person is told that more would help

EXAMPLE = """example:
  kaimen enroll --student s0001 --group 7b --consent 2027-07-31 anna/*.mp3
  kaimen enroll --from school/ --report refused.csv      (school/STUDENT/RECORDING.mp3)
  kaimen enroll --student s0001 --word 北京 anna/北京/*.mp3  (or school/STUDENT/WORD/RECORDING.mp3)
  kaimen enroll --from school.csv                        (student,path,group,consent)

A student who is enrolled again is replaced; one whose files are the same as last time is left
alone, so that a command that was interrupted goes on when it is given again. A recording that
cannot be used is named and left out; the others count, and the exit code is then 3."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", type=Path, help="recordings of one student")
    parser.add_argument("--student", help="whose recordings the files are")
    parser.add_argument("--group", help="the student's group, for rules of the roster")
    parser.add_argument("--word", default="", help="they say this word, for challenges")
    parser.add_argument("--consent", metavar="DATE", help="the last day of the student's consent")
    parser.add_argument(
        "--from", dest="place", type=Path, metavar="PLACE",
        help="a folder of students' folders, or a CSV file of recordings",
    )  # fmt: skip
    parser.add_argument(
        "--accept-alike", action="store_true", help="enroll a voice under a second name, too"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what was refused, as CSV"
    )
    parser.add_argument("--cluster", metavar="ADDRESS", help="judge on a Dask cluster")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll, save the index, calibrate; 0 if every recording could be used."""
    entries = _asked_for(arguments)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    refused: list[tuple[str, Refusal]] = []
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        encoder = installation.encoder
        if arguments.cluster is None:
            work = workers_for(encoder, len(entries))
        else:
            work = on_cluster(arguments.cluster, encoder)
        outcomes = enroll(
            entries, installation.gallery_or_new, encoder.card, work,
            accept_alike=arguments.accept_alike, said_by=phrase_of(encoder).identity,
        )  # fmt: skip
        for outcome in screen.progress(outcomes, "enrolling", len(entries)):
            _show(outcome, screen)
            counts[outcome.status.value] += 1
            kinds.update(refusal.kind for refusal in outcome.refused)
            refused += [(outcome.student, refusal) for refusal in outcome.refused]
        if arguments.report:
            _report(arguments.report, refused)
        _finish(installation, counts, kinds, screen)
    return RecordingError.exit_code if refused else 0


def _asked_for(arguments: argparse.Namespace) -> list[Entry]:
    student, files, place = arguments.student, arguments.files, arguments.place
    alone = (student, files, arguments.group, arguments.consent, arguments.word)
    if place is not None and not any(alone):
        return entries_in(place)
    if place is None and student and files:
        consent = day_of(arguments.consent, "--consent") if arguments.consent else None
        return [Entry(student, tuple(files), arguments.group, consent, arguments.word)]
    raise SettingsError("give --student NAME with recordings, or --from PLACE; see --help")


def _show(outcome: Outcome, screen: Screen) -> None:
    """Say what became of a student; people are spared what is as it was."""
    reasons: dict[str, list[str]] = {}
    for refusal in outcome.refused:
        screen.result({"student": outcome.student, **_fields(refusal)})
        reasons.setdefault(refusal.reason, []).append(refusal.path)
    for reason, paths in reasons.items():
        screen.say(f"[red]✗[/red] {escape(_which(outcome, paths))}: {escape(reason)}")
    for reason, paths in _remarks(outcome).items():
        screen.result(
            {"student": outcome.student, "paths": paths, "warning": reason},
            f"[yellow]![/yellow] {escape(_which(outcome, paths))}: {escape(reason)}",
        )
    said = {
        "student": outcome.student,
        "recordings": outcome.recordings,
        "refused": len(outcome.refused),
    }
    name = escape(outcome.student)
    if outcome.status is Status.ENROLLED:
        more = f"; {WANTED} would be safer" if outcome.recordings < NEEDED else ""
        screen.result(said, f"[green]✓[/green] {name}: {outcome.recordings} recordings{more}")
    elif outcome.status is Status.CHANGED:
        screen.result({**said, "changed": True}, f"[green]✓[/green] {name}: group or consent")
    elif outcome.status is Status.UNCHANGED:
        screen.result({**said, "unchanged": True})
    else:
        stays = "stays as they were" if outcome.recordings else "not enrolled"
        screen.say(f"[red]✗[/red] {name}: no recording could be used; {stays}")


def _which(outcome: Outcome, paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{outcome.student}: {len(paths)} recordings"


def _remarks(outcome: Outcome) -> dict[str, list[str]]:
    """Paths of recordings by what is to be said of them."""
    found: dict[str, list[str]] = {}
    for remark in outcome.remarks:
        found.setdefault(remark.reason, []).append(remark.path)
    return found


def _fields(refusal: Refusal) -> dict[str, str | None]:
    return {
        "path": refusal.path,
        "error": refusal.reason,
        "kind": refusal.kind,
        "alike": refusal.alike,
    }


def _report(path: Path, refused: Sequence[tuple[str, Refusal]]) -> None:
    """Write every refusal, one a line. Raises StorageError."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("student", "path", "kind", "reason", "alike"))
    for student, each in refused:
        table.writerow((student, each.path, each.kind, each.reason, each.alike or ""))
    write_whole(path, lambda file: file.write(text.getvalue().encode("utf-8-sig")))


def _finish(
    installation: Installation, counts: Counter[str], kinds: Counter[str], screen: Screen
) -> None:
    """Bring index and calibration in line with the registry, and sum up."""
    gallery, path = installation.gallery_or_new, installation.settings.gallery.file
    kept = index_of(path, gallery.space).exists()
    if counts[Status.ENROLLED.value] or (len(gallery) and not kept):
        gallery.save(screen.progress)
    calibration = _calibrated(installation, counts)
    screen.result(
        {
            "gallery": str(path),
            "students": len(gallery),
            "recordings": gallery.recordings,
            "threshold": calibration and calibration.threshold,
            "expected_fnir": calibration and calibration.expected_fnir,
            **{status.value: counts[status.value] for status in Status},
            "kinds": dict(kinds),
        },
        _summary(counts, kinds),
    )
    threshold = f"; threshold {calibration.threshold:.3f}" if calibration else ""
    if not screen.as_json:
        screen.out.print(
            f"{len(gallery)} students with {gallery.recordings} recordings in {path}{threshold}"
        )
        if len(gallery) and calibration is None:
            screen.say("before a door is armed: run 'kaimen calibrate'")


def _calibrated(installation: Installation, counts: Counter[str]) -> Calibration | None:
    """A calibration of the gallery as it is; None where that would take long."""
    gallery = installation.gallery_or_new
    if not counts[Status.ENROLLED.value]:
        try:
            kept = Calibration.load(installation.calibration_path)
        except GalleryError:
            kept = None
        if kept and (kept.encoder, kept.students) == (gallery.encoder, len(gallery)):
            return kept
    return installation.calibrate() if 0 < len(gallery) <= QUICK else None


def _summary(counts: Counter[str], kinds: Counter[str]) -> Table:
    table = Table("", "count", box=None, pad_edge=False)
    for status in Status:
        if counts[status.value]:
            table.add_row(f"students {status.value}", str(counts[status.value]))
    for kind, count in kinds.most_common():
        table.add_row(f"recordings refused: {kind}", str(count))
    return table
