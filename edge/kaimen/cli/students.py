"""``kaimen students``: who is enrolled."""

from __future__ import annotations

import argparse
import datetime
import getpass
import json
import sys
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rich.table import Table

from kaimen.access.pin_lockout import PinLockout
from kaimen.clock import today
from kaimen.enrollment.entries import day_of
from kaimen.errors import GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.local_time import local_day
from kaimen.names import as_kept, name_of
from kaimen.registry.consents import GUARDIAN, STUDENT, Consent, purposes_of
from kaimen.registry.export import export
from kaimen.registry.permissions import give_consent, remove_pin, set_pin, withdraw_consent
from kaimen.registry.registry import Registry
from kaimen.registry.space_map import SpaceMap
from kaimen.registry.student_rows import Student
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder, write_whole
from kaimen.terminal import styled

SOON = datetime.timedelta(days=30)  # before a consent ends, it is marked
ENDLESS = "none"  # instead of a day: until it is withdrawn
MARKS: dict[str, str | tuple[str, str]] = {
    "valid": "",
    "soon": (" soon", "yellow"),
    "ended": (" ended", "red"),
}

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
    """The options."""
    parser.add_argument("names", nargs="*", metavar="STUDENT", help="these; * stands for anything")
    parser.add_argument("--group", help="those of this group")
    parser.add_argument("--count", action="store_true", help="how many, by group and consent")
    parser.add_argument("--recordings", action="store_true", help="their recordings, by number")
    parser.add_argument("--set-group", metavar="GROUP", help="they are in this group from now on")
    parser.add_argument(
        "--set-consent", metavar="DATE", help=f"the last day of their consent, or {ENDLESS}"
    )
    parser.add_argument(
        "--guardian", metavar="NAME", help="with --set-consent: the guardian who gave it"
    )
    parser.add_argument(
        "--by-student", action="store_true", help="with --set-consent: the student gave it"
    )
    parser.add_argument(
        "--purpose", action="append", default=[], metavar="TEXT",
        help="with --set-consent: what it is for, if not for the doors alone; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--given", metavar="DATE", help="with --set-consent: the day it was given, if not today"
    )
    parser.add_argument("--consents", action="store_true", help="the ledger of their consents")
    parser.add_argument(
        "--withdraw-consent", action="store_true", help="nobody is recognised by it from now on"
    )
    parser.add_argument(
        "--pin", action="store_true", help="ask for a PIN of one student, or read it from stdin"
    )
    parser.add_argument(
        "--new", action="store_true", help="with --pin: the student is new, and has no voice here"
    )
    parser.add_argument("--no-pin", action="store_true", help="one student's PIN opens no more")
    parser.add_argument(
        "--remove-recording", metavar="NUMBER", type=int, action="append", default=[],
        help="forget this recording of one student; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write all that is kept of one student"
    )
    parser.add_argument(
        "--remove", metavar="STUDENT", action="append", default=[],
        help="forget a student at once; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--erased", action="store_true", help="keyed hashes of who was removed, one a line"
    )
    parser.add_argument(
        "--grown", action="store_true", help="their voiceprints that were taken in at the gate"
    )
    parser.add_argument(
        "--forget-grown", action="store_true", help="forget these; what enrolled them stays"
    )
    parser.add_argument(
        "--carry",
        type=Path,
        metavar="FILE",
        help="move voiceprints of the encoder before into this one's space, by its map",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List students, change or forget some, or carry all into another space."""
    _require_one_wish(arguments)
    _require_with_consent(arguments)
    if arguments.export:
        require_folder(arguments.export)
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        if arguments.carry:
            _carry(arguments.carry, installation, screen)
            return 0
        if arguments.pin:
            _set_pin(arguments, installation, screen)
            return 0
        if arguments.remove:
            _remove(arguments.remove, installation, screen)
            return 0
        registry = installation.gallery.registry
        if arguments.erased:
            for hashed in sorted(registry.erased()):
                screen.result({"erased": hashed}, hashed)
            return 0
        students = _chosen(registry, arguments.names, arguments.group)
        if arguments.export:
            _export(arguments.export, registry, _only(students, "--export"), screen)
        elif arguments.remove_recording:
            student = _only(students, "--remove-recording")
            _remove_recordings(student, arguments.remove_recording, installation, screen)
        elif arguments.no_pin:
            _remove_pin(_only(students, "--no-pin"), installation, screen)
        elif arguments.consents:
            _list_consents(students, registry, screen)
        elif arguments.withdraw_consent:
            _withdraw(students, installation, screen)
        elif arguments.set_group is not None or arguments.set_consent is not None:
            _change(students, arguments, installation, screen)
        elif arguments.forget_grown:
            _forget_grown(students, installation, screen)
        elif arguments.grown:
            _list_grown(students, registry, screen)
        elif arguments.recordings:
            _list_recordings(students, registry, screen)
        elif arguments.count:
            screen.result(_counted(students), _summary(students))
        else:
            _list(students, registry.pins.everybody(), screen)
            _tell_apart(students, registry, screen)
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


def _set_pin(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Let one student, who may be new, enter by card and PIN."""
    if len(arguments.names) != 1 or arguments.group is not None:
        raise SettingsError("--pin is of one student; name one")
    (name,) = arguments.names
    if arguments.set_group is not None and not arguments.new:
        raise SettingsError("--pin with --set-group is for a --new student; change the group alone")
    registry = installation.gallery_or_new.registry
    set_pin(registry, name, typed_pin(), group=arguments.set_group, new=arguments.new)
    PinLockout(installation.pin_lockout_path, installation.vault).forget(name)
    installation.tell_log()
    screen.result({"pin": as_kept(name)}, f"{as_kept(name)} has a PIN")
    if not installation.settings.reader.pin:
        screen.note("no door asks for PINs yet: set [reader] pin = true, and a reader's path")


def _remove_pin(student: str, installation: Installation, screen: Screen) -> None:
    remove_pin(installation.gallery.registry, student)
    PinLockout(installation.pin_lockout_path, installation.vault).forget(student)
    installation.tell_log()
    screen.result({"no_pin": student}, f"{student} has no PIN any more")


def typed_pin() -> str:
    """A PIN from somebody at a terminal, twice, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    pin = getpass.getpass("PIN: ")
    if getpass.getpass("once more: ") != pin:
        raise SettingsError("that was not the same PIN twice; begin again")
    return pin


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


def _state(student: Student) -> str:
    now = today()
    if not student.consents(now):
        return "ended"
    return "valid" if student.consents(now + SOON) else "soon"


def _list(students: Sequence[Student], pins: set[int], screen: Screen) -> None:
    table = Table("student", "group", "recs", "enrolled", "consent until", box=None, pad_edge=False)
    if pins:
        table.add_column("")
    for student in students:
        until = "" if student.consent is None else student.consent.isoformat()
        table.add_row(
            student.name,
            student.group,
            str(student.recordings),
            local_day(student.enrolled),
            styled(until, MARKS[_state(student)]),
            *(["PIN" if student.number in pins else ""] if pins else []),
        )
        screen.result(
            {
                "student": student.name,
                "group": student.group,
                "recordings": student.recordings,
                "enrolled": student.enrolled,
                "consent": until or None,
                "consent_state": _state(student),
                "encoder": student.encoder,
                "pin": student.number in pins,
            }
        )
    if not screen.as_json:
        screen.out.print(table)
        screen.out.print(_summary(students))


def _tell_apart(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    """Say which of them had the same name in other characters."""
    listed = {student.name for student in students}
    for name, other in registry.namesakes().items():
        if not listed.isdisjoint((name, other)):
            screen.note(
                f"{name} was enrolled as {other} in other characters: find out who is who, then "
                f"'kaimen students --remove' one of them, and enroll who stays as {other}"
            )


def _counted(students: Sequence[Student]) -> dict[str, object]:
    states = Counter(_state(student) for student in students)
    return {
        "students": len(students),
        "recordings": sum(student.recordings for student in students),
        "groups": dict(sorted(Counter(student.group for student in students).items())),
        "consents_soon": states["soon"],
        "consents_ended": states["ended"],
    }


def _summary(students: Sequence[Student]) -> str:
    groups = sorted(Counter(student.group for student in students).items())
    said = f"{len(students)} students"
    if any(group for group, _ in groups):
        said += ": " + ", ".join(f"{group or 'no group'} {count}" for group, count in groups)
    states = Counter(_state(student) for student in students)
    if states["ended"]:
        said += f"; {states['ended']} without consent any more"
    if states["soon"]:
        said += f"; {states['soon']} consents end within {SOON.days} days"
    return said


def _list_recordings(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    table = Table("recording", "student", "word", "file's SHA-256", box=None, pad_edge=False)
    for student in students:
        for each in registry.recordings.listed(student.name):
            source = each.source[:12]
            table.add_row(str(each.number), student.name, each.word, source)
            screen.result(
                {
                    "recording": each.number,
                    "student": student.name,
                    "word": each.word or None,
                    "source": each.source or None,
                }
            )
    if not screen.as_json:
        screen.out.print(table)


def _list_grown(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    table = Table("voiceprint", "student", "taken in", box=None, pad_edge=False)
    listed = registry.grown.listed({student.name for student in students})
    for each in listed:
        table.add_row(str(each.number), each.student, local_day(each.at))
        screen.result({"grown": each.number, "student": each.student, "at": each.at})
    if not screen.as_json:
        screen.out.print(table if listed else "nothing was taken in at the gate")


def _forget_grown(students: Sequence[Student], installation: Installation, screen: Screen) -> None:
    registry = installation.gallery.registry
    forgotten = registry.grown.forget([student.name for student in students])
    screen.result(
        {"forgotten_grown": forgotten, "students": len(students)},
        f"{forgotten} voiceprints that were taken in at the gate are forgotten",
    )


def _change(
    students: Sequence[Student],
    arguments: argparse.Namespace,
    installation: Installation,
    screen: Screen,
) -> None:
    """Change group or consent of all of them, or of nobody."""
    until = arguments.set_consent
    endless = until == ENDLESS
    consent = None if until is None or endless else day_of(until, "--set-consent")
    group = arguments.set_group and name_of(arguments.set_group, "--set-group")
    given = None
    if until is not None:
        given = _consent(arguments, None if consent is None else consent.isoformat())
    registry = installation.gallery.registry
    with registry.database.writing():
        for student in students:
            if given is not None:
                give_consent(registry, student.name, given)
            if group is not None:
                registry.describe(student.name, group=group)
    installation.tell_log()
    for student in students:
        screen.result({"changed": student.name})
    if not screen.as_json:
        screen.out.print(f"{len(students)} students are changed")


def _consent(arguments: argparse.Namespace, until: str | None) -> Consent:
    """Return a consent as it was given on the command line. Raises SettingsError and UnfitName."""
    by = STUDENT if arguments.by_student else ""
    guardian = ""
    if arguments.guardian:
        by, guardian = GUARDIAN, name_of(arguments.guardian, "--guardian")
    day = today() if arguments.given is None else day_of(arguments.given, "--given")
    return Consent(by, guardian, purposes_of(arguments.purpose), day.isoformat(), until)


def _withdraw(students: Sequence[Student], installation: Installation, screen: Screen) -> None:
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


def _list_consents(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    table = Table("student", "given", "by", "for", "until", "withdrawn", box=None, pad_edge=False)
    for student in students:
        for each in registry.consents.of(student.number):
            by = each.guardian or each.by or "not written down"
            table.add_row(
                student.name,
                each.given,
                by,
                ", ".join(each.purposes),
                each.until or "withdrawn",
                each.withdrawn or "",
            )
            screen.result(
                {
                    "student": student.name,
                    "given": each.given,
                    "by": each.by or None,
                    "guardian": each.guardian or None,
                    "purposes": list(each.purposes),
                    "until": each.until,
                    "withdrawn": each.withdrawn,
                }
            )
    if not screen.as_json:
        screen.out.print(table)


def _export(path: Path, registry: Registry, student: str, screen: Screen) -> None:
    content = json.dumps(export(registry, student), ensure_ascii=False, indent=1) + "\n"
    write_whole(path, lambda file: file.write(content.encode()), private=True)
    screen.result(
        {"exported": student, "file": str(path)},
        f"all that is kept of {student} is in {path}, unsealed",
    )


def _remove(students: Sequence[str], installation: Installation, screen: Screen) -> None:
    gallery = installation.gallery
    wanted = list(dict.fromkeys(map(as_kept, students)))
    for student in wanted:  # before anybody is removed
        gallery.registry.require(student)
    for student in wanted:
        gallery.remove(student)
        screen.result({"removed": student}, f"{student} is forgotten")
    _calibrate(installation, screen)
    for folder in installation.school.kept:
        screen.note(f"{folder}: the school before a restore may still know them; delete it")
    for file in installation.school.damaged:
        screen.note(f"{file}: a damaged file may still know them; delete it")


def _remove_recordings(
    student: str, numbers: Sequence[int], installation: Installation, screen: Screen
) -> None:
    installation.gallery.remove_recordings(student, numbers)
    _calibrate(installation, screen)
    for number in dict.fromkeys(numbers):
        screen.result(
            {"removed_recording": number, "student": student},
            f"recording {number} of {student} is forgotten",
        )


def _calibrate(installation: Installation, screen: Screen) -> None:
    why_not = installation.calibrate_if_quick()
    if why_not:
        screen.say(f"the door is not armed: {why_not}")


def _carry(path: Path, installation: Installation, screen: Screen) -> None:
    space_map = SpaceMap.read(path)
    if space_map.new != installation.encoder.identity:
        raise GalleryError(f"{path}: leads to another encoder than [encoder] path names")
    path = installation.settings.gallery.file
    if not path.exists():
        raise GalleryError(f"{path}: no gallery there; nobody to carry over")
    carried = installation.gallery_or_new.registry.points.carry(space_map)
    if carried:
        _calibrate(installation, screen)
    screen.result({"carried": carried}, f"{carried} students are carried over")
