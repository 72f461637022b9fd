"""``kaimen students``: who is enrolled."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from kaimen.errors import GalleryError
from kaimen.installation import Installation
from kaimen.local_time import local_day
from kaimen.registry.registry import Registry
from kaimen.registry.space_map import SpaceMap
from kaimen.screen import Screen
from kaimen.settings import Settings

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
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        if arguments.carry:
            _carry(arguments.carry, installation, screen)
        elif arguments.remove:
            _remove(arguments.remove, installation, screen)
        elif arguments.erased:
            for hashed in sorted(installation.gallery.registry.erased()):
                screen.result({"erased": hashed}, hashed)
        else:
            _list(installation.gallery.registry, screen)
    return 0


def _remove(student: str, installation: Installation, screen: Screen) -> None:
    installation.gallery.remove(student)
    _calibrate(installation, screen)
    screen.result({"removed": student}, f"{student} is forgotten")
    for folder in installation.school.kept:
        screen.note(f"{folder}: the school before a restore may still know them; delete it")


def _calibrate(installation: Installation, screen: Screen) -> None:
    why_not = installation.calibrate_if_quick()
    if why_not:
        screen.say(f"the door is not armed: {why_not}")


def _list(registry: Registry, screen: Screen) -> None:
    table = Table("student", "group", "recordings", "enrolled", "consent until")
    for student in registry.students():
        until = "" if student.consent is None else student.consent.isoformat()
        table.add_row(
            student.name,
            student.group,
            str(student.recordings),
            local_day(student.enrolled),
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
    for name, other in registry.namesakes().items():
        screen.note(
            f"{name} was enrolled as {other} in other characters: find out who is who, then "
            f"'kaimen students --remove' one of them, and enroll who stays as {other}"
        )


def _carry(path: Path, installation: Installation, screen: Screen) -> None:
    space_map = SpaceMap.read(path)
    if space_map.new != installation.encoder.identity:
        raise GalleryError(f"{path}: leads to another encoder than [encoder] path names")
    path = installation.settings.gallery.file
    if not path.exists():
        raise GalleryError(f"{path}: no gallery there; nobody to carry over")
    carried = installation.gallery_or_new.registry.carry(space_map)
    if carried:
        _calibrate(installation, screen)
    screen.result({"carried": carried}, f"{carried} students are carried over")
