"""A gate at a real broker, as Home Assistant, Node-RED and ESPHome see it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import ipaddress
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaimen.bridge.mqtt import MqttBridge, _end
from kaimen.door.client import Door
from kaimen.errors import DeviceError, SettingsError
from kaimen.settings import DoorSettings, MqttSettings
from tests.bridge.gates import (
    ENOUGH,
    LoggedGate,
    Running,
    free_port,
    mosquitto,
    needs_mosquitto,
    soon,
)
from tests.door.bench import served_door

pytestmark = needs_mosquitto
DOOR = DoorSettings(contact=4)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with mosquitto(tmp_path, port):
        yield port


class Subscriber:
    """Whoever reads the broker: what is there now, and all that came."""

    def __init__(self, port: int, *topics: str) -> None:
        self.now: dict[str, str] = {}
        self.came: list[tuple[str, str]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_message = self._take
        self.client.on_connect = lambda client, *_: [
            client.subscribe(topic, qos=1) for topic in topics or ("#",)
        ]
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert subscribed.wait(ENOUGH)

    def _take(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        text = message.payload.decode()
        self.now[message.topic] = text
        self.came.append((message.topic, text))

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(text) for topic, text in self.came if topic.endswith("/decision")]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def subscriber(port: int) -> Iterator[Subscriber]:
    subscriber = Subscriber(port)
    yield subscriber
    subscriber.close()


def bridge(gate: LoggedGate, port: int, door: DoorSettings = DOOR, **chosen: Any) -> MqttBridge:
    settings = MqttSettings(host="127.0.0.1", port=port, **chosen)
    return MqttBridge(settings, door, gate.source, lambda text: None)


def test_the_doors_state_is_there_for_who_comes_later(gate: LoggedGate, port: int) -> None:
    with Running(bridge(gate, port)):
        gate.door("relay on", "opened by voice", "state unlocked", "state passing")
        late = Subscriber(port)
        soon(lambda: late.now.get("kaimen/gate/state") == "passing")
        soon(lambda: late.now.get("kaimen/gate/lock") == "UNLOCKED")
        soon(lambda: late.now.get("kaimen/gate/contact") == "ON")
        soon(lambda: late.now.get("kaimen/gate/available") == "online")
        soon(lambda: late.now.get("kaimen/gate/running") == "online")
        gate.door("relay off", "state ajar", "state held")
        soon(lambda: late.now.get("kaimen/gate/alarm") == "ON")
        assert late.now["kaimen/gate/lock"] == "LOCKED"
        late.close()


def test_a_decision_is_told_once_and_names_nobody(
    gate: LoggedGate, port: int, subscriber: Subscriber
) -> None:
    gate.decide("open", "李雷")  # before the bridge began
    with Running(bridge(gate, port)):
        gate.decide("unknown")
        gate.decide("open", "李雷")
        soon(lambda: len(subscriber.decisions()) == 2)
    assert [each["event_type"] for each in subscriber.decisions()] == ["unknown", "open"]
    assert "李雷" not in str(subscriber.came) and "student" not in subscriber.decisions()[1]
    assert len({each["id"] for each in subscriber.decisions()}) == 2


def test_a_student_is_named_where_the_operator_asks(
    gate: LoggedGate, port: int, subscriber: Subscriber
) -> None:
    with Running(bridge(gate, port, students=True)):
        gate.decide("open", "李雷")
        soon(lambda: len(subscriber.decisions()) == 1)
    assert subscriber.decisions()[0]["student"] == "李雷"
    with pytest.raises(SettingsError, match=r"bridge\.cards"):
        settings = MqttSettings(host="x", students=True)
        MqttBridge(settings, DOOR, replace(gate.source, cards=type(gate.source.cards)()), print)


def test_an_old_decision_is_no_news(gate: LoggedGate, port: int, subscriber: Subscriber) -> None:
    with Running(bridge(gate, port)):
        gate.behind = 60.0
        gate.decide("open", "李雷")
        gate.behind = 0.0
        gate.decide("retry")
        soon(lambda: len(subscriber.decisions()) > 0)
    assert [each["event_type"] for each in subscriber.decisions()] == ["retry"]


def test_the_broker_tells_that_the_bridge_is_gone(
    gate: LoggedGate, port: int, subscriber: Subscriber
) -> None:
    with Running(bridge(gate, port)):
        soon(lambda: subscriber.now.get("kaimen/gate/available") == "online")
    soon(lambda: subscriber.now.get("kaimen/gate/available") == "offline")


def test_a_broker_that_is_not_there_is_one_sentence(gate: LoggedGate) -> None:
    with pytest.raises(DeviceError, match="cannot be used") as raised:
        running = Running(bridge(gate, free_port()))
        with running:
            pass
    assert "look at its name" in str(raised.value)


def test_a_broker_that_comes_back_knows_the_state_again(gate: LoggedGate, tmp_path: Path) -> None:
    port = free_port()
    with (
        mosquitto(tmp_path, port) as broker,
        pytest.raises(DeviceError),
        Running(bridge(gate, port)) as run,
    ):
        broker.terminate()
        soon(lambda: run.failed is not None)
    with mosquitto(tmp_path, port), Running(bridge(gate, port)):
        late = Subscriber(port)
        soon(lambda: late.now.get("kaimen/gate/state") == "shut")
        late.close()


def test_home_assistant_that_begins_is_told_again(
    gate: LoggedGate, port: int, subscriber: Subscriber
) -> None:
    topic = "homeassistant/event/kaimen_gate/decision/config"
    with Running(bridge(gate, port)):
        soon(lambda: topic in subscriber.now)
        before = sum(each == topic for each, _ in subscriber.came)
        subscriber.client.publish("homeassistant/status", "online")
        soon(lambda: sum(each == topic for each, _ in subscriber.came) > before)


def test_problems_are_told_with_what_to_do(
    gate: LoggedGate, port: int, subscriber: Subscriber, tmp_path: Path
) -> None:
    doctor = tmp_path / "doctor.json"
    line = {"name": "noise floor", "state": "broken", "found": "loud", "mend": "move it"}
    doctor.write_text(json.dumps(line) + "\n" + '{"name": "half', encoding="utf-8")
    gate.source = replace(gate.source, doctor=doctor)
    gate.door("fault tamper on")
    with Running(bridge(gate, port)):
        soon(lambda: subscriber.now.get("kaimen/gate/problem/doctor_noise_floor") == "ON")
        soon(lambda: subscriber.now.get("kaimen/gate/problem/fault_tamper") == "ON")
        soon(lambda: "kaimen/gate/problem/doctor_noise_floor/details" in subscriber.now)
        gate.door("fault tamper off")
        soon(lambda: subscriber.now.get("kaimen/gate/problem/fault_tamper") == "OFF")
    details = json.loads(subscriber.now["kaimen/gate/problem/doctor_noise_floor/details"])
    assert details == {"state": "broken", "found": "loud", "mend": "move it"}


class TestCommand:
    """The one command, with a real door."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "door"

    @pytest.fixture
    def door(self, path: Path) -> Iterator[Door]:
        with served_door(path, lease=0.5) as door:
            yield door

    def opened(self, door: Door) -> bool:
        return "opened by hand" in [str(each) for each in door.events()]

    def test_unlock_opens_the_door_and_the_gate_writes_it_down(
        self, gate: LoggedGate, port: int, door: Door, path: Path, subscriber: Subscriber
    ) -> None:
        with Running(bridge(gate, port, DoorSettings(socket=str(path)), unlock=True)):
            soon(lambda: "homeassistant/lock/kaimen_gate/door/config" in subscriber.now)

            def unlocked() -> bool:
                before = len(subscriber.came)
                subscriber.client.publish("kaimen/gate/command", "UNLOCK")
                soon(lambda: ("kaimen/gate/command", "UNLOCK") in subscriber.came[before:])
                return self.opened(door)

            soon(unlocked)  # a bridge or a door that comes too late to one opens nothing

    def test_nothing_else_opens_it(
        self, gate: LoggedGate, port: int, door: Door, path: Path, subscriber: Subscriber
    ) -> None:
        publish = subscriber.client.publish
        # A retained command is there before the bridge is.
        publish("kaimen/gate/command", "UNLOCK", retain=True).wait_for_publish(ENOUGH)
        with Running(bridge(gate, port, DoorSettings(socket=str(path)), unlock=True)) as run:
            for payload in ("unlock", "LOCK", "UNLOCK ", "", "OPEN"):
                publish("kaimen/gate/command", payload)
            publish("kaimen/gate/command/x", "UNLOCK")
            rounds = run.rounds
            soon(lambda: run.rounds > rounds + 5)
            assert not self.opened(door)

    def test_without_the_operators_leave_no_command_is_heard(
        self, gate: LoggedGate, port: int, door: Door, path: Path, subscriber: Subscriber
    ) -> None:
        with Running(bridge(gate, port, DoorSettings(socket=str(path)))) as run:
            subscriber.client.publish("kaimen/gate/command", "UNLOCK")
            rounds = run.rounds
            soon(lambda: run.rounds > rounds + 5)
            assert not self.opened(door)

    def test_leave_needs_a_door_that_can_be_asked(self, gate: LoggedGate) -> None:
        with pytest.raises(SettingsError, match=r"give socket under \[door\]"):
            bridge(gate, 1, unlock=True)


def test_a_certificate_that_is_none_is_one_sentence(gate: LoggedGate, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none", encoding="ascii")
    chosen = bridge(gate, 1, tls=True, authority=str(tmp_path / "ca.pem"))
    with pytest.raises(SettingsError, match=r"mqtt\.authority"):
        chosen._tls()
    context = bridge(gate, 1, tls=True)._tls()
    assert context is not None and context.verify_mode is ssl.CERT_REQUIRED


class TestSecured:
    """A broker with a certificate and a password."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Path:
        """A certificate for 127.0.0.1, signed by itself; its key lies beside it."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / "ca.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path.with_name("key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return path

    @pytest.fixture
    def secured(self, tmp_path: Path, authority: Path) -> Iterator[int]:
        port, users = free_port(), tmp_path / "users"
        users.write_text("", encoding="ascii")
        subprocess.run(["mosquitto_passwd", "-b", str(users), "gate", "opensesame"], check=True)
        more = (
            f"password_file {users}\nallow_anonymous false\n"
            f"certfile {authority}\nkeyfile {authority.with_name('key.pem')}\n"
        )
        with mosquitto(tmp_path, port, more):
            yield port

    def bridge(
        self, gate: LoggedGate, port: int, tmp_path: Path, password: str, **more: Any
    ) -> MqttBridge:
        path = tmp_path / "password"
        path.write_text(f"{password}\n", encoding="ascii")
        path.chmod(0o600)
        return bridge(gate, port, username="gate", password=str(path), tls=True, **more)

    def test_the_right_password_over_a_trusted_certificate_is_let_in(
        self, gate: LoggedGate, secured: int, authority: Path, tmp_path: Path
    ) -> None:
        made = self.bridge(gate, secured, tmp_path, "opensesame", authority=str(authority))
        with Running(made) as run:
            soon(lambda: run.rounds > 2)

    # paho leaves a socket that it cannot trust to be collected.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_wrong_password_or_an_unknown_certificate_is_one_sentence(
        self, gate: LoggedGate, secured: int, authority: Path, tmp_path: Path
    ) -> None:
        wrong = self.bridge(gate, secured, tmp_path, "wrong", authority=str(authority))
        with pytest.raises(DeviceError, match="cannot be used"), Running(wrong):
            pass
        untrusted = self.bridge(gate, secured, tmp_path, "opensesame")
        with pytest.raises(DeviceError, match="cannot be used"), Running(untrusted):
            pass
        del untrusted
        gc.collect()


def test_a_task_that_outlives_its_first_cancellation_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def ended() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(_end(task), ENOUGH)
        assert task.cancelled()

    asyncio.run(ended())
