"""``kaimen students``: who is enrolled."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from kaimen import installation
from kaimen.errors import GalleryError
from kaimen.registry.space_map import SpaceMap
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.voice.encoder import Encoder

EXAMPLE = """example:
  kaimen students
  kaimen students --remove s0001
  kaimen students --erased > removed.txt    (for 'kaimen restore --erased')
  kaimen students --carry adapted.npz

A student who is removed is gone at once: from the registry, the index and every running gate."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--remove", metavar="STUDENT", help="forget a student at once")
    parser.add_argument(
        "--erased", action="store_true", help="keyed hashes of who was removed, one a line"
    )
    parser.add_argument(
        "--carry",
        type=Path,
        metavar="FILE",
        help="move voiceprints of the encoder before into this one's space, by its map",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List the students, or who was removed, forget one, or carry all into another space."""
    settings = installation.settings_of(arguments)
    encoder = installation.load_encoder(settings)
    if arguments.carry:
        return _carry(arguments.carry, settings, encoder, screen)
    gallery = installation.load_gallery(settings, encoder, screen)
    if arguments.remove:
        gallery.remove(arguments.remove)
        installation.calibrate_if_quick(settings, gallery, encoder, screen)
        screen.result({"removed": arguments.remove}, f"{escape(arguments.remove)} is forgotten")
        for folder in installation.school_of(settings).kept:
            screen.note(f"{folder}: the school before a restore may still know them; delete it")
        return 0
    if arguments.erased:
        for hashed in sorted(gallery.registry.erased()):
            screen.result({"erased": hashed}, hashed)
        return 0
    table = Table("student", "group", "recordings", "enrolled", "consent until")
    for student in gallery.registry.students():
        until = "" if student.consent is None else student.consent.isoformat()
        table.add_row(
            escape(student.name),
            escape(student.group),
            str(student.recordings),
            student.enrolled[:10],
            until,
        )
        screen.result(
            {
                "student": student.name,
                "group": student.group,
                "recordings": student.recordings,
                "enrolled": student.enrolled,
                "consent": until or None,
                "encoder": student.encoder,
            }
        )
    if not screen.as_json:
        screen.out.print(table)
    return 0


def _carry(path: Path, settings: Settings, encoder: Encoder, screen: Screen) -> int:
    carrying = SpaceMap.read(path)
    if carrying.new != encoder.identity:
        raise GalleryError(f"{path}: leads to another encoder than [encoder] path names")
    if not settings.gallery.file.exists():
        raise GalleryError(f"{settings.gallery.file}: no gallery there; nobody to carry over")
    gallery = installation.open_gallery(settings, encoder)
    carried = gallery.registry.carry(carrying)
    if carried:
        installation.calibrate_if_quick(settings, gallery, encoder, screen)
    screen.result({"carried": carried}, f"{carried} students are carried over")
    return 0
