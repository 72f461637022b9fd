"""A console of a school in a folder of its own, and people who have signed in to it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from kaimen.console.app import application
from kaimen.console.console import Console
from kaimen.console.roles import Role
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import ConsoleSettings, FleetSettings, GallerySettings, Settings

PICTURES = Path(__file__).parents[2] / "docs" / "use" / "console"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PASSWORD = "vier gruene Kannen"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@dataclass
class Desk:
    """A console and its clients."""

    app: Starlette
    client: TestClient  # of nobody who has signed in

    @property
    def console(self) -> Console:
        console: Console = self.app.state.console
        return console

    def signed_in(self, role: Role) -> TestClient:
        """Return a client of somebody with a role, without its password's second."""
        name = f"{role} of the test"
        account = self.console.accounts.get(name) or self.console.accounts.put(name, role, "")
        client = TestClient(self.app, base_url="http://localhost", follow_redirects=False)
        client.cookies.set("kaimen", self.console.sessions.begin(account))
        return client


def token_of(client: TestClient, path: str = "/sign-in") -> str:
    """Return the token of a page's forms."""
    found = re.search(r'"X-Kaimen-Token": "(\w+)"', client.get(path).text)
    assert found
    return found[1]


def post(client: TestClient, path: str, data: dict[str, str] | None = None, **more: Any) -> Any:
    """Post a form as a page of the console would."""
    return client.post(path, data={"token": token_of(client), **(data or {})}, **more)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a school in a folder."""
    gallery = GallerySettings(str(tmp_path / "gallery.sqlite"), str(tmp_path / "key"))
    return Settings(
        gallery=gallery,
        console=ConsoleSettings(feed=str(tmp_path / "feed")),
        fleet=FleetSettings(str(tmp_path / "fleet")),
    )


Made = Callable[[Settings], Desk]


@pytest.fixture
def desk_of() -> Iterator[Made]:
    """Makes desks by settings."""
    with contextlib.ExitStack() as stack:

        def make(settings: Settings) -> Desk:
            app = application(Installation.open(settings, Screen(as_json=True)))
            client = TestClient(app, base_url="http://localhost", follow_redirects=False)
            stack.enter_context(client)
            return Desk(app, client)

        yield make


@pytest.fixture
def desk(desk_of: Made, settings: Settings) -> Desk:
    """A desk of its own school, with nobody enrolled."""
    return desk_of(settings)


@pytest.fixture
def guard(desk: Desk) -> TestClient:
    """Somebody who may see, and open."""
    return desk.signed_in(Role.GUARD)


@pytest.fixture
def registrar(desk: Desk) -> TestClient:
    """Somebody who may enroll."""
    return desk.signed_in(Role.REGISTRAR)


@pytest.fixture
def admin(desk: Desk) -> TestClient:
    """Somebody who may do everything."""
    return desk.signed_in(Role.ADMIN)


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[tuple[str, Console]]:
    """Serve a console at a free port; yield its address and the console."""
    settings = replace(settings, console=replace(settings.console, port=0))
    app = application(Installation.open(settings, Screen(as_json=True)))
    config = uvicorn.Config(
        app, port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", app.state.console
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright.

    Of one test alone: Playwright runs a loop in this thread, where other tests want one, too.
    """
    if BROWSER is None:
        pytest.skip("needs a browser: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            timeout=120_000,
        )
        yield opened
        opened.close()


@dataclass
class Seen:
    """A browser's page at a served console, and the console behind it."""

    page: Any
    address: str
    console: Console

    def sign_in(self, role: Role = Role.ADMIN) -> None:
        """Let somebody with a role have signed in."""
        name = str(role)
        account = self.console.accounts.put(name, role, "")
        number = self.console.sessions.begin(account)
        self.page.context.add_cookies(
            [{"name": "kaimen", "value": number, "url": self.address, "httpOnly": True}]
        )

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def speak(self, language: str) -> None:
        """Choose a language: en or zh."""
        self.page.context.add_cookies(
            [{"name": "kaimen-language", "value": language, "url": self.address}]
        )

    def picture(self, name: str) -> None:
        """Take a picture of the whole page, into docs/ if KAIMEN_PICTURES is set."""
        path = PICTURES / f"{name}.png" if os.environ.get("KAIMEN_PICTURES") else None
        assert self.page.screenshot(path=path, full_page=True)

    def complaints(self) -> list[str]:
        """Return what axe-core finds serious on the page, and where."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes']]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def seen(browser: Any, settings: Settings) -> Iterator[Seen]:
    """A phone's page at a served console; what its scripts complain of fails the test."""
    with served(settings) as (address, console):
        context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
        context.set_default_timeout(60_000)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        try:
            yield Seen(page, address, console)
        finally:
            context.close()
        assert wrong == []
