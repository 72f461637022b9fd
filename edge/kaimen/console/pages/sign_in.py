"""Signing in and out, and the language."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import COOKIE, LANGUAGES
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role

YEAR = 365 * 24 * 3600  # seconds


def show(exchange: Exchange) -> Response:
    """Ask who it is."""
    then = _local(exchange.request.query_params.get("then", "/"))
    return exchange.page("sign_in/page.html", then=then, wrong=False)


async def sign_in(exchange: Exchange) -> Response:
    """Begin a session for a name and its password."""
    console = exchange.console
    name, password = exchange.field("name"), exchange.field("password")
    account = await exchange.aside(console.accounts.signed_in, name, password)
    then = _local(exchange.field("then", "/"))
    if account is None:
        return exchange.page("sign_in/page.html", status=403, then=then, wrong=True)
    console.audit(account.name, "signed in")
    console.sessions.end(exchange.cookie)
    exchange.cookie = console.sessions.begin(account.name)
    return exchange.see(then)


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
