"""A passkey signs in whose it is, where it was made, once for each challenge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as kept
from hypothesis import strategies as st
from starlette.testclient import TestClient

from kaimen.audit import latest
from kaimen.console.attempts import FREE
from kaimen.console.challenges import LIVES, MOST, PasskeyChallenges
from kaimen.console.origin import Origin, origin_of
from kaimen.console.roles import Role
from kaimen.settings import Settings
from tests.console.authenticator import PRESENT, Authenticator
from tests.console.conftest import BROWSER, PASSWORD, Desk, Made, Seen, post

LOCAL = Origin("http", "localhost", 80)


def client_of(desk: Desk, base: str = "http://localhost") -> TestClient:
    return TestClient(desk.app, base_url=base, follow_redirects=False)


def with_password(desk: Desk, client: TestClient, name: str = "chen") -> TestClient:
    """Sign an account in by its password, which is made first."""
    if desk.console.accounts.get(name) is None:
        desk.console.accounts.put(name, Role.REGISTRAR, PASSWORD)
    assert post(client, "/sign-in", {"name": name, "password": PASSWORD}).status_code == 303
    return client


def asked_for_new(client: TestClient, **fields: str) -> Any:
    data = {"label": "phone", "password": PASSWORD, **fields}
    return post(client, "/account/passkeys/challenge", data)


def add(client: TestClient, passkey: Authenticator) -> Any:
    asked = asked_for_new(client)
    assert asked.status_code == 200, asked.text
    return post(client, "/account/passkeys", {"answer": passkey.make(asked.json())})


def sign_in(client: TestClient, passkey: Authenticator, **fields: str) -> Any:
    asked = post(client, "/sign-in/passkey/challenge")
    assert asked.status_code == 200, asked.text
    data = {"answer": passkey.sign(asked.json()), **fields}
    return post(client, "/sign-in/passkey", data)


def acts(desk: Desk) -> list[str]:
    installation = desk.console.installation
    found = latest(installation.acts_folder, installation.acts_key)
    return [f"{each['who']} {each['did']}" for each in found]


@pytest.fixture
def passkey(desk: Desk) -> Authenticator:
    """A passkey of the account chen."""
    made = Authenticator("http://localhost", "localhost")
    answer = add(with_password(desk, client_of(desk)), made)
    assert (answer.status_code, answer.json()) == (200, {"see": "/account"})
    return made


def test_a_passkey_signs_in_its_account_with_its_role(desk: Desk, passkey: Authenticator) -> None:
    client = client_of(desk)
    answer = sign_in(client, passkey, then="/students")
    assert answer.json() == {"see": "/students"}
    assert client.get("/students").status_code == 200
    assert client.get("/acts").status_code == 403
    assert acts(desk)[:3] == [
        "chen signed in by a passkey", "chen added a passkey", "chen signed in",
    ]  # fmt: skip


def test_the_account_page_lists_and_removes_them_and_signs_out_who_came_by_it(
    desk: Desk, passkey: Authenticator
) -> None:
    by_passkey, by_password = client_of(desk), with_password(desk, client_of(desk))
    sign_in(by_passkey, passkey)
    page = by_password.get("/account").text
    assert "phone" in page and "localhost" in page
    number = desk.console.accounts.required("chen").passkeys[0].number
    assert post(by_password, "/account/passkeys/remove", {"number": number}).status_code == 303
    assert "phone is removed" in by_password.get("/account").text
    assert by_passkey.get("/live").status_code == 401
    assert sign_in(client_of(desk), passkey).status_code == 403
    assert post(by_password, "/account/passkeys/remove", {"number": number}).status_code == 409
    assert acts(desk)[0] == "chen removed a passkey"


def test_nobody_removes_the_passkey_of_somebody_else(desk: Desk, passkey: Authenticator) -> None:
    other = with_password(desk, client_of(desk), "wang")
    number = desk.console.accounts.required("chen").passkeys[0].number
    assert post(other, "/account/passkeys/remove", {"number": number}).status_code == 409
    assert len(desk.console.accounts.required("chen").passkeys) == 1


def test_an_account_that_is_given_anew_has_no_passkeys(desk: Desk, passkey: Authenticator) -> None:
    desk.console.accounts.put("chen", Role.GUARD, PASSWORD)
    assert sign_in(client_of(desk), passkey).status_code == 403


def test_a_new_passkey_needs_the_password_once_more(desk: Desk) -> None:
    client = with_password(desk, client_of(desk))
    assert asked_for_new(client, password="wrong").status_code == 403
    made = Authenticator("http://localhost", "localhost")
    answer = made.make({"user": {"id": "x"}, "challenge": "AAAA"})
    assert post(client, "/account/passkeys", {"answer": answer}).status_code == 403
    assert desk.console.accounts.required("chen").passkeys == ()
    assert acts(desk)[0] == "chen gave a wrong password"


@pytest.mark.parametrize("label", ["", " ", "x" * 41, "a\x1b[2J"])
def test_a_passkey_is_called_something_short(label: str, desk: Desk) -> None:
    assert asked_for_new(with_password(desk, client_of(desk)), label=label).status_code == 422


def test_the_same_passkey_is_added_once_and_to_one_account(
    desk: Desk, passkey: Authenticator
) -> None:
    for name in ("chen", "wang"):
        assert add(with_password(desk, client_of(desk), name), passkey).status_code == 422
    assert [len(each.passkeys) for each in desk.console.accounts.all().values()] == [1, 0]


class TestForged:
    @pytest.fixture
    def refused(self, desk: Desk, passkey: Authenticator) -> Iterator[Callable[..., None]]:
        """Require that nobody is signed in by a passkey with something changed."""

        def check(**changed: Any) -> None:
            client = client_of(desk)
            assert sign_in(client, replace(passkey, **changed)).status_code == 403
            assert client.get("/live").status_code == 401
            assert acts(desk)[0].startswith("chen gave a wrong passkey")

        yield check

    def test_of_another_place(self, refused: Callable[..., None]) -> None:
        refused(origin="https://evil.example")
        refused(origin="http://localhost:81")
        refused(host="evil.example")

    def test_by_another_key_or_for_another_account(
        self, refused: Callable[..., None], passkey: Authenticator
    ) -> None:
        refused(key=Authenticator("", "").key)
        refused(owner="AAAA")

    def test_without_its_user(self, refused: Callable[..., None]) -> None:
        refused(flags=PRESENT)
        refused(flags=0)

    def test_a_passkey_that_nobody_has(self, desk: Desk, passkey: Authenticator) -> None:
        answer = sign_in(client_of(desk), Authenticator("http://localhost", "localhost"))
        assert answer.status_code == 403

    def test_an_answer_counts_once(self, desk: Desk, passkey: Authenticator) -> None:
        client = client_of(desk)
        answer = passkey.sign(post(client, "/sign-in/passkey/challenge").json())
        assert post(client, "/sign-in/passkey", {"answer": answer}).status_code == 200
        post(client, "/sign-out")
        assert post(client, "/sign-in/passkey", {"answer": answer}).status_code == 403

    def test_a_wrong_answer_uses_the_challenge_up(self, desk: Desk, passkey: Authenticator) -> None:
        client = client_of(desk)
        answer = passkey.sign(post(client, "/sign-in/passkey/challenge").json())
        assert post(client, "/sign-in/passkey", {"answer": "{}"}).status_code == 403
        assert post(client, "/sign-in/passkey", {"answer": answer}).status_code == 403

    def test_an_answer_of_another_browser(self, desk: Desk, passkey: Authenticator) -> None:
        first, second = client_of(desk), client_of(desk)
        answer = passkey.sign(post(first, "/sign-in/passkey/challenge").json())
        post(second, "/sign-in/passkey/challenge")
        assert post(second, "/sign-in/passkey", {"answer": answer}).status_code == 403

    def test_a_challenge_to_add_one_signs_nobody_in(
        self, desk: Desk, passkey: Authenticator
    ) -> None:
        client = with_password(desk, client_of(desk))
        answer = passkey.sign(asked_for_new(client).json())
        assert post(client, "/sign-in/passkey", {"answer": answer}).status_code == 403

    @pytest.mark.parametrize("changed", [{"origin": "https://evil.example"}, {"host": "evil"}])
    def test_a_new_one_of_another_place(self, changed: dict[str, str], desk: Desk) -> None:
        made = replace(Authenticator("http://localhost", "localhost"), **changed)
        assert add(with_password(desk, client_of(desk)), made).status_code == 403
        assert desk.console.accounts.required("chen").passkeys == ()


def test_a_counter_that_does_not_go_on_tells_of_a_copy(desk: Desk, passkey: Authenticator) -> None:
    passkey.counter = 7
    assert sign_in(client_of(desk), passkey).status_code == 200
    for counter in (7, 3, 0):
        passkey.counter = counter
        answer = sign_in(client_of(desk), passkey)
        assert answer.status_code == 403 and "copied" in answer.text
        assert acts(desk)[0].endswith("it may be a copy")
    passkey.counter = 8
    assert sign_in(client_of(desk), passkey).status_code == 200


def test_wrong_passkeys_have_to_wait_as_wrong_passwords_do(
    desk: Desk, passkey: Authenticator
) -> None:
    forged = replace(passkey, key=Authenticator("", "").key)
    for _ in range(FREE["pair"]):
        assert sign_in(client_of(desk), forged).status_code == 403
    assert sign_in(client_of(desk), passkey).status_code == 429
    answer = post(client_of(desk), "/sign-in", {"name": "chen", "password": PASSWORD})
    assert answer.status_code == 429
    unknown = [Authenticator("http://localhost", "localhost") for _ in range(FREE["address"])]
    assert [sign_in(client_of(desk), each).status_code for each in unknown][-1] == 429


@kept(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON", "signature"])
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
def test_whatever_is_answered_is_refused(desk: Desk, answer: Any) -> None:
    if not isinstance(answer, dict):
        answer = {"id": "x", "response": answer}
    client = client_of(desk)
    post(client, "/sign-in/passkey/challenge")
    given = {"answer": json.dumps(answer)}
    assert post(client, "/sign-in/passkey", given).status_code in (403, 429)


@kept(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 127))
def test_an_answer_of_which_a_letter_is_changed_makes_nothing_fail(
    desk: Desk, place: int, byte: int
) -> None:
    made = Authenticator("http://localhost", "localhost")
    client = client_of(desk)
    with_password(desk, client)
    new = made.make(asked_for_new(client).json())
    place %= len(new)
    changed = new[:place] + chr(byte) + new[place + 1 :]
    status = post(client, "/account/passkeys", {"answer": changed}).status_code
    # Where nothing depends on the letter, it is one more passkey.
    assert status in (200, 403, 422)
    for each in desk.console.accounts.required("chen").passkeys:
        desk.console.accounts.remove_passkey("chen", each.number)


class TestProxy:
    HEADERS = {  # noqa: RUF012
        "X-Kaimen-Proxy": "sixteen or more letters",
        "X-Forwarded-Host": "gate.school.example",
        "X-Forwarded-Proto": "https",
    }

    @pytest.fixture
    def proxied(self, settings: Settings, desk_of: Made, tmp_path: Path) -> Desk:
        secret = tmp_path / "secret"
        secret.write_text("sixteen or more letters\n")
        return desk_of(
            replace(settings, console=replace(settings.console, proxy_secret=str(secret)))
        )

    def test_passkeys_are_for_the_name_that_the_proxy_was_asked_for(self, proxied: Desk) -> None:
        made = Authenticator("https://gate.school.example", "gate.school.example")
        client = client_of(proxied, "https://10.0.0.9")
        client.headers.update(self.HEADERS)
        with_password(proxied, client)
        assert add(client, made).status_code == 200
        again = client_of(proxied, "https://10.0.0.9")
        again.headers.update(self.HEADERS)
        assert sign_in(again, made).status_code == 200

    def test_nobody_else_says_which_name_it_is(self, proxied: Desk) -> None:
        client = client_of(proxied, "https://10.0.0.9")
        client.headers.update(
            {each: it for each, it in self.HEADERS.items() if each != "X-Kaimen-Proxy"}
        )
        assert post(client, "/sign-in/passkey/challenge").status_code == 422


@pytest.mark.parametrize("base", ["http://127.0.0.1", "https://192.168.1.20", "http://gate.lan"])
def test_where_browsers_know_no_passkeys_none_is_offered(
    base: str, settings: Settings, desk_of: Made
) -> None:
    chosen = replace(settings.console, host="10.0.0.9", certificate="a", certificate_key="b")
    desk = desk_of(replace(settings, console=chosen))
    client = client_of(desk, base)
    assert "passkeys.js" not in client.get("/sign-in").text
    assert post(client, "/sign-in/passkey/challenge").status_code == 422
    assert "not at a number" in with_password(desk, client).get("/account").text
    assert asked_for_new(client).status_code == 422


@pytest.mark.parametrize(
    ("scheme", "host", "written", "has"),
    [
        ("https", "gate.school.example", "https://gate.school.example", True),
        ("https", "Gate.School.example:8443", "https://gate.school.example:8443", True),
        ("http", "localhost:8443", "http://localhost:8443", True),
        ("http", "gate", "http://gate", False),
        ("https", "[::1]:8443", "https://[::1]:8443", False),
        ("https", "10.0.0.1", "https://10.0.0.1", False),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(
    scheme: str, host: str, written: str, has: bool
) -> None:
    found = origin_of(scheme, host)
    assert found is not None and (str(found), found.has_passkeys) == (written, has)


@pytest.mark.parametrize("host", ["", "a/b", "a@b", "a:x", "a:99999", "é.example", "a b", "[::1"])
def test_what_is_no_host_has_no_origin(host: str) -> None:
    assert origin_of("https", host) is None


def test_a_challenge_is_given_once_to_one_browser_for_a_while() -> None:
    now = 0.0
    challenges = PasskeyChallenges(clock=lambda: now)
    first = challenges.give("a", LOCAL)
    assert challenges.take("b", LOCAL) is None
    assert challenges.take("a", LOCAL) == first and challenges.take("a", LOCAL) is None
    challenges.give("a", LOCAL)
    assert challenges.take("a", replace(LOCAL, port=81)) is None
    challenges.give("a", LOCAL, name="chen")
    assert challenges.take("a", LOCAL) is None
    challenges.give("a", LOCAL)
    now = LIVES + 1
    assert challenges.take("a", LOCAL) is None
    for number in range(MOST + 1):
        challenges.give(str(number), LOCAL)
    assert challenges.take("0", LOCAL) is None and challenges.take("1", LOCAL) is not None


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_browser_makes_a_passkey_and_signs_in_by_it(seen: Seen, language: str) -> None:
    page, words = seen.page, WORDS[language]
    seen.console.accounts.put("chen", Role.ADMIN, PASSWORD)
    seen.speak(language)
    seen.address = seen.address.replace("127.0.0.1", "localhost")
    seen.speak(language)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    seen.go("/sign-in?then=/account")
    page.locator("#name").fill("chen")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name=words["sign in"], exact=True).click()
    page.locator("#label").fill("Telefon")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name=words["add"]).click()
    page.locator(".rows strong", has_text="Telefon").wait_for()
    seen.picture(f"account-phone-{language}")
    assert seen.complaints() == []
    page.get_by_role("button", name=words["sign out"]).click()
    page.get_by_role("button", name=words["by passkey"]).click()
    page.wait_for_url("**/live")
    assert page.locator(".account").inner_text() == "chen"
    (made,) = devices.send(
        "WebAuthn.getCredentials", {"authenticatorId": device["authenticatorId"]}
    )["credentials"]
    assert (made["rpId"], made["signCount"] > 0) == ("localhost", True)
    # Its user says no.
    page.get_by_role("button", name=words["sign out"]).click()
    verified = {"authenticatorId": device["authenticatorId"], "isUserVerified": False}
    devices.send("WebAuthn.setUserVerified", verified)
    page.get_by_role("button", name=words["by passkey"]).click()
    page.locator("#sign-in-by-passkey [role=alert]").wait_for()
    assert words["said no"] in page.locator("#sign-in-by-passkey [role=alert]").inner_text()


WORDS = {
    "en": {
        "sign in": "Sign in", "sign out": "Sign out", "add": "Add a passkey",
        "by passkey": "Sign in with a passkey", "said no": "No passkey was given",
    },
    "zh": {
        "sign in": "登录", "sign out": "退出登录", "add": "添加通行密钥",
        "by passkey": "使用通行密钥登录", "said no": "没有提供通行密钥",
    },
}  # fmt: skip
