"""Signing in and out, and the language."""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse, Response

from kaimen.console import passkeys
from kaimen.console.accounts import Account
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import COOKIE, LANGUAGES, later
from kaimen.console.page import Page, act, view
from kaimen.console.proving import by_passkey, by_password, place_of_passkeys, write
from kaimen.console.roles import Role

YEAR = 365 * 24 * 3600  # seconds


def show(exchange: Exchange) -> Response:
    """Ask who it is."""
    return _asked(exchange, exchange.request.query_params.get("then", "/"))


async def sign_in(exchange: Exchange) -> Response:
    """Begin a session for a name and its password."""
    name, password = exchange.field("name"), exchange.field("password")
    then = exchange.field("then", "/")
    try:
        account = await by_password(exchange, name, password)
    except RefusedRequest as wrong:
        return _asked(exchange, then, wrong)
    return exchange.see(await _begun(exchange, account, then))


async def ask_for_passkey(exchange: Exchange) -> Response:
    """Give a browser a challenge that a passkey is to sign."""
    challenge = exchange.console.challenges.give(exchange.cookie, place_of_passkeys(exchange))
    return JSONResponse(await exchange.aside(passkeys.to_sign_in, challenge))


async def sign_in_by_passkey(exchange: Exchange) -> Response:
    """Begin a session for a passkey's account."""
    then = exchange.field("then", "/")
    origin = place_of_passkeys(exchange)
    challenge = exchange.console.challenges.take(exchange.cookie, origin)
    account, number = await by_passkey(exchange, challenge)
    return JSONResponse({"see": await _begun(exchange, account, then, number)})


async def _begun(exchange: Exchange, account: Account, then: str, passkey: str = "") -> str:
    """Begin a session; return the address that is shown next."""
    did = later("signed in by a passkey") if passkey else later("signed in")
    await exchange.aside(write, exchange, account.name, did)
    exchange.console.sessions.end(exchange.cookie)
    exchange.cookie = exchange.console.sessions.begin(account, passkey=passkey)
    return _local(then)


def _asked(exchange: Exchange, then: str, wrong: RefusedRequest | None = None) -> Response:
    return exchange.page(
        "sign_in/page.html",
        status=wrong.status if wrong else 200,
        then=_local(then),
        wrong=exchange.told(wrong) if wrong else "",
        passkeys=exchange.origin is not None and exchange.origin.has_passkeys,
    )


def sign_out(exchange: Exchange) -> Response:
    """End the session."""
    exchange.console.sessions.end(exchange.cookie)
    return exchange.see("/sign-in")


def speak(exchange: Exchange) -> Response:
    """Keep the language that was chosen."""
    language = exchange.request.path_params["language"]
    if language not in LANGUAGES:
        raise RefusedRequest(404, "There is no such page.")
    answer = RedirectResponse(_local(exchange.request.query_params.get("then", "/")), 303)
    answer.set_cookie(COOKIE, language, max_age=YEAR, httponly=True, samesite="strict")
    return answer


def _local(path: str) -> str:
    """Return a path of ours; for anything else, the first page."""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


PAGE = Page(
    name="sign_in",
    routes=(
        view("/sign-in", show, role=None),
        act("/sign-in", sign_in, role=None),
        act("/sign-in/passkey/challenge", ask_for_passkey, role=None),
        act("/sign-in/passkey", sign_in_by_passkey, role=None),
        act("/sign-out", sign_out, role=Role.GUARD),
        view("/language/{language}", speak, role=None),
    ),
)
