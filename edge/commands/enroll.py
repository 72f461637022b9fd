"""``kaimen enroll``: recordings become students of the gallery."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from edge.commands import common
from edge.errors import GalleryError, RecordingError, SettingsError
from edge.screen import Screen

WANTED = 5  # recordings a student
NEEDED = 3  # below which a person is told that more would help

EXAMPLE = """example:
  kaimen enroll --student s0001 anna/*.mp3
  kaimen enroll --from school/          (school/STUDENT/RECORDING.mp3)

A student who is enrolled again is replaced. A recording that cannot be used is named and
left out; the others count. Nothing is written until everything has been read."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", type=Path, help="recordings of one student")
    parser.add_argument("--student", help="whose recordings the files are")
    parser.add_argument("--from", dest="folder", type=Path, help="a folder of students' folders")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll, calibrate, save; 0 if every recording could be used."""
    students = _asked_for(arguments)
    settings = common.settings_of(arguments)
    encoder = common.load_encoder(settings)
    path = settings.gallery.file
    gallery = common.open_gallery(settings, encoder)

    refused: list[RecordingError] = []
    enrolled = 0
    for student, files in screen.progress(students.items(), "enrolling", len(students)):
        voiceprints, errors = common.embed_usable(encoder, files, screen)
        refused += errors
        if not voiceprints:
            screen.error(GalleryError(f"{student}: no recording could be used; not enrolled"))
            continue
        gallery.enroll(student, voiceprints)
        enrolled += 1
        more = f"; {WANTED} would be safer" if len(voiceprints) < NEEDED else ""
        screen.result(
            {"student": student, "recordings": len(voiceprints), "refused": len(errors)},
            f"[green]✓[/green] {escape(student)}: {len(voiceprints)} recordings{more}",
        )
    if enrolled:
        gallery.save()
        calibration = common.calibrate_anew(settings, gallery, encoder, screen)
        screen.result(
            {
                "gallery": str(path),
                "students": len(gallery),
                "recordings": gallery.recordings,
                "threshold": calibration.threshold,
                "expected_fnir": calibration.expected_fnir,
            },
            f"{len(gallery)} students with {gallery.recordings} recordings in {path}; "
            f"threshold {calibration.threshold:.3f}",
        )
    return RecordingError.exit_code if refused else 0


def _asked_for(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    if arguments.folder is not None and not (arguments.student or arguments.files):
        return common.recordings_in(arguments.folder)
    if arguments.folder is None and arguments.student and arguments.files:
        return {arguments.student: arguments.files}
    raise SettingsError("give --student NAME with recordings, or --from FOLDER; see --help")
