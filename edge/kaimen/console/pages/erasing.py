"""Erasing a student with proof: as ``kaimen erase`` does, with its certificate to take away."""

from __future__ import annotations

from starlette.responses import Response

from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import later
from kaimen.console.page import act, view
from kaimen.console.pages.one_student import ONE, pseudonym_of, student_of
from kaimen.console.roles import Role
from kaimen.local_time import local
from kaimen.privacy.certificate import Certificate, public_key
from kaimen.privacy.erasing import certificates_in, erase, what_goes

# What is kept of a student, as ``kaimen.privacy.erasing.WHAT`` calls it.
PIECES = {
    "recordings": later("Recordings of the passphrase"),
    "word_recordings": later("Recordings of words"),
    "phrase_embeddings": later("What was said in them, as numbers"),
    "fingerprints": later("Fingerprints of recordings"),
    "points_of_other_models": later("Voiceprints of other encoders"),
    "grown_voiceprints": later("Voiceprints taken in at the gate"),
    "replay_memory": later("Fingerprints of what opened the door lately"),
    "kept_phrases": later("Phrases kept for a review"),
    "consents": later("Consents"),
    "pins": later("PIN"),
}


def confirm(exchange: Exchange) -> Response:
    """Ask whether a student is to be removed, and name what goes and which backups hold it."""
    student = student_of(exchange)
    registry = exchange.installation.registry
    return exchange.page(
        "students/remove.html",
        student=student,
        pieces=_named(what_goes(exchange.installation, student.name)),
        backups=registry.erasures.backups(),
        may_erase=exchange.account.role >= Role.ADMIN,
    )


def with_proof(exchange: Exchange) -> Response:
    """Erase a student for good, and show where the certificate is to be had."""
    student = student_of(exchange)
    exchange.audit("erased a student with proof", student=pseudonym_of(exchange, student))
    try:
        (certificate,) = erase(exchange.installation, [student.name]).values()
    finally:
        exchange.console.students.forget()
    exchange.say("{name} is erased.", name=student.name)
    exchange.installation.gallery_or_new.save()
    exchange.calibrate_if_quick()
    return exchange.see(f"/students/erased/{certificate.statement.identity}")


def show(exchange: Exchange) -> Response:
    """Show what was erased; it does not say of whom."""
    certificate = _certificate(exchange)
    statement = certificate.statement
    return exchange.page(
        "students/erased.html",
        identity=statement.identity,
        finished=local(statement.finished),
        pieces=_named(statement.erased),
        backups=statement.backups,
        key=certificate.key,
        is_of_today=certificate.key == public_key(exchange.installation.vault),
    )


def give(exchange: Exchange) -> Response:
    """Give the student's certificate, which shows whose it is, as a file."""
    certificate = _certificate(exchange)
    identity = certificate.statement.identity
    exchange.audit("took the certificate of an erasure", certificate=identity)
    content = certificate.opened(exchange.installation.vault).rendered()
    headers = {"Content-Disposition": f"attachment; filename=certificate-{identity}.json"}
    return Response(content, media_type="application/json", headers=headers)


def _named(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Return what there is of a student, in English, and how much of each."""
    return [(PIECES.get(kind, kind), count) for kind, count in counts.items() if count]


def _certificate(exchange: Exchange) -> Certificate:
    identity = exchange.request.path_params["identity"]
    for each in certificates_in(exchange.installation.certificates_folder):
        if each.statement.identity == identity:
            return each
    raise RefusedRequest(404, "There is no such certificate.")


ERASED = "/students/erased/{identity:str}"
ROUTES = (
    view(f"{ONE}/remove", confirm, role=Role.REGISTRAR),
    act(f"{ONE}/erase", with_proof, role=Role.ADMIN),
    view(ERASED, show, role=Role.ADMIN),
    act(f"{ERASED}/certificate", give, role=Role.ADMIN),
)
