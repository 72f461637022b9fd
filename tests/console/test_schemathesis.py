"""Requests that Schemathesis makes of the console's description, fitting ones and others.

Whoever asks and whatever they send, nothing fails; who may not do it changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as kept
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import ASGIClient
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from kaimen.console import examination, pages
from kaimen.console.examination import Examined
from kaimen.console.page import PageRoute
from kaimen.console.pages import PAGES
from kaimen.console.roles import Role
from kaimen.settings import Settings
from tests.console.conftest import Desk, Made, token_of
from tests.console.described import description, forms, shape
from tests.console.test_every_route import state_of
from tests.console.test_students import enrolled

ROUTES = {f"{route.method} {route.path}": route for page in PAGES for route in page.routes}
SCHEMA = schemathesis.openapi.from_dict(description())
OPERATIONS = {
    each.ok().definition.raw["operationId"]: each.ok() for each in SCHEMA.get_all_operations()
}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
EVERYBODY = [None, *Role]
EMPTY = hashlib.sha256(b"").hexdigest()
# Seconds in which a stream has told something on any machine; of the map there is nothing to tell.
STREAMS = {"/live/feed": 60.0, "/enrolling/feed": 60.0, "/map/feed": 2.0}
generated = kept(
    suppress_health_check=[*HealthCheck], phases=[Phase.generate, Phase.shrink], derandomize=True
)


def cases(operation: str) -> st.SearchStrategy[schemathesis.Case]:
    """Return requests of one operation, half of which fit its description."""
    return st.one_of(*(OPERATIONS[operation].as_strategy(mode) for mode in MODES))


def contents(files: dict[str, str]) -> dict[str, str]:
    """Return the hashes of files but those that a database makes for who reads it."""
    return {
        path: hashed
        for path, hashed in files.items()
        if not path.endswith("-shm") and hashed != EMPTY
    }


@dataclass
class Caller:
    """Somebody who asks a desk as they may, or with what they have forged."""

    desk: Desk
    role: Role | None
    forges: bool = False

    def __post_init__(self) -> None:
        self.client = ASGIClient(self.desk.app, "http://localhost", max_stream_events=1)
        if self.role is None:
            signed = self.desk.client
            if self.forges:
                self.client.cookies.set("kaimen", "A" * 43)
        else:
            signed = self.desk.signed_in(self.role)
            self.client.cookies.set("kaimen", signed.cookies["kaimen"])
        token = token_of(signed)
        if self.role is None and not self.forges:
            self.client.cookies.set("kaimen", signed.cookies["kaimen"])
        self.headers = {"X-Kaimen-Token": "f" * len(token) if self.forges else token}

    def may(self, route: PageRoute) -> bool:
        """Return whether they may go this way."""
        if self.forges and route.method != "GET":
            return False
        return route.role is None or (self.role is not None and self.role >= route.role)

    def ask(self, case: schemathesis.Case) -> None:
        """Ask; require an answer that is described, and no change by who may not, or only looks."""
        route = ROUTES[case.operation.definition.raw["operationId"]]
        changes = self.may(route) and route.method != "GET"
        before = {} if changes else state_of(self.desk)
        answer = case.call_and_validate(
            base_url="http://localhost",
            session=self.client,
            headers=self.headers,
            checks=CHECKS,
            allow_redirects=False,
            timeout=STREAMS.get(route.path),
        )
        for location in answer.headers.get("location", ()):
            assert location.startswith("/") and not location.startswith("//")
        if not self.may(route):
            assert 400 <= answer.status_code < 500, answer.status_code
        if not changes:
            assert contents(state_of(self.desk)) == contents(before)

    def ask_for(self, requests: st.SearchStrategy[schemathesis.Case], times: int) -> None:
        """Ask so many times, the same in every run."""

        @kept(generated, max_examples=times)
        @given(requests)
        def ask(case: schemathesis.Case) -> None:
            self.ask(case)

        ask()


@pytest.fixture
def desk(settings: Settings, desk_of: Made, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk of a school of three, without a microphone, whose doctor has just looked."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr(examination, "FRESH", float("inf"))
    enrolled(settings, "anning", "bowen", "陈晨")
    desk = desk_of(settings)
    desk.console.examination.last = Examined([], time.time())
    yield desk
    session = desk.console.enrolling.session
    if session is not None:
        session.join()


def test_every_act_is_described_with_all_that_its_code_asks_for() -> None:
    described = forms()
    acts = {shape(route) for route in ROUTES.values() if route.method != "GET"}
    assert acts == described.keys()
    known = {name for fields in described.values() for name in fields}
    room = Path(pages.__file__).parents[1]
    asked = {
        name
        for path in room.rglob("*.py")
        for name in re.findall(
            r'(?:exchange\.field|form\.getlist)\("(\w+)"', path.read_text(encoding="utf-8")
        )
    }
    assert asked - known == set()


@pytest.mark.parametrize("role", EVERYBODY, ids=str)
def test_whatever_they_send_nothing_fails_and_who_may_not_changes_nothing(
    role: Role | None, desk: Desk
) -> None:
    Caller(desk, role).ask_for(st.sampled_from(sorted(OPERATIONS)).flatmap(cases), times=40)


def test_who_forges_a_session_and_a_token_changes_nothing(desk: Desk) -> None:
    caller = Caller(desk, None, forges=True)
    caller.ask_for(st.sampled_from(sorted(OPERATIONS)).flatmap(cases), times=40)


@pytest.mark.slow
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_each_operation_stands_many_requests_of_everybody(operation: str, desk: Desk) -> None:
    for role in EVERYBODY:
        for forges in (False, True):
            Caller(desk, role, forges).ask_for(cases(operation), times=20)
