"""Every route of the application, whoever asks and whatever they send: no failure, no change.

The routes are read from the application itself, so that a new page is tested by being there.
"""

from __future__ import annotations

import gc
import hashlib
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as kept
from hypothesis import strategies as st
from starlette.testclient import TestClient

from kaimen.console.page import PageRoute
from kaimen.console.pages import PAGES
from kaimen.console.roles import Role
from tests.console.conftest import Desk, token_of

ROUTES = [route for page in PAGES for route in page.routes]
GUARDED = [route for route in ROUTES if route.role is not None]
ACTS = [route for route in ROUTES if route.method != "GET"]
NUMBER, TEXT = "1", "x"
HOSTILE = ["", "../../etc/passwd", "x" * 5000, "\x00", "<script>", "'; drop", "-1", "١", "é\u0301"]


def address(route: PageRoute, value: str | None = None) -> str:
    """Return an address of a route, with something in each of its places."""

    def filled(found: re.Match[str]) -> str:
        number = found[1] in (":int", ":float")
        return value if value is not None else NUMBER if number else TEXT

    return re.sub(r"\{\w+(:\w+)?\}", filled, route.path)


def named(route: PageRoute) -> str:
    return f"{route.method} {route.path}"


def state_of(desk: Desk) -> dict[str, str]:
    """Return the hash of every file of the school, but of what counts attempts to sign in."""
    folder = Path(desk.console.settings.gallery.file).parent
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".attempts"
    }


def send(client: TestClient, route: PageRoute, **how: Any) -> int:
    """Ask, without reading a stream to its end; return the status."""
    with client.stream(route.method, how.pop("to", address(route)), **how) as answer:
        return int(answer.status_code)


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_without_signing_in_nothing_is_shown_and_nothing_is_done(
    route: PageRoute, desk: Desk
) -> None:
    token = token_of(desk.client)
    before = state_of(desk)
    data = {"token": token} if route.method != "GET" else None
    assert send(desk.client, route, data=data) == 401
    assert state_of(desk) == before


@pytest.mark.parametrize(
    ("route", "role"),
    [(route, role) for route in GUARDED for role in Role if role < (route.role or 0)],
    ids=lambda each: named(each) if isinstance(each, PageRoute) else str(each),
)
def test_a_lower_role_is_refused(route: PageRoute, role: Role, desk: Desk) -> None:
    client = desk.signed_in(role)
    token = token_of(client)
    before = state_of(desk)
    assert send(client, route, data={"token": token} if route.method != "GET" else None) == 403
    assert state_of(desk) == before


@pytest.mark.parametrize("route", ACTS, ids=named)
class TestActs:
    def test_a_missing_forged_or_foreign_token_changes_nothing(
        self, route: PageRoute, desk: Desk
    ) -> None:
        client = desk.signed_in(Role.ADMIN)
        tokens = [None, "", "0" * 64, token_of(desk.client), "é", "a\x00b"]
        before = state_of(desk)
        for token in tokens:
            data = {} if token is None else {"token": token}
            assert send(client, route, data=data) == 403, token
        assert send(client, route, headers={"X-Kaimen-Token": "0" * 64}) == 403
        assert state_of(desk) == before

    def test_a_form_of_another_page_changes_nothing(self, route: PageRoute, desk: Desk) -> None:
        client = desk.signed_in(Role.ADMIN)
        data = {"token": token_of(client)}
        before = state_of(desk)
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert send(client, route, data=data, headers=headers) == 403
        assert state_of(desk) == before

    def test_what_is_too_large_is_refused_whether_it_says_so_or_not(
        self, route: PageRoute, desk: Desk
    ) -> None:
        client = desk.signed_in(Role.ADMIN)
        headers = {
            "X-Kaimen-Token": token_of(client),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        before = state_of(desk)
        said = {**headers, "Content-Length": str(route.largest + 1)}
        assert send(client, route, content=b"a=1", headers=said) == 413
        chunk = b"a" * 65_536
        chunks = (chunk for _ in range(route.largest // len(chunk) + 2))
        assert send(client, route, content=chunks, headers=headers) == 413
        assert state_of(desk) == before

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1"),
            ("application/x-www-form-urlencoded", b"a=%ff&%fe=1&&&==" + b"&b=1" * 500),
            ("application/json", b'{"a": 1'),
            ("text/plain", b"\xff\x00"),
        ],
    )
    def test_what_is_no_form_is_refused(
        self, kind: str, content: bytes, route: PageRoute, desk: Desk
    ) -> None:
        client = desk.signed_in(Role.ADMIN)
        before = state_of(desk)
        assert 400 <= send(client, route, content=content, headers={"Content-Type": kind}) < 500
        assert state_of(desk) == before


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [({"X-Kaimen-Token": "0" * 64}, 10, 403), ({}, 33 << 20, 413)],
    ids=["forged", "too large"],
)
def test_a_refused_upload_leaves_no_file_open(
    headers: dict[str, str], size: int, status: int, desk: Desk
) -> None:
    client = desk.signed_in(Role.REGISTRAR)
    boundary = b"--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\n"
    chunks = (each for each in (boundary, *[b"a" * 65_536] * (size // 65_536), b"\r\n--x--\r\n"))
    sent = {"Content-Type": "multipart/form-data; boundary=x", "X-Kaimen-Token": token_of(client)}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answer = client.post("/enrolling/upload", content=chunks, headers=sent | headers)
        gc.collect()
    assert answer.status_code == status
    assert [str(each.message) for each in warned if each.category is ResourceWarning] == []


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_other_methods_are_refused(route: PageRoute, desk: Desk) -> None:
    client = desk.signed_in(Role.ADMIN)
    both = {each.method for each in ROUTES if each.path == route.path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - both:
        assert client.request(method, address(route)).status_code == 405, method


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=named)
@pytest.mark.parametrize("value", [each for each in HOSTILE if each.isprintable()])
def test_hostile_places_in_an_address_are_refused(route: PageRoute, value: str, desk: Desk) -> None:
    client = desk.signed_in(Role.ADMIN)
    data = {"token": token_of(client)} if route.method != "GET" else None
    status = send(client, route, to=address(route, value), data=data)
    assert status in (303, 307, 200, 400, 404, 405, 409, 422)


@pytest.mark.slow
@kept(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    route=st.sampled_from(ROUTES),
    role=st.sampled_from([None, *Role]),
    fields=st.dictionaries(
        st.text(max_size=10) | st.sampled_from(["name", "password", "then", "student", "group"]),
        st.text(max_size=50) | st.sampled_from(HOSTILE),
        max_size=5,
    ),
    with_token=st.booleans(),
    query=st.text(max_size=30) | st.sampled_from(["then=//evil.example", "then=%0d%0aX:1"]),
    language=st.text("az-;q=0.19,*", max_size=20),
)
def test_nothing_that_is_sent_makes_it_fail(
    route: PageRoute,
    role: Role | None,
    fields: dict[str, str],
    with_token: bool,
    query: str,
    language: str,
    desk: Desk,
) -> None:
    client = desk.client if role is None else desk.signed_in(role)
    if route.path.endswith("/feed"):
        return  # a stream has no end; its refusals are tested above
    data = None
    if route.method != "GET":
        own = {"token": token_of(client)} if with_token else {}
        data = {**{each: it.encode("utf-8", "replace") for each, it in fields.items()}, **own}
    answer = client.request(
        route.method,
        address(route),
        params={"then": query},
        data=data,
        headers={"Accept-Language": language},
    )
    assert answer.status_code < 500
    location = answer.headers.get("Location", "/")
    assert location.startswith("/") and not location.startswith("//")
