"""What a real Mosquitto lets whom do, by the files that Kaimen writes."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaimen.fleet.broker_files import withdraw, write_broker
from kaimen.fleet.link import Link
from kaimen.fleet.membership import Broker
from kaimen.fleet.message import MessageKind, seal
from kaimen.fleet.packing import packed
from tests.fleet.machines import HOST, MOSQUITTO, WITHOUT, Fleet

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    made.invite("gate-1")
    made.invite("gate-2")
    yield made
    made.stop()


class Thief:
    """Somebody with a gate's credentials and keys, who does what no gate does."""

    def __init__(self, broker: Broker, name: str = "thief") -> None:
        self.heard: list[str] = []
        self.said: list[str] = []
        self.link = Link(broker, name, self._hear, say=self.said.append)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        self.heard.append(topic)

    def run(self, fleet: Fleet, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.link.step(0.01)
            fleet.step()

    def until(self, fleet: Fleet, so: Callable[[], object], within: float = 60.0) -> None:
        end = time.monotonic() + within
        while not so():
            assert time.monotonic() < end, self.said
            self.run(fleet, 0.02)


def linked(fleet: Fleet, thief: Thief) -> None:
    thief.until(fleet, lambda: thief.link.connected)


def test_a_stolen_gate_can_enroll_nobody_and_reads_no_other_gates_events(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    for machine in fleet.machines.values():
        machine.start()
    fleet.until(fleet.agree)
    stolen = fleet["gate-1"].membership
    fleet["gate-1"].stop()
    thief = Thief(stolen.broker)
    linked(fleet, thief)
    topics = stolen.topics
    for filter in (topics.all_events, topics.statuses, topics.of_gate("gate-2", "events"), "#"):
        thief.link.subscribe(filter)
    thief.run(fleet, 0.3)
    # With the fleet's key, and a signing key of its own.
    forger = replace(fleet["office"].membership.create("office", stolen.broker), key=stolen.key)
    copy = fleet["office"].registry.copies.of("anna")
    topic = topics.student(stolen.pseudonym("mallory"))
    content = packed(replace(copy, name="mallory"))
    forged = seal(topic, MessageKind.STUDENT, 99, content, stolen.message_key, forger.signing_key)
    thief.link.publish(topic, forged)
    thief.link.publish(topics.of_gate("gate-2", "status"), b"nonsense")
    thief.link.publish(topics.manifest(fleet["office"].membership.desk), b"")
    fleet["gate-2"].member._reported_at = -1e9  # it reports
    thief.until(fleet, lambda: any("list of rights" in each for each in thief.said))
    thief.run(fleet, 1.0)
    seen = {each.removeprefix(topics.root) for each in thief.heard}
    assert not [each for each in seen if each.startswith("/gates/gate-2")]
    assert [each.name for each in fleet["gate-2"].registry.students()] == ["anna"]
    assert fleet["gate-2"].member.replica.refused == {}  # the broker did not pass it on
    assert any("list of rights" in each for each in thief.said)
    thief.link.close()


def test_a_forged_message_that_a_broker_lets_through_is_refused_by_the_gate(fleet: Fleet) -> None:
    fleet["office"].enroll("anna", 1)
    fleet["gate-2"].start()
    fleet["office"].start()
    fleet.until(fleet.agree)
    office = fleet["office"].membership
    forger = Thief(office.broker)  # it has a desk's password, and not its key
    linked(fleet, forger)
    other = replace(office.create("office", office.broker), key=office.key)
    topic = office.topics.student(office.pseudonym("mallory"))
    content = packed(replace(fleet["office"].registry.copies.of("anna"), name="mallory"))
    key, signing = office.message_key, other.signing_key
    forger.link.publish(topic, seal(topic, MessageKind.STUDENT, 99, content, key, signing))
    forger.until(fleet, lambda: fleet["gate-2"].member.replica.refused)
    assert fleet["gate-2"].member.replica.refused == {"ForeignMessage": 1}
    assert [each.name for each in fleet["gate-2"].registry.students()] == ["anna"]
    forger.link.close()


def test_without_a_password_or_with_a_wrong_one_nobody_is_let_in(fleet: Fleet) -> None:
    known = fleet["gate-1"].membership.broker
    for broker in (replace(known, password="guessed"), replace(known, user="", password="")):
        thief = Thief(broker)
        thief.until(fleet, lambda thief=thief: thief.said)
        assert not thief.link.connected
        assert "uthor" in thief.said[-1]  # not authorised
    assert fleet["office"].member is None


def _is_let_in(fleet: Fleet, name: str) -> bool:
    thief = Thief(fleet[name].membership.broker)
    try:
        thief.until(fleet, lambda: thief.link.connected or "uthor" in str(thief.said))
        return bool(thief.link.connected)
    finally:
        thief.link.close()


def test_who_is_withdrawn_is_let_in_no_more(fleet: Fleet) -> None:
    assert withdraw(fleet.broker.folder, "gate-1")
    assert not withdraw(fleet.broker.folder, "gate-1")
    fleet.broker.reload()
    until = time.monotonic() + 60
    while _is_let_in(fleet, "gate-1"):  # the broker has not read its files anew
        assert time.monotonic() < until
    linked(fleet, Thief(fleet["gate-2"].membership.broker))


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_another_brokers_certificate_is_not_believed(fleet: Fleet, tmp_path: Path) -> None:
    other = write_broker(tmp_path / "other", HOST, 1)
    thief = Thief(replace(fleet["gate-1"].membership.broker, authority=other))
    thief.until(fleet, lambda: thief.said)
    assert not thief.link.connected
    assert "certificate is not that of this fleet" in thief.said[-1]


def test_a_broker_speaks_no_old_tls_and_nothing_in_clear(fleet: Fleet) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((HOST, fleet.broker.port)) as held,
        old.wrap_socket(held) as wrapped,
    ):
        assert wrapped.version() == "TLSv1.2"
    clear = Thief(replace(fleet["gate-1"].membership.broker, authority=""))
    clear.run(fleet, 0.5)
    assert not clear.link.connected


def test_a_broker_that_is_away_is_said_once_and_found_again(fleet: Fleet) -> None:
    fleet["gate-1"].start()
    fleet.broker.stop()

    def missed() -> int:
        return len([each for each in fleet["gate-1"].said if "no link" in each])

    fleet.until(lambda: missed() > 0)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        fleet.step()
    assert missed() == 1
    fleet.broker.start()
    fleet.until(lambda: fleet["gate-1"].member.link.connected)
