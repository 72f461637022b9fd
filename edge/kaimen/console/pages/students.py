"""Students: who is enrolled, how good each recording is, and what may be changed of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from starlette.responses import Response

from kaimen.audit import pseudonym
from kaimen.clock import today
from kaimen.console.console import Console
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.page import Page, act, view
from kaimen.console.recording_words import judged_recordings
from kaimen.console.roles import Role
from kaimen.console.student_list import StudentList
from kaimen.enrollment.entries import day_of
from kaimen.local_time import local_day
from kaimen.registry.export import export
from kaimen.registry.registry import Student

_LISTS: WeakKeyDictionary[Console, StudentList] = WeakKeyDictionary()


def show(exchange: Exchange) -> Response:
    """Show the search, and the first students."""
    return exchange.page("students/page.html", **_found(exchange), groups=_list(exchange).groups)


def rows(exchange: Exchange) -> Response:
    """Show the students that a search finds, or the next ones of them."""
    return exchange.page("students/rows.html", **_found(exchange))


def one(exchange: Exchange) -> Response:
    """Show a student: recordings, group, consent."""
    student = _student(exchange)
    gallery = exchange.installation.gallery
    recordings = judged_recordings(gallery, student.name, exchange.installation.threshold_of_a_try)
    return exchange.page(
        "students/one.html",
        student=student,
        enrolled=local_day(student.enrolled),
        consents=student.consents(today()),
        recordings=recordings,
    )


def describe(exchange: Exchange) -> Response:
    """Change a student's group and consent."""
    student = _student(exchange)
    until = exchange.field("consent", "")
    consent = day_of(until, exchange.text("Consent until")) if until else None
    group = exchange.field("group", "")
    exchange.audit("changed a student's group or consent", student=_pseudonym(exchange, student))
    exchange.installation.gallery.describe(
        student.name, group=group, consent=consent, until_withdrawn=not until
    )
    exchange.say("{name} is changed.", name=student.name)
    return exchange.see(f"/students/{student.number}")


def remove_recording(exchange: Exchange) -> Response:
    """Forget one recording of a student."""
    student, number = _student(exchange), exchange.request.path_params["recording"]
    exchange.audit("removed a recording", student=_pseudonym(exchange, student), recording=number)
    exchange.installation.gallery.remove_recordings(student.name, [number])
    exchange.installation.calibrate_if_quick()
    exchange.say("Recording {number} is removed.", number=number)
    return exchange.see(f"/students/{student.number}")


def confirm(exchange: Exchange) -> Response:
    """Ask whether a student is to be removed."""
    return exchange.page("students/remove.html", student=_student(exchange))


def remove(exchange: Exchange) -> Response:
    """Remove a student for good."""
    student = _student(exchange)
    exchange.audit("removed a student", student=_pseudonym(exchange, student))
    exchange.installation.gallery.remove(student.name)
    exchange.say("{name} is removed.", name=student.name)
    why_not = exchange.installation.calibrate_if_quick()
    if why_not:
        exchange.say("The door is not armed: {reason}.", reason=why_not)
    return exchange.see("/students")


def give(exchange: Exchange) -> Response:
    """Give all that is kept of a student, unsealed, as a file."""
    student = _student(exchange)
    exchange.audit("exported a student", student=_pseudonym(exchange, student))
    kept = export(exchange.installation.registry, student.name)
    content = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
    name = quote(f"{student.name}.json", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(content, media_type="application/json", headers=headers)


def _list(exchange: Exchange) -> StudentList:
    """Return the list of a console's school; of one that has no registry yet, an empty one."""
    students = _LISTS.setdefault(exchange.console, StudentList())
    if exchange.installation.has_registry:
        students.of(exchange.installation.registry)
    return students


def _found(exchange: Exchange) -> dict[str, Any]:
    asked = exchange.request.query_params
    text, group, after = (asked.get(name, "")[:200] for name in ("q", "group", "after"))
    now = today()
    return {
        "rows": _list(exchange).search(text, group, after),
        "text": text,
        "group": group,
        "ended": lambda student: not student.consents(now),
    }


def _student(exchange: Exchange) -> Student:
    student = _list(exchange).student(exchange.request.path_params["number"])
    if student is None:
        raise RefusedRequest(404, "This student is not enrolled any more.")
    return student


def _pseudonym(exchange: Exchange, student: Student) -> str:
    return pseudonym(exchange.installation.log_key, student.name)


ONE = "/students/{number:int}"
R = Role.REGISTRAR

PAGE = Page(
    name="students",
    title="Students",
    path="/students",
    role=R,
    ways=(
        view("/students", show, role=R),
        view("/students/rows", rows, role=R),
        view(ONE, one, role=R),
        act(f"{ONE}/describe", describe, role=R),
        act(f"{ONE}/recordings/{{recording:int}}/remove", remove_recording, role=R),
        view(f"{ONE}/remove", confirm, role=R),
        act(f"{ONE}/remove", remove, role=R),
        act(f"{ONE}/export", give, role=R),
    ),
)
