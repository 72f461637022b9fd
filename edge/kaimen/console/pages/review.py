"""Review: doubtful phrases, listened to; what was marked becomes a figure."""

from __future__ import annotations

import re

from starlette.responses import Response

from kaimen.audit import files_of, latest, pseudonym
from kaimen.console import words
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.enrollment.enrollment import Status
from kaimen.registry.kept_phrases import KeptPhrase, Mark
from kaimen.review.enrolling import enroll_phrase
from kaimen.review.measured import MeasuredErrors, measured

SHOWN = 100  # phrases, the latest first
PART = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")  # without which an iPhone plays nothing


async def show(exchange: Exchange) -> Response:
    """Show what is kept, and what was marked."""
    installation = exchange.installation
    phrases = await exchange.work(lambda: installation.kept_phrases)
    key = await exchange.work(lambda: installation.log_key)

    def read() -> tuple[list[KeptPhrase], list[Mark], MeasuredErrors]:
        folder = installation.log_folder
        records = latest(folder, key) if files_of(folder) else iter(())
        marks = phrases.marks()
        return list(phrases.phrases()), marks, measured(records, marks)

    kept, marks, found = await exchange.aside(read)
    return exchange.page(
        "review/page.html",
        phrases=kept[:SHOWN],
        more=max(0, len(kept) - SHOWN),
        marks={mark.number: mark.right for mark in marks},
        why=lambda told: words.why(told, exchange.text, exchange.sentence),
        found=found,
        days=installation.settings.review.days,
    )


def sound(exchange: Exchange) -> Response:
    """Return a phrase's sound, or the part that is asked for; who listens is written down."""
    number = exchange.request.path_params["number"]
    found = exchange.installation.kept_phrases.sound(number)
    headers = {"Accept-Ranges": "bytes"}
    asked = PART.fullmatch(exchange.request.headers.get("Range", ""))
    first = int(asked[1]) if asked else 0
    last = min(int(asked[2]) if asked and asked[2] else len(found) - 1, len(found) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(found)}"})
    if not first:
        exchange.audit("listened to a kept phrase", phrase=number)
    if asked:
        headers["Content-Range"] = f"bytes {first}-{last}/{len(found)}"
    status = 206 if asked else 200
    return Response(found[first : last + 1], status, headers, media_type="audio/flac")


def mark(exchange: Exchange) -> Response:
    """Write down whether the gate was right."""
    phrases = exchange.installation.kept_phrases
    phrase = phrases.phrase(exchange.request.path_params["number"])
    said = exchange.field("said")
    if said not in ("right", "wrong"):
        raise RefusedRequest(422, "Say whether the gate was right or wrong.")
    exchange.audit("marked a kept phrase", phrase=phrase.number, said=said)
    phrases.mark(Mark(phrase.number, phrase.told["stratum"], said == "right"))
    return exchange.see("/review")


def enroll(exchange: Exchange) -> Response:
    """Make a phrase a recording of a student, judged as every recording is."""
    installation = exchange.installation
    number, name = exchange.request.path_params["number"], exchange.field("student").strip()
    if not name:
        raise RefusedRequest(422, "Name the student whose voice it is.")
    hashed = pseudonym(installation.log_key, name)
    exchange.audit("enrolled a kept phrase", phrase=number, student=hashed)
    gallery = installation.gallery
    outcome = enroll_phrase(installation.kept_phrases, number, name, gallery, installation.encoder)
    if outcome.status is not Status.ENROLLED:
        reason = exchange.sentence(outcome.refused[0].reason) if outcome.refused else ""
        raise RefusedRequest(
            422, "Nothing was enrolled, {name} stays as before: {reason}.", name=name, reason=reason
        )
    gallery.save()
    exchange.say("{name} has {count} recordings now.", name=name, count=outcome.recordings)
    exchange.calibrate_if_quick()
    return exchange.see("/review")


def erase(exchange: Exchange) -> Response:
    """Erase a phrase; what was marked of it stays."""
    number = exchange.request.path_params["number"]
    exchange.audit("erased a kept phrase", phrase=number)
    exchange.installation.kept_phrases.erase(number)
    exchange.say("The phrase is erased.")
    return exchange.see("/review")


PAGE = Page(
    name="review",
    navigation=NavigationEntry("Review", "/review", Role.REGISTRAR),
    routes=(
        view("/review", show, role=Role.REGISTRAR),
        view("/review/{number}/sound", sound, role=Role.REGISTRAR),
        act("/review/{number}/mark", mark, role=Role.REGISTRAR),
        act("/review/{number}/enroll", enroll, role=Role.REGISTRAR),
        act("/review/{number}/erase", erase, role=Role.REGISTRAR),
    ),
)
