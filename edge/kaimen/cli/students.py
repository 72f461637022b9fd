"""``kaimen students``: who is enrolled."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase

from kaimen.cli import students_changed, students_shown
from kaimen.cli.options import add_file, add_flag
from kaimen.cli.students_changed import ENDLESS
from kaimen.errors import GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.names import as_kept
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Student
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder

EXAMPLE = """example:
  kaimen students                                 (all of them)
  kaimen students 's00*' --group 7b --count
  kaimen students s0001 --set-group 7c --set-consent 2027-07-31
  kaimen students s0001 --set-consent 2027-07-31 --guardian "Li Na" --given 2026-09-01
  kaimen students s0001 --consents                (the ledger: who gave it, for what, until when)
  kaimen students s0001 --withdraw-consent        (unknown at once, erased the next night)
  kaimen students s0001 --pin                     (another way in: a card and this PIN)
  kaimen students s0002 --pin --new --set-group 7b  (one without a voice)
  kaimen students --group 7b --set-group 8b       (a whole group)
  kaimen students s0001 --recordings
  kaimen students s0001 --remove-recording 17
  kaimen students s0001 --export s0001.json       (all that is kept of a student)
  kaimen students --remove s0001 --remove s0002
  kaimen students --erased > removed.txt          (for 'kaimen restore --erased')
  kaimen students --carry adapted.npz
  kaimen students --grown                         (voiceprints that were taken in at the gate)
  kaimen students s0001 --forget-grown

A student who is removed is gone at once: from the registry, the index and every running gate."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "names", nargs="*", metavar="STUDENT", help="only these students; * stands for anything"
    )
    parser.add_argument("--group", help="only students of this group")
    add_flag(parser, "--count", "say only how many, by group and consent")
    add_flag(parser, "--recordings", "list their recordings, by number")
    parser.add_argument("--set-group", metavar="GROUP", help="put them into this group")
    parser.add_argument(
        "--set-consent", metavar="DATE", help=f"set the last day of their consent, or {ENDLESS}"
    )
    parser.add_argument(
        "--guardian", metavar="NAME", help="with --set-consent: the guardian who gave it"
    )
    add_flag(parser, "--by-student", "with --set-consent: the student gave it")
    parser.add_argument(
        "--purpose", action="append", default=[], metavar="TEXT",
        help="with --set-consent: what it is for, if not for the doors alone; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--given", metavar="DATE", help="with --set-consent: the day it was given, if not today"
    )
    add_flag(parser, "--consents", "show the ledger of their consents")
    add_flag(parser, "--withdraw-consent", "end their consent: the gate knows them no more")
    add_flag(parser, "--pin", "ask for a PIN of one student, or read it from stdin")
    add_flag(parser, "--new", "with --pin: the student is new, and has no voice here")
    add_flag(parser, "--no-pin", "take away one student's PIN")
    parser.add_argument(
        "--remove-recording", metavar="NUMBER", type=int, action="append", default=[],
        help="forget this recording of one student; may be repeated",
    )  # fmt: skip
    add_file(parser, "--export", "write all that is kept of one student")
    parser.add_argument(
        "--remove", metavar="STUDENT", action="append", default=[],
        help="forget a student at once; may be repeated",
    )  # fmt: skip
    add_flag(parser, "--erased", "print keyed hashes of the removed students, one a line")
    add_flag(parser, "--grown", "list voiceprints that were taken in at the gate")
    add_flag(parser, "--forget-grown", "forget voiceprints that were taken in at the gate")
    add_file(
        parser,
        "--carry",
        "move voiceprints of the encoder before into this one's space, by its map",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List students, change or forget some, or carry all into another space."""
    _require_one_wish(arguments)
    _require_with_consent(arguments)
    if arguments.export:
        require_folder(arguments.export)
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        if arguments.carry:
            students_changed.carry(arguments.carry, installation, screen)
            return 0
        if arguments.pin:
            students_changed.change_pin(arguments, installation, screen)
            return 0
        if arguments.remove:
            students_changed.remove(arguments.remove, installation, screen)
            return 0
        registry = installation.gallery.registry
        if arguments.erased:
            for hashed in sorted(registry.erased()):
                screen.result({"erased": hashed}, hashed)
            return 0
        students = _chosen(registry, arguments.names, arguments.group)
        if arguments.export:
            student = _only(students, "--export")
            students_changed.export_one(arguments.export, registry, student, screen)
        elif arguments.remove_recording:
            student = _only(students, "--remove-recording")
            students_changed.remove_recordings(
                student, arguments.remove_recording, installation, screen
            )
        elif arguments.no_pin:
            students_changed.take_pin(_only(students, "--no-pin"), installation, screen)
        elif arguments.consents:
            students_shown.list_consents(students, registry, screen)
        elif arguments.withdraw_consent:
            students_changed.withdraw(students, installation, screen)
        elif arguments.set_group is not None or arguments.set_consent is not None:
            students_changed.change(students, arguments, installation, screen)
        elif arguments.forget_grown:
            students_changed.forget_grown(students, installation, screen)
        elif arguments.grown:
            students_shown.list_grown(students, registry, screen)
        elif arguments.recordings:
            students_shown.list_recordings(students, registry, screen)
        elif arguments.count:
            screen.result(students_shown.counted(students), students_shown.summary(students))
        else:
            students_shown.list_students(students, registry.pins.everybody(), screen)
            students_shown.tell_apart(students, registry, screen)
    return 0


def _require_one_wish(arguments: argparse.Namespace) -> None:
    """Require that a command does one thing, and to whom is said. Raises SettingsError."""
    grouped = arguments.set_group is not None and not arguments.pin
    changed = grouped or arguments.set_consent is not None
    wishes = {
        "--carry": arguments.carry,
        "--remove": arguments.remove,
        "--erased": arguments.erased,
        "--export": arguments.export,
        "--remove-recording": arguments.remove_recording,
        "--set-group or --set-consent": changed,
        "--forget-grown": arguments.forget_grown,
        "--pin": arguments.pin,
        "--no-pin": arguments.no_pin,
        "--recordings": arguments.recordings,
        "--consents": arguments.consents,
        "--withdraw-consent": arguments.withdraw_consent,
        "--grown": arguments.grown,
        "--count": arguments.count,
    }
    given = [name for name, wish in wishes.items() if wish]
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)} do not go together; give one at a time")
    whom = arguments.names or arguments.group is not None
    if whom and given and given[0] in ("--carry", "--remove", "--erased"):
        raise SettingsError(f"{given[0]} takes no other students; see --help")
    if (changed or arguments.withdraw_consent or arguments.forget_grown) and not whom:
        raise SettingsError(f"{given[0]} needs to know whose; name students or a --group")


def _require_with_consent(arguments: argparse.Namespace) -> None:
    """Require that what is said of a consent comes with one. Raises SettingsError."""
    said = {
        "--guardian": arguments.guardian,
        "--by-student": arguments.by_student,
        "--purpose": arguments.purpose,
        "--given": arguments.given,
    }
    alone = [name for name, value in said.items() if value]
    if alone and arguments.set_consent is None:
        raise SettingsError(f"{alone[0]} goes with --set-consent DATE (or {ENDLESS}); see --help")
    if arguments.new and not arguments.pin:
        raise SettingsError("--new goes with --pin; whoever has a voice is enrolled")
    if arguments.guardian and arguments.by_student:
        raise SettingsError("--guardian and --by-student do not go together; give who gave it")


def _chosen(registry: Registry, names: Sequence[str], group: str | None) -> list[Student]:
    """The students of these names and this group, in order. Raises GalleryError for nobody."""
    everybody = registry.students()
    group = None if group is None else as_kept(group)
    there = {each.name for each in everybody}
    wanted: set[str] = set()
    for name in map(as_kept, names):
        found = {name} if name in there else {each for each in there if fnmatchcase(each, name)}
        if not found:
            raise GalleryError(f"{name} is not enrolled; see 'kaimen students'")
        wanted |= found
    return [
        each
        for each in everybody
        if (not names or each.name in wanted) and (group is None or each.group == group)
    ]


def _only(students: Sequence[Student], option: str) -> str:
    if len(students) != 1:
        raise SettingsError(f"{option} is of one student, not of {len(students)}; name one")
    return students[0].name
