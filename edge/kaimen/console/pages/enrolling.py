"""Enrolling: a student's takes at the gate's microphone with the coach, or uploaded recordings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from kaimen.audit import pseudonym
from kaimen.console.enrolling import EnrollmentSession
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.enrollment.advice import Advice
from kaimen.enrollment.at_microphone import HeardLevel
from kaimen.enrollment.chance import ANOTHER_DAY
from kaimen.enrollment.coach import TakeJudgement
from kaimen.enrollment.enrollment import Status
from kaimen.enrollment.entries import Entry, day_of
from kaimen.names import name_of

LARGEST = 32 << 20  # bytes of an upload: five recordings of 30 s in any format
MOST = 20  # recordings of an upload
NEW, ADD, REPLACE, ONE = "new", "add", "replace", "one"  # what becomes of what is there


def ask(exchange: Exchange) -> Response:
    """Ask who is to be enrolled, and how."""
    return exchange.page("enrolling/new.html")


def begin(exchange: Exchange) -> Response:
    """Begin to listen to a student's takes."""
    entry, how = _entry(exchange), _how(exchange)
    number = exchange.field("recording", "")
    if how == ONE and not number.isdecimal():
        raise RefusedRequest(422, "Say which recording is to be replaced.")
    _require_fit(exchange, entry, how)
    exchange.audit(
        "began to enroll a student at the microphone", student=_pseudonym(exchange, entry)
    )
    begun = exchange.console.enrolling.at_microphone(
        entry, add=how == ADD, replace=how == REPLACE,
        in_place_of=int(number[:9]) if how == ONE else None,
    )  # fmt: skip
    return _begun(exchange, begun)


async def upload(exchange: Exchange) -> Response:
    """Begin to judge recordings that were sent."""
    files = [each for each in exchange.form.getlist("files") if isinstance(each, UploadFile)]
    files = [each for each in files if each.filename]
    if not files or len(files) > MOST:
        raise RefusedRequest(422, "Choose one to {most} recordings.", most=MOST)
    entry, how = _entry(exchange), _how(exchange)
    contents = [await each.read() for each in files]
    entry = replace(entry, files=tuple(Path(str(each.filename)) for each in files))

    def start() -> Response:
        _require_fit(exchange, entry, how)
        exchange.audit("began to enroll a student from files", student=_pseudonym(exchange, entry))
        begun = exchange.console.enrolling.of_files(entry, contents, add=how == ADD)
        return _begun(exchange, begun)

    return await exchange.work(start)


def show(exchange: Exchange) -> Response:
    """Show the enrollment that goes on."""
    session = exchange.console.enrolling.session
    if session is None:
        return exchange.see("/enrolling/new")
    return exchange.page("enrolling/page.html", session=session)


async def feed(exchange: Exchange) -> Response:
    """Stream what is heard, and what becomes of each take."""
    session = exchange.console.enrolling.session
    if session is None:
        raise RefusedRequest(404, "Nobody is being enrolled.")
    return exchange.stream(_shown(exchange, session))


def stop(exchange: Exchange) -> Response:
    """Give up; nothing is kept."""
    exchange.console.enrolling.stop()
    return exchange.see("/enrolling")


async def _shown(exchange: Exchange, session: EnrollmentSession) -> AsyncIterator[tuple[str, str]]:
    async for kind, told in session.events():
        if isinstance(told, HeardLevel):
            level = {"level": round(told.level, 1), "speaking": told.speaking}
            yield "level", json.dumps(level)
        elif isinstance(told, TakeJudgement):
            said = exchange.text(told.advice.value)
            yield "take", exchange.render("enrolling/take.html", take=told, advice=said)
            yield "advice", said
            yield "progress", str(told.progress)
        elif kind == "listening":
            yield "listening", exchange.text(Advice.SPEAK.value)
        else:
            yield "end", _ended(exchange, session, kind, told)
            return


def _ended(exchange: Exchange, session: EnrollmentSession, kind: str, told: Any) -> str:
    outcome, why_not = told if kind == "done" else (None, "")
    enrolled = outcome is not None and outcome.status is Status.ENROLLED
    return exchange.render(
        "enrolling/end.html", name=session.entry.student, outcome=outcome, enrolled=enrolled,
        why_not=why_not,
        another_day=ANOTHER_DAY if session.of_one_day else None,
        failed="" if outcome else told, stopped=told is None,
    )  # fmt: skip


def _entry(exchange: Exchange) -> Entry:
    """Return who is to be enrolled. Raises SettingsError and RefusedRequest."""
    name, group = exchange.field("name").strip(), exchange.field("group", "").strip()
    consent = exchange.field("consent", "")
    if not name:
        raise RefusedRequest(422, "Give the student a name.")
    return Entry(
        name_of(name, exchange.text("Student's name")),
        (),
        name_of(group, exchange.text("Group")) if group else None,
        day_of(consent, exchange.text("Consent until")) if consent else None,
    )


def _how(exchange: Exchange) -> str:
    how = exchange.field("how", NEW)
    if how not in (NEW, ADD, REPLACE, ONE):
        raise RefusedRequest(422, "The field {name} is missing.", name="how")
    return how


def _require_fit(exchange: Exchange, entry: Entry, how: str) -> None:
    """Require that nobody is replaced unasked, and nobody is added to who is not there."""
    installation = exchange.installation
    known = installation.has_registry and entry.student in installation.registry.names()
    if how == NEW and known:
        raise RefusedRequest(
            409, "{name} is enrolled already; look for them under Students.", name=entry.student
        )
    if how in (ADD, ONE) and not known:
        raise RefusedRequest(409, "{name} is not enrolled.", name=entry.student)


def _begun(exchange: Exchange, begun: bool) -> Response:
    if not begun:
        raise RefusedRequest(409, "Somebody is being enrolled; wait until that has ended.")
    return exchange.see("/enrolling")


def _pseudonym(exchange: Exchange, entry: Entry) -> str:
    return pseudonym(exchange.installation.vault_or_new.log_key, entry.student)


R = Role.REGISTRAR

PAGE = Page(
    name="enrolling",
    routes=(
        view("/enrolling", show, role=R),
        view("/enrolling/new", ask, role=R),
        view("/enrolling/feed", feed, role=R),
        act("/enrolling/begin", begin, role=R),
        act("/enrolling/upload", upload, role=R, largest=LARGEST),
        act("/enrolling/stop", stop, role=R),
    ),
)
