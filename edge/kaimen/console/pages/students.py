"""Students: who is enrolled, how good each recording is, and what may be changed of them.

Consents are given and withdrawn in ``consents``, and students are erased with proof in ``erasing``.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from kaimen.clock import today
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, act, view
from kaimen.console.pages import consents, erasing
from kaimen.console.pages.one_student import ONE, list_of, pseudonym_of, student_of
from kaimen.console.recording_words import JudgedRecording, judged_recordings
from kaimen.console.roles import Role
from kaimen.local_time import local_day
from kaimen.registry.export import export


def show(exchange: Exchange) -> Response:
    """Show the search, and the first students."""
    return exchange.page("students/page.html", **_found(exchange), groups=list_of(exchange).groups)


def rows(exchange: Exchange) -> Response:
    """Show the students that a search finds, or the next ones of them."""
    return exchange.page("students/rows.html", **_found(exchange))


def one(exchange: Exchange) -> Response:
    """Show a student: recordings, group, consent."""
    student = student_of(exchange)
    gallery = exchange.installation.gallery
    return exchange.page(
        "students/one.html",
        student=student,
        enrolled=local_day(student.enrolled),
        consents=student.consents(today()),
        ledger=gallery.registry.consents.of(student.number),
        today=today(),
        recordings=_judged(exchange, student.name),
    )


def describe(exchange: Exchange) -> Response:
    """Change a student's group."""
    student = student_of(exchange)
    group = exchange.field("group", "")
    exchange.audit("changed a student's group", student=pseudonym_of(exchange, student))
    exchange.installation.gallery.describe(student.name, group=group)
    exchange.say("{name} is changed.", name=student.name)
    if exchange.installation.settings.roster:
        exchange.calibrate_if_quick()  # for as many as may enter at once now
    return exchange.see(f"/students/{student.number}")


def ask_for_recording(exchange: Exchange) -> Response:
    """Ask whether a recording is to be removed, and say how good it is and what stays."""
    student, number = student_of(exchange), exchange.request.path_params["recording"]
    recordings = _judged(exchange, student.name)
    found = next((each for each in recordings if each.number == number), None)
    if found is None:
        raise RefusedRequest(404, "This recording is removed already; load the page again.")
    others = [each for each in recordings if each.number != number and not each.word]
    return exchange.page(
        "students/remove_recording.html",
        student=student,
        recording=found,
        others=len(others),
    )


def remove_recording(exchange: Exchange) -> Response:
    """Forget one recording of a student."""
    student, number = student_of(exchange), exchange.request.path_params["recording"]
    exchange.audit("removed a recording", student=pseudonym_of(exchange, student), recording=number)
    exchange.installation.gallery.remove_recordings(student.name, [number])
    exchange.say("Recording {number} is removed.", number=number)
    exchange.calibrate_if_quick()
    return exchange.see(f"/students/{student.number}")


def remove(exchange: Exchange) -> Response:
    """Remove a student for good."""
    student = student_of(exchange)
    exchange.audit("removed a student", student=pseudonym_of(exchange, student))
    exchange.installation.gallery.remove(student.name)
    exchange.say("{name} is removed.", name=student.name)
    exchange.calibrate_if_quick()
    return exchange.see("/students")


def give(exchange: Exchange) -> Response:
    """Give all that is kept of a student, unsealed, as a file."""
    student = student_of(exchange)
    exchange.audit("exported a student", student=pseudonym_of(exchange, student))
    kept = export(exchange.installation.registry, student.name)
    content = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
    name = quote(f"{student.name}.json", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(content, media_type="application/json", headers=headers)


def _judged(exchange: Exchange, name: str) -> list[JudgedRecording]:
    installation = exchange.installation
    return judged_recordings(installation.gallery, name, installation.arming.threshold_of_a_try)


def _found(exchange: Exchange) -> dict[str, Any]:
    asked = exchange.request.query_params
    text, group, after = (asked.get(name, "")[:200] for name in ("q", "group", "after"))
    now = today()
    return {
        "rows": list_of(exchange).search(text, group, after),
        "text": text,
        "group": group,
        "ended": lambda student: not student.consents(now),
    }


R = Role.REGISTRAR
RECORDING = f"{ONE}/recordings/{{recording:int}}/remove"

PAGE = Page(
    name="students",
    navigation=NavigationEntry("Students", "/students", R),
    routes=(
        view("/students", show, role=R),
        view("/students/rows", rows, role=R),
        view(ONE, one, role=R),
        act(f"{ONE}/describe", describe, role=R),
        view(RECORDING, ask_for_recording, role=R),
        act(RECORDING, remove_recording, role=R),
        act(f"{ONE}/remove", remove, role=R),
        act(f"{ONE}/export", give, role=R),
        *consents.ROUTES,
        *erasing.ROUTES,
    ),
)
