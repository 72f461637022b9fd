"""`kaimen doctor --report`: what the file holds, and above all what it does not."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from kaimen.bench import phrase
from kaimen.doctor import report
from kaimen.voice import ENCODERS
from kaimen.voice.network import RUNTIMES
from tests.doctor.pi import STUDENTS, Pi

GROUP = "7b-Wolkenkuckuck"
SECRETS = ("Zhuangzi", "王小明", GROUP)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is not measured: how long something takes here is nothing of the report's."""
    once = staticmethod(lambda work: (work(), 0.01)[1])
    monkeypatch.setattr(report, "median", once)
    monkeypatch.setattr(phrase, "median", once)
    microphones = [
        {"name": "USB Mic: Audio (hw:1,0)", "max_input_channels": 1, "default_samplerate": 48e3},
        {"name": "王小明's AirPods", "max_input_channels": 1, "default_samplerate": 16e3},
    ]
    monkeypatch.setattr(report, "inputs", lambda: microphones)


def written(pi: Pi, *options: str) -> str:
    file = pi.folder / "report.json"
    pi.examined("--report", str(file), *options)
    return file.read_text(encoding="utf-8")


def of(pi: Pi) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(pi))
    return found


def test_it_tells_what_a_fault_is_looked_for_by(pi: Pi) -> None:
    pi.enroll()
    pi.write("proc/asound/cards", " 1 [Device]: USB-Audio - USB PnP Sound Device\n")
    pi.write("proc/meminfo", "MemTotal:        1024000 kB\n")
    pi.write("etc/os-release", 'PRETTY_NAME="x"\nID=debian\nVERSION_ID="13"\n')
    told = of(pi)
    assert told["machine"]["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert told["machine"]["system"] == {"ID": "debian", "VERSION_ID": "13"}
    assert told["machine"]["memory_mb"] == 1000
    assert told["chips"] == [
        {"chip": "gpiochip0", "label": "pinctrl-bcm2711", "lines": 54, "header": True}
    ]
    assert told["cards"] == ["1 [Device]: USB-Audio - USB PnP Sound Device"]
    assert told["inputs"] == [{"name": "USB Mic: Audio (hw:1,0)", "channels": 1, "rate": 48e3}]
    assert {"numpy", "gpiozero", "cryptography"} <= told["kaimen"]["libraries"].keys()
    measured = {name.partition(":")[0] for name in told["milliseconds"]}
    assert measured == {"features", *ENCODERS}
    assert any(runtime in name for name in told["milliseconds"] for runtime in RUNTIMES)
    assert told["settings"]["door"]["pin"] == 17 and told["settings"]["gate"]["policy"] == "voice"
    findings = {each["name"]: each for each in told["findings"]}
    assert findings["gallery"]["measured"]["students"] == STUDENTS
    assert "pinctrl-bcm2711" in findings["pins"]["found"]


def test_it_holds_nothing_that_somebody_named(pi: Pi) -> None:
    pi.enroll(group=GROUP)
    key = pi.key.read_text(encoding="utf-8")
    pi.settings["sound"] = {"microphone": SECRETS[0]}
    pi.settings["reader"] = {"path": f"/dev/{SECRETS[1]}"}
    pi.settings["bundle"] = {"path": f"/home/{SECRETS[0]}/bundles"}
    pi.settings["roster"] = [{"groups": [GROUP, "staff"]}]
    pi.write("etc/hostname", SECRETS[0])
    pi.write("proc/sys/kernel/hostname", SECRETS[0])
    text = written(pi)
    students = [f"s{number:02}" for number in range(STUDENTS)]
    for each in (*SECRETS, *students, "staff", str(pi.folder), "/dev", "/home", key[:16]):
        assert each not in text, each
    own = json.loads(text)
    assert socket.gethostname() not in json.dumps(own["settings"]) + json.dumps(own["findings"])
    assert getpass.getuser() not in json.dumps(own["settings"]) + json.dumps(own["findings"])


def test_a_broken_gate_names_nobody_either(pi: Pi) -> None:
    pi.enroll(group=GROUP, words=False)
    pi.settings["roster"] = [{"groups": [SECRETS[1]]}]
    (pi.data / "calibration.json").unlink(missing_ok=True)
    pi.key.chmod(0o644)
    pi.sound.unlink()
    text = written(pi)
    for each in (*SECRETS, str(pi.folder), "s00"):
        assert each not in text, each
    states = {each["name"]: each["state"] for each in json.loads(text)["findings"]}
    assert states["key"] == "broken" and states["roster"] == "attention"


def test_settings_with_a_mistake_are_not_quoted(pi: Pi) -> None:
    pi.settings["door"] = {"pin": SECRETS[0]}
    told = of(pi)
    assert told["settings"] is None
    assert SECRETS[0] not in json.dumps(told)


def test_a_part_that_cannot_be_had_stops_nothing(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise OSError(f"/home/{SECRETS[0]}: gone")

    monkeypatch.setattr(report, "inputs", lost)
    told = of(pi)
    assert told["inputs"] == {"error": "OSError"} and told["findings"]


def test_where_it_cannot_be_written_it_is_said_before_anything_is_measured(
    pi: Pi, capsys: pytest.CaptureFixture
) -> None:
    assert pi.examined("--report", str(pi.folder / "nowhere" / "report.json")) == 6
    said = capsys.readouterr()
    assert "there is no folder" in said.err and said.out == ""


def test_a_program_is_told_where_it_is(pi: Pi, capsys: pytest.CaptureFixture) -> None:
    text = written(pi, "--json")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"report": str(Path(pi.folder) / "report.json"), "bytes": len(text.encode())}
