"""Signed posts to a real server on loopback: every event, in order, until it is taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaimen.bridge.webhook import WebhookBridge, signature
from kaimen.errors import SettingsError
from kaimen.settings import WebhookSettings
from tests.bridge.gates import ENOUGH, LoggedGate, Running, free_port, soon

SECRET = b"a secret of some length"


class Receiver(http.server.ThreadingHTTPServer):
    """Takes posts, or answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []  # before 200
        self.elsewhere = ""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?x=1"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.posts.append(({**headers, "status": str(status)}, body))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


def bridge(
    gate: LoggedGate, url: str, secret: Path, said: list[str] | None = None, **more: Any
) -> WebhookBridge:
    settings = WebhookSettings(url=url, secret=str(secret), **more)
    say = (lambda text: None) if said is None else said.append
    return WebhookBridge(settings, gate.source, say, first_pause=0.01)


def test_the_signature_is_that_of_the_standard() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, the example of its specification.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_event_is_signed_and_posted_in_its_order(
    gate: LoggedGate, receiver: Receiver, secret: Path
) -> None:
    gate.decide("open", "李雷")  # nobody had configured the webhook yet
    with Running(bridge(gate, receiver.url, secret)):
        gate.decide("unknown", checks={"phrase": [0.2, 0.5]}, latency=0.2)
        gate.door("relay on", "opened by voice")
        gate.audit.write({"kind": "restored", "backup": "x"})
        gate.decide("open", "李雷", nearest=[{"student": "x", "score": 1}])
        soon(lambda: len(receiver.posts) == 4)
    events = receiver.events()
    assert [each["kind"] for each in events] == ["decision", "door", "door", "decision"]
    assert events[0]["checks"] == {"phrase": {"score": 0.2, "threshold": 0.5}}
    assert events[2]["event"] == "opened by voice"
    assert "student" not in events[3] and "nearest" not in events[3]
    for headers, body in receiver.posts:
        identity, now = headers["webhook-id"], headers["webhook-timestamp"]
        assert identity == json.loads(body)["id"]
        content = f"{identity}.{now}.".encode() + body
        digest = base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"


def test_a_student_is_named_where_the_operator_asks(
    gate: LoggedGate, receiver: Receiver, secret: Path
) -> None:
    with Running(bridge(gate, receiver.url, secret, students=True)):
        gate.decide("open", "李雷")
        gate.decide("open", "nobody's card")
        soon(lambda: len(receiver.posts) == 2)
    assert [each["student"] for each in receiver.events()] == ["李雷", None]


def test_an_event_is_posted_until_it_is_taken_and_none_overtakes_it(
    gate: LoggedGate, receiver: Receiver, secret: Path
) -> None:
    receiver.answers = [500, 429, 404, 503]
    said: list[str] = []
    with Running(bridge(gate, receiver.url, secret, said)):
        gate.decide("open", "李雷")
        gate.decide("unknown")
        soon(lambda: len(receiver.posts) == 6)
    taken = [json.loads(body) for headers, body in receiver.posts if headers["status"] == "200"]
    assert [each["verdict"] for each in taken] == ["open", "unknown"]
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 2
    assert any("it answers 500" in each for each in said)
    assert said[-1] == "the webhook's receiver takes events again"


def test_what_was_not_taken_is_posted_after_a_restart(
    gate: LoggedGate, receiver: Receiver, secret: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    said: list[str] = []
    with Running(bridge(gate, receiver.url, secret)):
        gate.decide("open", "李雷")
        soon(lambda: len(receiver.posts) == 1)
    gate.decide("unknown")  # while it does not run
    running = Running(bridge(gate, nobody, secret, said))
    running._thread.start()
    soon(lambda: len(said) > 0)
    running._stop.set()
    running._thread.join(ENOUGH)
    gate.decide("retry")
    with Running(bridge(gate, receiver.url, secret)):
        soon(lambda: len(receiver.posts) == 3)
    assert [each["verdict"] for each in receiver.events()] == ["open", "unknown", "retry"]


def test_what_a_receiver_will_never_take_is_said_and_left_out(
    gate: LoggedGate, receiver: Receiver, secret: Path
) -> None:
    receiver.answers = [400] * 5
    said: list[str] = []
    with Running(bridge(gate, receiver.url, secret, said)):
        gate.decide("open", "李雷")
        gate.decide("unknown")
        soon(lambda: len(receiver.posts) == 6)
    assert any("refuses event" in each for each in said)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirection_is_followed(
    gate: LoggedGate, receiver: Receiver, secret: Path, status: int
) -> None:
    other = Receiver()
    receiver.elsewhere, receiver.answers = other.url, [status, status]
    with Running(bridge(gate, receiver.url, secret)):
        gate.decide("open", "李雷")
        soon(lambda: len(receiver.posts) == 3)
    other.close()
    assert other.posts == []


def test_no_proxy_is_asked(
    gate: LoggedGate, receiver: Receiver, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with Running(bridge(gate, receiver.url, secret)):
        gate.decide("open", "李雷")
        soon(lambda: len(receiver.posts) == 1)


def test_a_secret_must_be_one(gate: LoggedGate, secret: Path) -> None:
    secret.write_bytes(b"short")
    with pytest.raises(SettingsError, match="16 characters at least"):
        bridge(gate, "http://x", secret)
    secret.write_bytes(b"whsec_?" + b"x" * 20)
    with pytest.raises(SettingsError, match="base64"):
        bridge(gate, "http://x", secret)
    secret.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        bridge(gate, "http://x", secret)
