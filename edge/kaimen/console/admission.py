"""From a request to a exchange: who it is, whether they may, and whether the form is theirs."""

from __future__ import annotations

import hmac
import inspect
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from kaimen.console import language as languages
from kaimen.console.accounts import Account
from kaimen.console.console import Console
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import LANGUAGES, later, preferred
from kaimen.console.origin import Origin, origin_of
from kaimen.console.page import Page, PageRoute
from kaimen.console.sessions import SignIn
from kaimen.errors import KaimenError, RecordingError, SettingsError

COOKIE = "kaimen"
SIGN_IN = "/sign-in"
SECRET_HEADER = "X-Kaimen-Proxy"
TOKEN_HEADER = "X-Kaimen-Token"
FIELDS = 200  # of a form


class Admission:
    """Admits requests to the endpoints of pages."""

    def __init__(self, console: Console, pages: tuple[Page, ...]) -> None:
        self._console = console
        self._navigation = tuple(each.navigation for each in pages if each.navigation)
        self._settings = console.settings.console

    def to(self, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a way for Starlette."""

        async def answered(request: Request) -> Response:
            exchange = self.exchange(request)
            try:
                return await self._answer(exchange, route)
            except (RefusedRequest, HTTPException, KaimenError) as error:
                return refusal(exchange, error)

        return answered

    def exchange(self, request: Request) -> Exchange:
        """Return an exchange with nobody yet."""
        language = request.cookies.get(languages.COOKIE, "")
        if language not in LANGUAGES:
            language = preferred(request.headers.get("Accept-Language", ""))
        cookie = request.cookies.get(self.cookie_name(request), "")
        return Exchange(
            request,
            self._console,
            navigation=self._navigation,
            language=language,
            cookie=cookie,
        )

    def stray(self, request: Request) -> Exchange:
        """Return an exchange of a request that no way answers, with who makes it."""
        exchange = self.exchange(request)
        session = self._console.sessions.get(exchange.cookie, visit=False)
        with suppress(KaimenError):  # accounts that cannot be read: then it is nobody
            if session is not None and not session.proxied:
                exchange.person = self._console.account_of(session)
        return exchange

    def cookie_name(self, request: Request) -> str:
        """Return the cookie's name; the prefix lets browsers take it over TLS only."""
        return f"__Host-{COOKIE}" if self._is_secure(request) else COOKIE

    async def _answer(self, exchange: Exchange, route: PageRoute) -> Response:
        came_with = exchange.cookie
        if len(exchange.cookie) != 43:
            exchange.cookie = secrets.token_urlsafe(32)
        exchange.session, exchange.person = self._who(exchange)
        exchange.origin = self._origin(exchange.request)
        if route.role is not None:
            if exchange.person is None:
                return self._to_sign_in(exchange, route)
            if exchange.person.role < route.role:
                raise RefusedRequest(
                    403, "This needs the role {role}; ask an administrator.", role=route.role
                )
        if route.method != "GET":
            self._require_same_site(exchange.request)
            exchange.form = await self._form(exchange.request, route.largest)
        try:
            if route.method != "GET":
                self._require_token(exchange)
            if inspect.iscoroutinefunction(route.endpoint):
                answer = await cast(Awaitable[Response], route.endpoint(exchange))
            else:
                answer = cast(Response, await exchange.work(route.endpoint, exchange))
        finally:
            await exchange.form.close()
        if exchange.cookie != came_with:
            answer.set_cookie(
                self.cookie_name(exchange.request),
                exchange.cookie,
                httponly=True,
                samesite="strict",
                secure=self._is_secure(exchange.request),
            )
        return answer

    def _require_token(self, exchange: Exchange) -> None:
        given = exchange.request.headers.get(TOKEN_HEADER) or exchange.form.get("token")
        if not isinstance(given, str) or not self._console.sessions.is_token(
            given, exchange.cookie
        ):
            raise RefusedRequest(403, "This form is out of date; load the page again.")

    def _who(self, exchange: Exchange) -> tuple[SignIn | None, Account | None]:
        """Return the session and the account; a proxy's word begins a session by itself."""
        sessions, accounts = self._console.sessions, self._console.accounts
        session = sessions.get(exchange.cookie)
        named = self._proxied(exchange.request)
        if session is not None and session.proxied and named != session.name:
            sessions.end(exchange.cookie)
            session = None
        if session is None and named:
            account = accounts.get(named)
            if account is None:
                raise RefusedRequest(
                    403, "There is no account of your name here; ask an administrator."
                )
            exchange.cookie = sessions.begin(account, proxied=True)
            session = sessions.get(exchange.cookie)
        if session is None:
            return None, None
        account = self._console.account_of(session)
        if account is None:
            sessions.end(exchange.cookie)
            return None, None
        return session, account

    def _proxied(self, request: Request) -> str:
        """Return whom a trusted proxy has signed in; empty where none did."""
        if not self._is_from_proxy(request):
            return ""
        return request.headers.get(self._settings.proxy_header, "")

    def _is_from_proxy(self, request: Request) -> bool:
        chosen = self._settings
        if not (chosen.proxy or chosen.proxy_secret):
            return False
        if chosen.proxy and (request.client is None or request.client.host != chosen.proxy):
            return False
        given = request.headers.get(SECRET_HEADER, "")
        return not chosen.proxy_secret or hmac.compare_digest(given.encode(), self._secret)

    def _origin(self, request: Request) -> Origin | None:
        """Return where the browser believes to be; a trusted proxy says what it was asked for."""
        host, scheme = request.headers.get("Host", ""), request.url.scheme
        if self._is_from_proxy(request):
            # The last one is what the proxy itself has added.
            host = request.headers.get("X-Forwarded-Host", host).split(",")[-1].strip()
            scheme = request.headers.get("X-Forwarded-Proto", "https").split(",")[-1].strip()
        return origin_of(scheme, host)

    @cached_property
    def _secret(self) -> bytes:
        try:
            secret = Path(self._settings.proxy_secret).read_bytes().strip()
        except OSError as error:
            raise SettingsError(
                f"{self._settings.proxy_secret}: cannot be read ({error.strerror})"
            ) from None
        if len(secret) < 16:
            raise SettingsError(f"{self._settings.proxy_secret}: write 16 characters or more")
        return secret

    def _is_secure(self, request: Request) -> bool:
        return request.url.scheme == "https" or bool(
            self._settings.proxy or self._settings.proxy_secret
        )

    def _to_sign_in(self, exchange: Exchange, route: PageRoute) -> Response:
        page = "text/html" in exchange.request.headers.get("Accept", "")
        if route.method != "GET" or not page or exchange.is_part:
            raise RefusedRequest(401, "Sign in first.")
        path = exchange.request.url.path
        return RedirectResponse(f"{SIGN_IN}?then={quote(path)}", 303)

    def _require_same_site(self, request: Request) -> None:
        # A proxy may have changed the host, so what the browser says of the site comes first.
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        host = request.headers.get("Host", "")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if site not in ("same-origin", "none") if site is not None else foreign:
            raise RefusedRequest(403, "This form came from another page.")

    async def _form(self, request: Request, largest: int) -> FormData:
        """Return the form of a request of at most ``largest`` bytes."""
        length = request.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length[:12]) > largest:
            raise RefusedRequest(413, "That is too large.")
        receive, came = request._receive, 0

        async def limited() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > largest:
                raise RefusedRequest(413, "That is too large.")
            return message

        request._receive = limited
        try:
            return await request.form(
                max_fields=FIELDS, max_files=FIELDS, max_part_size=max(largest, 1)
            )
        except (ValueError, UnicodeError):
            raise RefusedRequest(400, "The form cannot be read.") from None


def refusal(exchange: Exchange, error: RefusedRequest | HTTPException | KaimenError) -> Response:
    """Return the answer to what is not carried out: one sentence, and nothing has changed."""
    if isinstance(error, RefusedRequest):
        status, sentence = error.status, exchange.told(error)
    elif isinstance(error, HTTPException):
        status = error.status_code
        usual = {404: later("There is no such page."), 405: later("That cannot be done here.")}
        sentence = exchange.text(usual.get(status, "The form cannot be read."))
    else:
        unfit = isinstance(error, RecordingError | SettingsError)
        status, sentence = 422 if unfit else 409, exchange.sentence(str(error))
    template = "refused_part.html" if exchange.is_part else "refused.html"
    return exchange.page(template, status=status, sentence=sentence)
