"""What ``kaimen students`` changes: PINs, groups, consents, and what is forgotten of students."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kaimen.access.pin_lockout import PinLockout
from kaimen.clock import today
from kaimen.enrollment.entries import day_of
from kaimen.errors import GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.names import as_kept, name_of
from kaimen.registry.consents import GUARDIAN, STUDENT, Consent, purposes_of
from kaimen.registry.export import export
from kaimen.registry.permissions import give_consent, remove_pin, set_pin, withdraw_consent
from kaimen.registry.registry import Registry
from kaimen.registry.space_map import SpaceMap
from kaimen.registry.student_rows import Student
from kaimen.screen import Screen
from kaimen.storage import write_whole

ENDLESS = "none"  # instead of a day: until it is withdrawn


def change_pin(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Let one student, who may be new, enter by card and PIN."""
    if len(arguments.names) != 1 or arguments.group is not None:
        raise SettingsError("--pin is of one student; name one")
    (name,) = arguments.names
    if arguments.set_group is not None and not arguments.new:
        raise SettingsError("--pin with --set-group is for a --new student; change the group alone")
    registry = installation.gallery_or_new.registry
    set_pin(registry, name, _typed_pin(), group=arguments.set_group, new=arguments.new)
    PinLockout(installation.pin_lockout_path, installation.vault).forget(name)
    installation.tell_log()
    screen.result({"pin": as_kept(name)}, f"{as_kept(name)} has a PIN")
    if not installation.settings.reader.pin:
        screen.note("no door asks for PINs yet: set [reader] pin = true, and a reader's path")


def take_pin(student: str, installation: Installation, screen: Screen) -> None:
    remove_pin(installation.gallery.registry, student)
    PinLockout(installation.pin_lockout_path, installation.vault).forget(student)
    installation.tell_log()
    screen.result({"no_pin": student}, f"{student} has no PIN any more")


def _typed_pin() -> str:
    """Return a PIN from somebody at a terminal, twice, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    pin = getpass.getpass("PIN: ")
    if getpass.getpass("once more: ") != pin:
        raise SettingsError("that was not the same PIN twice; begin again")
    return pin


def change(
    students: Sequence[Student],
    arguments: argparse.Namespace,
    installation: Installation,
    screen: Screen,
) -> None:
    """Change group or consent of all of them, or of nobody."""
    given = None if arguments.set_consent is None else _consent(arguments)
    group = arguments.set_group and name_of(arguments.set_group, "--set-group")
    gallery = installation.gallery
    with gallery.registry.database.writing():
        for student in students:
            if given is not None:
                give_consent(gallery.registry, student.name, given)
            if group is not None:
                gallery.describe(student.name, group=group)
    installation.tell_log()
    if group is not None and installation.settings.roster:
        installation.arming.calibrate_or_say()  # for as many as may enter at once now
    for student in students:
        screen.result({"changed": student.name})
    screen.show(f"{len(students)} students are changed")


def _consent(arguments: argparse.Namespace) -> Consent:
    """Return a consent as it was given on the command line. Raises SettingsError and UnfitName."""
    until = None
    if arguments.set_consent != ENDLESS:
        until = day_of(arguments.set_consent, "--set-consent").isoformat()
    by = STUDENT if arguments.by_student else ""
    guardian = ""
    if arguments.guardian:
        by, guardian = GUARDIAN, name_of(arguments.guardian, "--guardian")
    day = today() if arguments.given is None else day_of(arguments.given, "--given")
    return Consent(by, guardian, purposes_of(arguments.purpose), day.isoformat(), until)


def withdraw(students: Sequence[Student], installation: Installation, screen: Screen) -> None:
    registry = installation.gallery.registry
    with registry.database.writing():
        for student in students:
            withdraw_consent(registry, student.name, today())
    installation.tell_log()
    for student in students:
        screen.result(
            {"withdrawn": student.name},
            f"{student.name} is recognised no more; 'kaimen erase --ended' erases the voice",
        )


def forget_grown(students: Sequence[Student], installation: Installation, screen: Screen) -> None:
    registry = installation.gallery.registry
    forgotten = registry.grown.forget([student.name for student in students])
    screen.result(
        {"forgotten_grown": forgotten, "students": len(students)},
        f"{forgotten} voiceprints that were taken in at the gate are forgotten",
    )


def export_one(path: Path, registry: Registry, student: str, screen: Screen) -> None:
    content = json.dumps(export(registry, student), ensure_ascii=False, indent=1) + "\n"
    write_whole(path, content.encode(), private=True)
    screen.result(
        {"exported": student, "file": str(path)},
        f"all that is kept of {student} is in {path}, unsealed",
    )


def remove(students: Sequence[str], installation: Installation, screen: Screen) -> None:
    gallery = installation.gallery
    wanted = list(dict.fromkeys(map(as_kept, students)))
    for student in wanted:  # before anybody is removed
        gallery.registry.require(student)
    for student in wanted:
        gallery.remove(student)
        screen.result({"removed": student}, f"{student} is forgotten")
    installation.arming.calibrate_or_say()
    for folder in installation.school.kept:
        screen.note(f"{folder}: the school before a restore may still know them; delete it")
    for file in installation.school.damaged:
        screen.note(f"{file}: a damaged file may still know them; delete it")


def remove_recordings(
    student: str, numbers: Sequence[int], installation: Installation, screen: Screen
) -> None:
    installation.gallery.remove_recordings(student, numbers)
    installation.arming.calibrate_or_say()
    for number in dict.fromkeys(numbers):
        screen.result(
            {"removed_recording": number, "student": student},
            f"recording {number} of {student} is forgotten",
        )


def carry(path: Path, installation: Installation, screen: Screen) -> None:
    space_map = SpaceMap.read(path)
    if space_map.new != installation.encoder.identity:
        raise GalleryError(f"{path}: leads to another encoder than [encoder] path names")
    path = installation.settings.gallery.file
    if not path.exists():
        raise GalleryError(f"{path}: no gallery there; nobody to carry over")
    carried = installation.gallery_or_new.registry.points.carry(space_map)
    if carried:
        installation.arming.calibrate_or_say()
    screen.result({"carried": carried}, f"{carried} students are carried over")
