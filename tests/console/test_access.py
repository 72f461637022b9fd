"""Nobody comes in who may not: accounts, attempts, proxies, TLS."""

from __future__ import annotations

import datetime
import http.client
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from kaimen.cli.main import main
from kaimen.console.accounts import Account, Accounts
from kaimen.console.attempts import FREE, LONGEST, Attempts
from kaimen.console.roles import Role
from kaimen.console.sessions import MOST, Sessions
from kaimen.errors import GalleryError, SettingsError
from kaimen.registry.vault import Vault
from kaimen.settings import ConsoleSettings, Settings
from tests.console.conftest import PASSWORD, Desk, Made, post
from tests.damage import flip

CHEN = Account("chen", Role.GUARD)


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "accounts", Vault(b"k" * 32))


def test_an_account_is_kept_without_its_password_and_without_its_name(
    accounts: Accounts, tmp_path: Path
) -> None:
    accounts.put("chen", Role.REGISTRAR, PASSWORD)
    kept = (tmp_path / "accounts").read_bytes()
    assert b"chen" not in kept and PASSWORD.encode() not in kept
    assert (tmp_path / "accounts").stat().st_mode & 0o777 == 0o600
    found = accounts.signed_in("chen", PASSWORD)
    assert found is not None and found.role is Role.REGISTRAR


def test_accounts_that_were_changed_sign_nobody_in(accounts: Accounts, tmp_path: Path) -> None:
    accounts.put("chen", Role.GUARD, PASSWORD)
    path = tmp_path / "accounts"
    flip(path, -1)
    with pytest.raises(GalleryError, match="the accounts were changed"):
        accounts.signed_in("chen", PASSWORD)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "chen is my name", "x" * 201])
def test_a_password_that_is_soon_guessed_is_refused(password: str, accounts: Accounts) -> None:
    with pytest.raises(SettingsError, match="password"):
        accounts.put("Chen", Role.GUARD, password)
    assert accounts.all() == {}


def test_an_account_without_a_password_is_signed_in_by_no_password(accounts: Accounts) -> None:
    accounts.put("chen", Role.GUARD, "")
    assert accounts.signed_in("chen", "") is None


class TestAttempts:
    def test_some_are_free_then_each_waits_longer_and_a_restart_forgets_nothing(
        self, tmp_path: Path
    ) -> None:
        now = 1000.0

        def clock() -> float:
            return now

        waits = []
        for _ in range(FREE["pair"] + 4):
            attempts = Attempts(tmp_path / "a", b"key", clock=clock)
            wait = attempts.begin("chen", "10.0.0.1")
            waits.append(wait)
            now += wait
            if wait:
                assert attempts.begin("chen", "10.0.0.1") == 0
        assert waits[: FREE["pair"]] == [0] * FREE["pair"]
        assert waits[FREE["pair"] :] == [30, 60, 120, 240]

    def test_a_right_password_forgets_the_wrong_ones(self, tmp_path: Path) -> None:
        attempts = Attempts(tmp_path / "a", b"key")
        for _ in range(FREE["pair"]):
            attempts.begin("chen", "10.0.0.1")
        attempts.right("chen", "10.0.0.1")
        assert attempts.begin("chen", "10.0.0.1") == 0

    def test_one_account_is_counted_from_all_addresses_and_one_address_for_all_accounts(
        self, tmp_path: Path
    ) -> None:
        attempts = Attempts(tmp_path / "a", b"key")
        for number in range(FREE["name"]):
            attempts.begin("chen", f"10.0.{number}.1")
        assert attempts.begin("chen", "10.1.0.1") > 0
        for number in range(FREE["address"]):
            attempts.begin(f"li{number}", "10.2.0.1")
        assert attempts.begin("wang", "10.2.0.1") > 0

    def test_who_is_locked_out_from_one_address_locks_nobody_out_from_another(
        self, tmp_path: Path
    ) -> None:
        attempts = Attempts(tmp_path / "a", b"key")
        for _ in range(FREE["pair"] + 1):
            attempts.begin("chen", "10.0.0.1")
        assert attempts.begin("chen", "10.0.0.1") > 0
        assert attempts.begin("chen", "10.0.0.2") == 0

    def test_a_clock_that_was_set_back_makes_nobody_wait_longer(self, tmp_path: Path) -> None:
        now = 1e9
        attempts = Attempts(tmp_path / "a", b"key", clock=lambda: now)
        for _ in range(FREE["pair"]):
            attempts.begin("chen", "10.0.0.1")
        now = 1000.0
        assert attempts.begin("chen", "10.0.0.1") == 30

    @given(st.binary(max_size=200) | st.sampled_from([b"[" * 5000, b'{"a": [1]}', b"{}", b"1"]))
    def test_a_damaged_file_is_begun_anew(self, content: bytes) -> None:
        path = Path(f"/tmp/kaimen-attempts-{os.getpid()}")
        path.write_bytes(content)
        try:
            assert Attempts(path, b"key").begin("chen", "10.0.0.1") <= LONGEST
        finally:
            path.unlink()


def test_sessions_end_when_idle_and_after_their_time() -> None:
    now = 0.0
    sessions = Sessions(idle=10, longest=25, clock=lambda: now)
    number = sessions.begin(CHEN)
    for later in (9.0, 18.0, 24.0):
        now = later
        assert sessions.get(number) is not None
    now = 25.0
    assert sessions.get(number) is None
    number = sessions.begin(CHEN)
    now += 9
    assert sessions.get(number, visit=False) is not None  # a watcher's stream is no visit
    now += 1
    assert sessions.get(number) is None


def test_a_new_role_or_password_signs_the_account_out(desk: Desk) -> None:
    guard = desk.signed_in(Role.GUARD)
    assert guard.get("/live").status_code == 200
    desk.console.accounts.put("guard of the test", Role.ADMIN, "")
    assert not desk.console.is_welcome(str(guard.cookies["kaimen"]))
    assert guard.get("/live").status_code == 401


def test_no_more_sessions_are_kept_than_there_is_room_for() -> None:
    sessions = Sessions(idle=10, longest=20)
    numbers = [sessions.begin(CHEN) for _ in range(MOST + 1)]
    assert sessions.get(numbers[0]) is None and sessions.get(numbers[-1]) is not None


def test_wrong_passwords_lock_the_account_for_a_while_and_after_a_restart(
    desk: Desk, desk_of: Made, settings: Settings
) -> None:
    desk.console.accounts.put("chen", Role.GUARD, PASSWORD)
    for _ in range(FREE["pair"]):
        assert (
            post(desk.client, "/sign-in", {"name": "chen", "password": "wrong"}).status_code == 403
        )
    for each in (desk, desk_of(settings)):
        answer = post(each.client, "/sign-in", {"name": "chen", "password": PASSWORD})
        assert answer.status_code == 429
        assert re.search(r"try again in (30|2\d) s", answer.text)  # some seconds are over
        assert each.client.get("/live").status_code == 401


class TestProxy:
    @pytest.fixture
    def proxied(self, settings: Settings, desk_of: Made, tmp_path: Path) -> Iterator[TestClient]:
        secret = tmp_path / "secret"
        secret.write_text("sixteen or more letters\n")
        chosen = replace(settings.console, proxy="testclient", proxy_secret=str(secret))
        desk = desk_of(replace(settings, console=chosen))
        desk.console.accounts.put("chen", Role.GUARD, "")
        yield TestClient(desk.app, base_url="https://desk", follow_redirects=False)

    @pytest.fixture(autouse=True)
    def names_are_addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kaimen.settings.console.is_address", lambda text: True)

    HEADERS = {"X-Remote-User": "chen", "X-Kaimen-Proxy": "sixteen or more letters"}  # noqa: RUF012

    def test_who_it_names_is_signed_in(self, proxied: TestClient) -> None:
        answer = proxied.get("/live", headers=self.HEADERS)
        assert answer.status_code == 200
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-kaimen=")
        assert {"HttpOnly", "SameSite=strict", "Secure"} <= {*cookie.split("; ")}

    @pytest.mark.parametrize("name", ["X-Remote-User", "X-Kaimen-Proxy"])
    def test_without_its_word_or_its_secret_nobody_is(self, name: str, proxied: TestClient) -> None:
        headers = {each: it for each, it in self.HEADERS.items() if each != name}
        assert proxied.get("/live", headers=headers).status_code == 401
        proxied.get("/live", headers=self.HEADERS)  # a session it began ends with its word
        assert proxied.get("/live", headers=headers).status_code == 401

    def test_who_has_no_account_may_not(self, proxied: TestClient) -> None:
        headers = {**self.HEADERS, "X-Remote-User": "wang"}
        assert proxied.get("/live", headers=headers).status_code == 403


def test_a_foreign_address_is_no_proxy(settings: Settings, desk_of: Made) -> None:
    desk = desk_of(replace(settings, console=replace(settings.console, proxy="10.0.0.2")))
    desk.console.accounts.put("chen", Role.GUARD, "")
    assert desk.client.get("/live", headers={"X-Remote-User": "chen"}).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "gate.school.example"])
def test_a_host_that_others_reach_needs_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(SettingsError, match="passwords would pass in clear"):
        ConsoleSettings(host=host)
    assert ConsoleSettings(host=host, proxy="10.0.0.2").host == host
    assert ConsoleSettings(host=host, certificate="a", certificate_key="b").host == host


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        f'[console]\nfeed = "{tmp_path}/feed"\n'
    )
    return path


COMMAND = [sys.executable, "-m", "kaimen.cli.main", "console"]


@pytest.mark.slow
class TestCommand:
    def test_an_account_is_added_listed_and_removed(
        self, config: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(*arguments: str, given: str = "") -> tuple[int, str]:
            done = subprocess.run(
                [*COMMAND, "--config", str(config), *arguments],
                input=given, text=True, capture_output=True, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout + done.stderr

        assert run("--add-account", "chen", "--role", "admin", given=f"{PASSWORD}\n")[0] == 0
        assert run("--accounts") == (0, "chen  admin  password\n")
        code, said = run("--add-account", "li", given="short\n")
        assert code == 2 and "10 to 200 characters" in said
        assert run("--add-account", "li", given="")[0] == 2
        assert run("--remove-account", "wang")[0] == 2
        assert run("--remove-account", "chen")[0] == 0
        assert run("--accounts")[1].startswith("nobody can sign in; begin with")
        capsys.readouterr()
        assert main(["log", "--acts", "--config", str(config), "--json"]) == 0
        said = capsys.readouterr().out
        assert "at the terminal added the account chen" in said and "account li" not in said
        assert main(["audit", "verify", "--acts", "--config", str(config)]) == 0

    def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(
        self, config: Path
    ) -> None:
        number, terminal = pty.fork()
        if number == 0:
            os.execv(COMMAND[0], [*COMMAND, "--config", str(config), "--add-account", "chen"])
        shown = b""
        for prompt in (b"password: ", b"once more: "):
            while prompt not in shown:
                shown += os.read(terminal, 1000)
            os.write(terminal, PASSWORD.encode() + b"\n")
        try:
            while part := os.read(terminal, 1000):
                shown += part
        except OSError:
            pass  # the terminal's end
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 0
        assert PASSWORD.encode() not in shown and b"chen may sign in as guard" in shown

    def test_a_reachable_host_without_tls_is_refused_in_one_sentence(
        self, config: Path, capsys: pytest.CaptureFixture
    ) -> None:
        assert main(["console", "--config", str(config), "--host", "0.0.0.0"]) == 2
        assert "passwords would pass in clear" in " ".join(capsys.readouterr().err.split())

    def test_without_the_extra_one_sentence_names_it(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
    ) -> None:
        monkeypatch.setattr("kaimen.cli.console.NEEDED", ("starlette", "no_such_module"))
        assert main(["console", "--config", str(config)]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "the console needs no_such_module" in said and "kaimen[console]" in said

    def test_a_port_that_is_taken_and_a_certificate_that_is_none_are_said(
        self, config: Path, capsys: pytest.CaptureFixture
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = subprocess.run(
                [*COMMAND, "--config", str(config), "--port", port], capture_output=True, text=True
            )
        assert done.returncode == 5 and "nobody can be served" in " ".join(done.stderr.split())
        config.write_text(config.read_text() + f'certificate = "{config}"\ncertificate_key = "x"\n')
        assert main(["console", "--config", str(config)]) == 2
        assert "cannot be used" in capsys.readouterr().err

    def test_it_serves_by_tls_until_it_is_told_to_stop(self, config: Path, tmp_path: Path) -> None:
        certificate, key = self_signed(tmp_path)
        config.write_text(
            config.read_text() + f'certificate = "{certificate}"\ncertificate_key = "{key}"\n'
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        running = subprocess.Popen([*COMMAND, "--config", str(config), "--port", str(port)])
        try:
            trusted = ssl.create_default_context(cafile=str(certificate))
            answer = None
            until = time.monotonic() + 60
            while answer is None and time.monotonic() < until:
                asked = http.client.HTTPSConnection("localhost", port, context=trusted)
                try:
                    asked.request("GET", "/sign-in")
                    answer = asked.getresponse()
                    headers, page = dict(answer.getheaders()), answer.read().decode()
                except ConnectionRefusedError:
                    time.sleep(0.1)
                finally:
                    asked.close()
            assert answer is not None and answer.status == 200 and "Password" in page
            assert headers["Strict-Transport-Security".lower()].startswith("max-age")
            cookie = headers["set-cookie"]
            assert re.search(r"__Host-kaimen=.*HttpOnly.*SameSite=strict.*Secure", cookie)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "private.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private
