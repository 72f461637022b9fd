"""One request and who makes it: what an endpoint is given."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from kaimen.console.accounts import Account
from kaimen.console.console import Console
from kaimen.console.language import CHINESE, Translator, translator
from kaimen.console.navigation import NavigationEntry
from kaimen.console.origin import Origin
from kaimen.console.roles import TITLES, Role
from kaimen.console.sessions import SignIn
from kaimen.doctor import chinese
from kaimen.installation import Installation
from kaimen.local_time import local

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_FIELD = 1000  # characters
STILL_THERE = 5.0  # seconds between looks whether a watcher is still signed in

Result = TypeVar("Result")


class RefusedRequest(Exception):
    """A request that is not carried out, with the sentence for who made it, in English."""

    def __init__(self, status: int, sentence: str, **values: object) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.values = status, sentence, values


class Exchange:
    """What an endpoint knows of its request, and what it answers with."""

    def __init__(
        self,
        request: Request,
        console: Console,
        *,
        navigation: tuple[NavigationEntry, ...],
        language: str,
        cookie: str,
    ) -> None:
        self.request = request
        self.console = console
        self.language = language
        self.cookie = cookie
        self.session: SignIn | None = None
        self.person: Account | None = None  # who has signed in
        self.origin: Origin | None = None  # where the browser believes to be
        self.form = FormData()
        self.text: Translator = translator(language)
        self._navigation = navigation

    # Who it is.

    @property
    def account(self) -> Account:
        """Return who has signed in; only where the address asks for a role."""
        assert self.person is not None
        return self.person

    @property
    def address(self) -> str:
        """Return where the request comes from."""
        return self.request.client.host if self.request.client else ""

    @property
    def is_part(self) -> bool:
        """Return whether htmx asks, for a part of the page that is there."""
        return bool(self.request.headers.get("HX-Request"))

    # What they sent.

    def field(self, name: str, default: str | None = None, *, longest: int = LONGEST_FIELD) -> str:
        """Return a field of the form; RefusedRequest where it is missing, no text, or too long."""
        value = self.form.get(name, default)
        if not isinstance(value, str):
            raise RefusedRequest(422, "The field {name} is missing.", name=name)
        if len(value) > longest:
            raise RefusedRequest(422, "The field {name} is too long.", name=name)
        return value

    # What is done.

    @property
    def installation(self) -> Installation:
        """Return the gate's parts: on the worker thread only, so not in an async endpoint."""
        return self.console.installation

    async def work(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function on the worker thread; for async endpoints."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.console.worker, function, *arguments)

    async def aside(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function that does not use the installation on some other thread."""
        return await run_in_threadpool(function, *arguments)

    def told(self, refused: RefusedRequest) -> str:
        """Return the sentence of a refusal in this person's language."""
        values = {
            name: self.text(TITLES[value]) if isinstance(value, Role) else value
            for name, value in refused.values.items()
        }
        return self.text(refused.sentence, **values)

    def sentence(self, english: str) -> str:
        """Return an error, or what a gate tells of itself, in this person's language.

        One that no catalogue has stays English.
        """
        return chinese.sentence(english) if self.language == CHINESE else english

    def audit(self, did: str, **what: object) -> None:
        """Write down what this person is about to do. Raises StorageError: then do it not.

        ``did`` is a verb and its object, such as "removed a student"; ``what`` are its details,
        with no student's name: ``kaimen.audit.pseudonym`` gives what a student is called there.
        """
        self.console.audit(self.account.name, did, address=self.address, **what)

    def say(self, sentence: str, **values: object) -> None:
        """Show a sentence, in English here, on the next page that this person sees."""
        if self.session is not None:
            self.session.said.append(self.text(sentence, **values))

    def calibrate_if_quick(self) -> None:
        """Calibrate anew where that is quick; say what is wrong with the threshold then, if any."""
        arming = self.installation.arming
        why_not = arming.calibrate_if_quick()
        if why_not:
            self.say("The door is not armed: {reason}.", reason=self.sentence(why_not))
        elif arming.roster_misfit:
            self.say(
                "The threshold is that of all students: this door's roster is not as it was "
                "calibrated for. Run kaimen calibrate."
            )

    def take_said(self) -> list[str]:
        """Return what was left to be said to this person, once."""
        if self.session is None:
            return []
        said, self.session.said = self.session.said, []
        return said

    # What they are shown.

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Return a whole page, or a part of one, made from a template."""
        return HTMLResponse(self.render(template, **values), status)

    def render(self, template: str, **values: object) -> str:
        """Return a template filled in."""
        role = self.person.role if self.person else None
        shown = {
            "_": self.text,
            "local": local,
            "exchange": self,
            "language": self.language,
            "account": self.person,
            "navigation": [
                each for each in self._navigation if each.is_shown(self.console.settings, role)
            ],
            "path": self.request.url.path,
            "token": self.console.sessions.token(self.cookie),
        }
        return environment().get_template(template).render({**shown, **values})

    def see(self, path: str) -> Response:
        """Return an answer that shows another page, as after an act: its own or another."""
        if self.is_part:
            return Response(status_code=200, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)

    def stream(self, events: AsyncIterator[tuple[str, str]]) -> Response:
        """Return server-sent events: pairs of a name and what it shows, HTML or JSON.

        The stream ends when its watcher has been signed out, or leaves.
        """
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._sent(events), media_type="text/event-stream", headers=headers
        )

    async def _sent(self, events: AsyncIterator[tuple[str, str]]) -> AsyncIterator[str]:
        coming = aiter(events)
        looked = time.monotonic()
        following: asyncio.Future[tuple[str, str]] | None = None
        ending = asyncio.ensure_future(self.console.ending.wait())
        try:
            while True:
                if following is None:
                    following = asyncio.ensure_future(anext(coming))
                either: set[asyncio.Future[Any]] = {following, ending}
                first = asyncio.FIRST_COMPLETED
                await asyncio.wait(either, timeout=STILL_THERE, return_when=first)
                if ending.done():
                    return
                if time.monotonic() - looked > STILL_THERE:
                    looked = time.monotonic()
                    if not self.console.is_welcome(self.cookie):
                        return
                if not following.done():
                    yield ": nothing new\n\n"
                    continue
                try:
                    name, content = following.result()
                except StopAsyncIteration:
                    return
                following = None
                lines = "".join(f"data: {line}\n" for line in content.splitlines() or [""])
                yield f"event: {name}\n{lines}\n"
        finally:
            ending.cancel()
            if following is not None:
                following.cancel()


@cache
def environment() -> Environment:
    """Return where templates come from; a value that is missing is an error, not a blank."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_json(value: Any) -> str:
    """Return a value as JSON that may stand in a page."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
