"""Signing in and out, and the language."""

from __future__ import annotations

import asyncio
import math

from starlette.responses import RedirectResponse, Response

from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import COOKIE, LANGUAGES
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.names import as_kept

YEAR = 365 * 24 * 3600  # seconds


def show(exchange: Exchange) -> Response:
    """Ask who it is."""
    return _asked(exchange, exchange.request.query_params.get("then", "/"))


async def sign_in(exchange: Exchange) -> Response:
    """Begin a session for a name and its password."""
    console, address = exchange.console, exchange.address
    name, password = exchange.field("name"), exchange.field("password")
    then = exchange.field("then", "/")
    wait = await exchange.aside(console.attempts.begin, as_kept(name), address)
    if wait:
        wrong = exchange.text(
            "Too many wrong passwords; try again in {seconds} s.", seconds=math.ceil(wait)
        )
        return _asked(exchange, then, wrong, status=429)
    loop = asyncio.get_running_loop()
    account = await loop.run_in_executor(
        console.hashing, console.accounts.signed_in, name, password
    )
    if account is None:
        if console.accounts.get(name) is not None:
            await exchange.aside(_write, exchange, as_kept(name), "gave a wrong password")
        return _asked(exchange, then, exchange.text("Name or password is wrong."), status=403)
    await exchange.aside(_write, exchange, account.name, "signed in")
    await exchange.aside(console.attempts.right, account.name, address)
    console.sessions.end(exchange.cookie)
    exchange.cookie = console.sessions.begin(account)
    return exchange.see(_local(then))


def _write(exchange: Exchange, who: str, did: str) -> None:
    exchange.console.audit(who, did, address=exchange.address)


def _asked(exchange: Exchange, then: str, wrong: str = "", *, status: int = 200) -> Response:
    return exchange.page("sign_in/page.html", status=status, then=_local(then), wrong=wrong)


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
    ways=(
        view("/sign-in", show, role=None),
        act("/sign-in", sign_in, role=None),
        act("/sign-out", sign_out, role=Role.GUARD),
        view("/language/{language}", speak, role=None),
    ),
)
