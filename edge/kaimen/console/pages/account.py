"""Your account: who you are here, and the passkeys that sign you in."""

from __future__ import annotations

import datetime
import secrets
from base64 import urlsafe_b64encode

from starlette.responses import JSONResponse, Response

from kaimen.console import passkeys
from kaimen.console.accounts import MOST_PASSKEYS
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import later
from kaimen.console.page import Page, act, view
from kaimen.console.passkeys import LONGEST_ANSWER, LONGEST_LABEL, WrongPasskey
from kaimen.console.proving import by_password, place_of_passkeys
from kaimen.console.roles import TITLES
from kaimen.errors import RecordingError
from kaimen.names import name_of


def show(exchange: Exchange) -> Response:
    """Show the account, and its passkeys."""
    account = exchange.account
    return exchange.page(
        "account/page.html",
        when=_when,
        has_passkeys=exchange.origin is not None and exchange.origin.has_passkeys,
        has_room=len(account.passkeys) < MOST_PASSKEYS,
        longest=LONGEST_LABEL,
        role=TITLES[account.role],
    )


def _when(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds).astimezone()


async def ask_for_new(exchange: Exchange) -> Response:
    """Give a browser what it needs to make a passkey, to who knows the password still."""
    origin = place_of_passkeys(exchange)
    try:
        label = name_of(exchange.field("label"), "the passkey")
    except RecordingError:
        label = ""
    if not 0 < len(label) <= LONGEST_LABEL:
        raise RefusedRequest(422, "Give the passkey a short name, such as of the device it is on.")
    account = await by_password(exchange, exchange.account.name, exchange.field("password"))
    known = account.passkeys[0].owner if account.passkeys else ""
    owner = known or urlsafe_b64encode(secrets.token_bytes(33)).decode()
    challenge = exchange.console.challenges.give(
        exchange.cookie, origin, name=account.name, label=label, owner=owner
    )
    return JSONResponse(await exchange.aside(passkeys.to_register, account, challenge))


async def add(exchange: Exchange) -> Response:
    """Keep the passkey that the browser has made."""
    answer = exchange.field("answer", longest=LONGEST_ANSWER)
    name = exchange.account.name
    challenge = exchange.console.challenges.take(
        exchange.cookie, place_of_passkeys(exchange), name=name
    )
    if challenge is None:
        raise RefusedRequest(403, "That took too long; add the passkey again.")
    try:
        passkey = await exchange.aside(passkeys.registered, answer, challenge)
    except WrongPasskey:
        raise RefusedRequest(
            403, "The browser has made no passkey for this desk; try again."
        ) from None
    await exchange.aside(exchange.audit, later("added a passkey"))
    await exchange.aside(exchange.console.accounts.add_passkey, name, passkey)
    exchange.say("The passkey {label} is added.", label=passkey.label)
    return JSONResponse({"see": "/account"})


def remove(exchange: Exchange) -> Response:
    """Remove a passkey; whoever signed in by it is signed out."""
    number = exchange.field("number", longest=LONGEST_ANSWER)
    found = exchange.account.passkey(number)
    if found is None:
        raise RefusedRequest(409, "This passkey is removed already; load the page again.")
    exchange.audit("removed a passkey")
    exchange.console.accounts.remove_passkey(exchange.account.name, number)
    exchange.say("The passkey {label} is removed.", label=found.label)
    return exchange.see("/account")


PAGE = Page(
    name="account",
    routes=(
        view("/account", show),
        act("/account/passkeys/challenge", ask_for_new),
        act("/account/passkeys", add),
        act("/account/passkeys/remove", remove),
    ),
)
