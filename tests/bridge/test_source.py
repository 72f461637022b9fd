"""What the bridge knows of a gate: its door's state, its students' cards, and whether it runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen.audit import Record, pseudonym
from kaimen.bridge.adapters import adapters_of
from kaimen.bridge.cards import Cards
from kaimen.bridge.problems import findings, problems_of
from kaimen.bridge.source import GateLog, is_late
from kaimen.bridge.status import DoorStatus
from kaimen.errors import SettingsError
from kaimen.settings import Settings
from tests.bridge.gates import KEY, LoggedGate, soon


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        yield gate


def status_after(gate: LoggedGate, *texts: str) -> DoorStatus:
    gate.door(*texts)
    return DoorStatus.now(gate.source)


class TestStatus:
    def test_of_a_log_that_nobody_began_nothing_is_known(self, tmp_path: Path) -> None:
        status = DoorStatus.now(GateLog(tmp_path / "none", KEY))
        assert (status.state, status.relay, status.faults) == ("", False, set())

    def test_it_is_what_the_door_said_last(self, gate: LoggedGate) -> None:
        status = status_after(gate, "relay off", "state shut", "relay on", "state passing")
        assert status.relay and status.state == "passing" and status.stands_open
        status = status_after(gate, "relay off", "state ajar", "fault tamper on")
        assert not status.relay and status.stands_open and status.faults == {"tamper"}
        status = status_after(gate, "state shut", "fault tamper off")
        assert not status.stands_open and status.faults == set()

    def test_a_door_that_greets_names_all_faults_that_are_there(self, gate: LoggedGate) -> None:
        # The tamper was mended while no gate ran, so nobody wrote that down.
        status = status_after(
            gate, "relay off", "fault tamper on", "state shut", "fault microphone on"
        )
        assert status.faults == {"tamper", "microphone"}
        status = status_after(gate, "fault voice off", "relay off", "state shut")
        assert status.faults == set()

    def test_what_a_later_door_says_changes_nothing(self, gate: LoggedGate) -> None:
        assert status_after(gate, "relay off", "state shut", "sings").state == "shut"


class TestCards:
    def read(self, tmp_path: Path, content: bytes) -> Cards:
        path = tmp_path / "cards.csv"
        path.write_bytes(content)
        return Cards.read(path, KEY)

    def record(self, student: str | None) -> Record:
        return {"student": student and pseudonym(KEY, student)}

    def test_students_are_found_by_what_the_log_calls_them(self, tmp_path: Path) -> None:
        cards = self.read(
            tmp_path, "\ufeffstudent,number\r\n李雷,12\r\n\r\nRene\u0301,7\r\n".encode()
        )
        assert cards.number(self.record("李雷")) == 12
        assert cards.name(self.record("Ren\u00e9")) == "Ren\u00e9"
        assert cards.number(self.record("s9")) is cards.number(self.record(None)) is None

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"s1", "line 1: write student,number"),
            (b"s1,2,3", "line 1: write student,number"),
            (b"s1,2\n,3", "line 2: write student,number"),
            (b"s1,x", "digits only"),
            (b"s1,-1", "digits only"),
            ("s1,１".encode(), "digits only"),
            (b"s1,12345678901", "digits only"),
            (b"s1,1\ns1,2", "line 2: s1 is there twice"),
            (b"s1,1\ns2,1", "line 2: card 1 is of line 1 already"),
            (b"\xff,1", "not UTF-8"),
        ],
    )
    def test_a_list_that_is_wrong_is_refused_with_the_line(
        self, tmp_path: Path, content: bytes, sentence: str
    ) -> None:
        with pytest.raises(SettingsError, match=sentence):
            self.read(tmp_path, content)

    def test_a_list_that_is_missing_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read"):
            Cards.read(tmp_path / "none", KEY)

    def test_its_names_are_in_no_message(self, tmp_path: Path) -> None:
        assert "李雷" not in repr(self.read(tmp_path, "李雷,1".encode()))


def test_a_gate_runs_while_it_has_its_log_open(gate: LoggedGate, tmp_path: Path) -> None:
    assert not gate.source.gate_runs()
    gate.greet()
    assert gate.source.gate_runs()
    gate.close()
    assert not gate.source.gate_runs()
    # A killed process gives its lock back, whatever it did.
    holding = (
        "import sys, time\nfrom pathlib import Path\nfrom kaimen.audit import Audit\n"
        f"log = Audit(Path({str(gate.source.folder)!r}), bytes(range(32)))\n"
        "log.write({'kind': 'gate'})\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", holding]) as process:
        soon(gate.source.gate_runs)
        process.kill()
    assert not gate.source.gate_runs()


def test_looking_whether_a_gate_runs_keeps_none_from_beginning(gate: LoggedGate) -> None:
    for _ in range(20):
        gate.source.gate_runs()
        gate.greet()
        gate.close()


@pytest.mark.parametrize(
    ("behind", "late"), [(0.0, False), (20.0, False), (60.0, True), (-0.5, False), (-60.0, True)]
)
def test_a_record_is_late_or_of_a_clock_that_was_set_back(
    gate: LoggedGate, behind: float, late: bool
) -> None:
    follower = gate.source.follower()
    gate.behind = behind
    gate.decide("open", "李雷")
    (record,) = follower.waiting()
    assert is_late(record, 50.0) == late


def test_a_cursor_that_is_new_begins_now(gate: LoggedGate) -> None:
    gate.decide("open", "李雷")
    assert gate.source.follower("webhook").waiting() == []
    gate.decide("unknown")
    assert [each["verdict"] for each in gate.source.follower("webhook").waiting()] == ["unknown"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\n", b"[[[[\n", b"1\n", b'{"name": 1}\n', b'{"name": "x", "state": "sick"}\n'],
)
def test_a_doctors_file_that_is_none_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "doctor.json"
    path.write_bytes(content)
    assert findings(path) == findings(tmp_path / "none") == []


def test_names_of_problems_are_fit_for_topics(tmp_path: Path, gate: LoggedGate) -> None:
    path = tmp_path / "doctor.json"
    path.write_text('{"name": "a/b #+ 门", "state": "ok"}\n', encoding="utf-8")
    assert [each.name for each in findings(path)] == ["doctor_a_b"]
    assert all(each.name.isidentifier() for each in problems_of(gate.source, DoorStatus()))


@pytest.mark.parametrize(
    ("module", "section", "extra"),
    [
        ("aiomqtt", "[bridge.mqtt]\nhost = 'x'", "bridge"),
        ("osdp", "[bridge.osdp]\ndevice = '/dev/x'\nplain = true", "bridge"),
        ("prometheus_client", "[bridge.metrics]\nport = 9100", "bridge"),
        ("apprise", "[bridge.notify]\nurls = '/x'", "notify"),
    ],
)
def test_a_missing_extra_is_named(
    gate: LoggedGate, monkeypatch: pytest.MonkeyPatch, module: str, section: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    settings = Settings.parse(section, "kaimen.toml")
    with pytest.raises(SettingsError, match=rf"kaimen\[{extra}\]"):
        adapters_of(settings, gate.source, print)


def test_a_gate_without_the_extra_needs_none_of_it() -> None:
    asked = (
        "import sys, kaimen.cli.run, kaimen.cli.bridge\n"
        "print({'aiomqtt', 'paho', 'osdp', 'serial', 'prometheus_client', 'apprise'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
