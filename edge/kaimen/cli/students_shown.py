"""What ``kaimen students`` shows: students, their recordings, consents and grown voiceprints."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from kaimen.clock import today
from kaimen.local_time import local_day
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Student
from kaimen.screen import Screen
from kaimen.terminal import styled

SOON = datetime.timedelta(days=30)  # before a consent ends, it is marked
MARKS: dict[str, str | tuple[str, str]] = {
    "valid": "",
    "soon": (" soon", "yellow"),
    "ended": (" ended", "red"),
}


def list_students(students: Sequence[Student], pins: set[int], screen: Screen) -> None:
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
    screen.show(table)
    screen.show(summary(students))


def tell_apart(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    """Say which of them had the same name in other characters."""
    listed = {student.name for student in students}
    for name, other in registry.namesakes().items():
        if not listed.isdisjoint((name, other)):
            screen.note(
                f"{name} was enrolled as {other} in other characters: find out who is who, then "
                f"'kaimen students --remove' one of them, and enroll who stays as {other}"
            )


def counted(students: Sequence[Student]) -> dict[str, object]:
    states = Counter(_state(student) for student in students)
    return {
        "students": len(students),
        "recordings": sum(student.recordings for student in students),
        "groups": dict(sorted(Counter(student.group for student in students).items())),
        "consents_soon": states["soon"],
        "consents_ended": states["ended"],
    }


def summary(students: Sequence[Student]) -> str:
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


def list_recordings(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
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
    screen.show(table)


def list_grown(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
    table = Table("voiceprint", "student", "taken in", box=None, pad_edge=False)
    listed = registry.grown.listed({student.name for student in students})
    for each in listed:
        table.add_row(str(each.number), each.student, local_day(each.at))
        screen.result({"grown": each.number, "student": each.student, "at": each.at})
    screen.show(table if listed else "nothing was taken in at the gate")


def list_consents(students: Sequence[Student], registry: Registry, screen: Screen) -> None:
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
    screen.show(table)


def _state(student: Student) -> str:
    now = today()
    if not student.consents(now):
        return "ended"
    return "valid" if student.consents(now + SOON) else "soon"
