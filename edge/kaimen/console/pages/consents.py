"""The ledger of a student's consents: an entry is added, or the consent is withdrawn."""

from __future__ import annotations

from starlette.responses import Response

from kaimen.clock import today
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.page import act
from kaimen.console.pages.one_student import ONE, pseudonym_of, student_of
from kaimen.console.roles import Role
from kaimen.enrollment.entries import day_of
from kaimen.names import name_of
from kaimen.registry.consents import GUARDIAN, STUDENT, Consent, purposes_of
from kaimen.registry.permissions import give_consent, withdraw_consent

LONGEST_NAME = 200  # characters of a guardian's name


def give(exchange: Exchange) -> Response:
    """Write an entry: who consented, and until when."""
    student, consent = student_of(exchange), _consent(exchange)
    exchange.audit(
        "wrote down a consent", student=pseudonym_of(exchange, student), until=consent.until
    )
    give_consent(exchange.installation.registry, student.name, consent)
    exchange.console.students.forget()
    exchange.installation.tell_log()
    exchange.say("The consent of {name} is written down.", name=student.name)
    return exchange.see(f"/students/{student.number}")


def withdraw(exchange: Exchange) -> Response:
    """Write down that the consent was withdrawn today."""
    student = student_of(exchange)
    exchange.audit("withdrew a consent", student=pseudonym_of(exchange, student))
    withdraw_consent(exchange.installation.registry, student.name, today())
    exchange.console.students.forget()
    exchange.installation.tell_log()
    exchange.say("The consent of {name} is withdrawn.", name=student.name)
    return exchange.see(f"/students/{student.number}")


def _consent(exchange: Exchange) -> Consent:
    """Return the consent of a form. Raises RefusedRequest, UnfitName and SettingsError."""
    by = exchange.field("by", "")
    guardian = exchange.field("guardian", "", longest=LONGEST_NAME).strip()
    if by not in ("", STUDENT, GUARDIAN):
        raise RefusedRequest(422, "The field {name} is missing.", name="by")
    if by == GUARDIAN and not guardian:
        raise RefusedRequest(422, "Give the guardian's name.")
    if by != GUARDIAN and guardian:
        raise RefusedRequest(422, "Choose the guardian as who consented, or give no name.")
    given, until = exchange.field("given", ""), exchange.field("consent", "")
    day = day_of(given, exchange.text("Given on")) if given else today()
    last = day_of(until, exchange.text("Consent until")).isoformat() if until else None
    return Consent(
        by,
        name_of(guardian, exchange.text("Guardian's name")) if guardian else "",
        purposes_of(()),
        day.isoformat(),
        last,
    )


ROUTES = (
    act(f"{ONE}/consent", give, role=Role.REGISTRAR),
    act(f"{ONE}/consent/withdraw", withdraw, role=Role.REGISTRAR),
)
