"""Lines of the doctor that take a microphone, a door that runs, or a bad day."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from kaimen import voice
from kaimen.cli import doctor as command
from kaimen.cli.main import main
from kaimen.doctor import door, encoder, machine, microphone, services
from kaimen.doctor.examination import GATE, MACHINE, examine
from kaimen.doctor.finding import Finding, Health, Patient, ok, require_readable
from kaimen.door.client import Door, command_line
from kaimen.errors import DeviceError
from kaimen.installation import Installation
from kaimen.settings import DoorSettings, EncoderSettings, Settings, SoundSettings
from kaimen.sound import microphone as device_module
from tests.bundle.made import second
from tests.doctor.pi import Pi
from tests.door.bench import opened
from tests.door.chips import EXPANDER, RP1, Machine
from tests.portaudio import FakePortAudio, PortAudioError, device
from tests.sounds import noise

SMALL = EncoderSettings(model="small")
ENOUGH = 60.0  # seconds in which a door has started on any machine


def patient(pi: Pi, **settings: object) -> Patient:
    chosen = replace(Settings(), **settings)  # type: ignore[arg-type]
    return Patient(Installation.open(chosen), root=pi.root, seconds=0.2)


def only(found: Iterator[Finding], name: str) -> Finding:
    (one,) = [each for each in found if each.name == name]
    return one


# The microphone


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(device(0, "USB Microphone", 48000.0))
    fake.sound = noise(3.0, -60.0)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(device_module, "PATIENCE", 0.2)
    return fake


def test_a_microphone_tells_level_and_rate(pi: Pi, portaudio: FakePortAudio) -> None:
    found = {each.name: each for each in microphone.check(patient(pi))}
    assert {each.state for each in found.values()} == {Health.OK}
    assert "USB Microphone" in found["microphone"].found
    assert found["rate"].found.startswith("48 kHz, 0 overruns")


@pytest.mark.parametrize(("rate", "state"), [(11025.0, Health.ATTENTION), (4000.0, Health.BROKEN)])
def test_a_slow_microphone(rate: float, state: Health, pi: Pi, portaudio: FakePortAudio) -> None:
    portaudio.devices = (device(0, "Telephone", rate),)
    assert only(microphone.check(patient(pi)), "rate").state is state


@pytest.mark.parametrize(("overruns", "state"), [(1, Health.ATTENTION), (9, Health.BROKEN)])
def test_overruns(overruns: int, state: Health) -> None:
    found = microphone._rate(48000, overruns, 3.0)
    assert found.state is state and found.measured["overruns"] == overruns


def test_a_microphone_that_is_not_there(pi: Pi, portaudio: FakePortAudio) -> None:
    sought = patient(pi, sound=SoundSettings("studio"))
    (found,) = microphone.check(sought)
    assert found.state is Health.BROKEN and "USB Microphone" in found.mend


@pytest.mark.parametrize(
    ("holder", "state", "said"),
    [
        ("/opt/kaimen/bin/python\0/opt/kaimen/bin/kaimen\0run\0", Health.OK, "the gate listens"),
        ("arecord\0-d\0", Health.ATTENTION, "process 77: arecord"),
    ],
)
def test_a_microphone_that_is_taken(
    holder: str, state: Health, said: str, pi: Pi, portaudio: FakePortAudio
) -> None:
    pi.write("proc/asound/card0/pcm0p/sub0/status", "state: RUNNING\nowner_pid   : 78\n")
    pi.write("proc/asound/card1/pcm0c/sub0/status", "state: RUNNING\nowner_pid   : 77\n")
    pi.write("proc/77/cmdline", holder)
    portaudio.failure = PortAudioError("Device unavailable [PaErrorCode -9985]")
    (found,) = microphone.check(patient(pi))
    assert found.state is state and said in found.found


def test_a_microphone_that_nobody_has_is_broken(pi: Pi, portaudio: FakePortAudio) -> None:
    pi.write("proc/asound/card1/pcm0c/sub0/status", "closed\n")
    portaudio.failure = PortAudioError("Device unavailable")
    (found,) = microphone.check(patient(pi))
    assert found.state is Health.BROKEN and "Device unavailable" in found.found


# The door


@pytest.fixture(autouse=True)
def patient_with_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "GREETING", ENOUGH)


@contextmanager
def served(path: Path, **settings: object) -> Iterator[DoorSettings]:
    """A door that listens."""
    made = DoorSettings(mock=True, **settings)  # type: ignore[arg-type]
    process = subprocess.Popen(command_line(made, "--socket", str(path)), stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + ENOUGH
        while not _greets(path):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        yield replace(made, socket="/run/d")
    finally:
        process.terminate()
        process.wait(ENOUGH)


def _greets(path: Path) -> bool:
    try:
        Door.connect(path).close()
        return True
    except DeviceError:
        return False


def line_of(pi: Pi, settings: DoorSettings) -> Finding:
    return only(iter(list(door.check(patient(pi, door=settings)))), "door")


def test_a_door_that_the_gate_has_is_well_and_left_alone(pi: Pi) -> None:
    path = pi.root / "run/d"
    with served(path, lease=60.0) as settings, Door.connect(path) as gate:
        opened(gate)
        said: list[str] = []
        while "state unlocked" not in said:
            said += map(str, gate.events())
        found = line_of(pi, settings)
        assert found.state is Health.OK and "the gate has it" in found.found
        assert gate.is_on and gate.events() == []


def test_a_door_without_a_gate(pi: Pi) -> None:
    with served(pi.root / "run/d") as settings:
        found = line_of(pi, settings)
        assert found.state is Health.ATTENTION and "(shut), and no gate" in found.found


def test_a_door_that_stands_open(pi: Pi) -> None:
    # A mock input is high: with a switch that is low while the door is closed, it stands open.
    with served(pi.root / "run/d", contact=22) as settings:
        found = line_of(pi, settings)
        assert found.state is Health.ATTENTION and "stands open" in found.found


def test_a_box_that_is_open(pi: Pi) -> None:
    with served(pi.root / "run/d", tamper=5) as settings:
        found = line_of(pi, settings)
        assert found.state is Health.BROKEN and "box is open" in found.found


def test_pins_that_this_user_may_not_use(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.doctor.door.os.access", lambda *_: False)
    found = only(door.check(patient(pi)), "pins")
    assert found.state is Health.ATTENTION and "group gpio" in found.mend


def test_a_pi_without_the_library_of_its_pins(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)  # importing it fails
    found = only(door.check(patient(pi)), "pins")
    # What Python says of the import has a semicolon of its own, in parentheses.
    assert found.state is Health.BROKEN and found.mend.startswith("install 'kaimen[pi]'")


def test_the_chip_of_the_header_is_named(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    pi.remove("dev/gpiochip0")
    Machine.installed(monkeypatch, {11: EXPANDER, 15: RP1}, pi.root / "dev")
    found = only(door.check(patient(pi)), "pins")
    assert found.state is Health.OK
    assert found.found == "relay 17; gpiochip15 (pinctrl-rp1)"


def test_a_pi_whose_header_nobody_knows(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    Machine.installed(monkeypatch, {0: EXPANDER}, pi.root / "dev")
    found = only(door.check(patient(pi)), "pins")
    assert found.state is Health.BROKEN and EXPANDER in found.found


# The machine


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.02, Health.OK), (0.5, Health.ATTENTION), (2.0, Health.BROKEN)]
)
def test_a_decision_in_time_and_one_that_is_late(seconds: float, state: Health) -> None:
    found = encoder.speed(seconds, "")
    assert found.state is state
    assert found.measured["ratio"] == pytest.approx(encoder.PHRASE / seconds)


@pytest.mark.parametrize("seconds", [0.2, 2.0])
def test_where_the_large_encoder_is_late_the_small_one_is_advised(seconds: float) -> None:
    advice = '[encoder] model = "small"'
    assert advice in encoder.speed(seconds, "large").mend
    assert advice not in encoder.speed(seconds, "small").mend
    assert advice not in encoder.speed(seconds, "").mend  # a setting would change nothing


def test_where_the_large_encoder_has_room_it_is_recommended() -> None:
    (found,) = encoder.room(0.01)
    assert found.state is Health.ATTENTION and "knows voices better" in found.found
    assert '[encoder] model = "large"' in found.mend
    assert list(encoder.room(0.9 * encoder.ALLOWED)) == []


@pytest.mark.parametrize(("decision", "advised"), [(0.001, True), (0.1, False)])
def test_of_the_small_encoder_both_are_measured(
    decision: float, advised: bool, pi: Pi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    large = tmp_path / "encoder.tflite"
    network, card = second()
    large.write_bytes(network)
    large.with_suffix(".json").write_bytes(card)
    monkeypatch.setitem(voice.ENCODERS, "large", large)
    monkeypatch.setattr(encoder, "median", lambda work: (work(), decision)[1])
    found = {each.name: each for each in encoder.check(patient(pi, encoder=SMALL))}
    assert found["encoder"].measured["model"] == "small"
    assert found["encoder"].found.startswith("the small one: ")
    assert ("model" in found) is advised


def status(free: int, flags: int = 0) -> SimpleNamespace:
    return SimpleNamespace(f_bavail=free, f_frsize=1, f_flag=flags)


@pytest.mark.parametrize(
    ("free", "state"),
    [(4 << 30, Health.OK), (100 << 20, Health.ATTENTION), (1 << 20, Health.BROKEN)],
)
def test_room_on_the_disk(
    free: int, state: Health, pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaimen.doctor.machine.os.statvfs", lambda _: status(free))
    assert only(machine.disk(patient(pi)), "disk").state is state


def test_a_disk_that_cannot_be_written(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.doctor.machine.os.statvfs", lambda _: status(4 << 30, os.ST_RDONLY))
    found = only(machine.disk(patient(pi)), "disk")
    assert found.state is Health.BROKEN and "read-only" in found.found


def test_a_clock_of_before_the_installation(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    early = datetime.datetime(1970, 1, 1, 0, 5)
    monkeypatch.setattr("kaimen.doctor.machine.local_now", lambda: early)
    (found,) = machine.clock(patient(pi))
    assert found.state is Health.BROKEN and "1970-01-01" in found.found


def test_the_firmwares_own_program_is_asked_where_the_kernel_does_not_say(pi: Pi) -> None:
    pi.remove("sys/devices/platform/soc/soc:firmware/get_throttled")
    pi.program("vcgencmd", '#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    (found,) = machine.power(patient(pi))
    assert found.state is Health.ATTENTION and "0x50000" in found.found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_units_are_judged_by_systemds_own_tool(pi: Pi) -> None:
    pi.program("systemd-analyze", f'#!/bin/sh\nexec {shutil.which("systemd-analyze")} "$@"\n')
    found = only(services.check(patient(pi)), "hardening")
    assert found.state is Health.OK and found.measured["exposure"]
    path = "etc/systemd/system/kaimen-gate.service"
    pi.write(path, "[Service]\nExecStart=/bin/true\n")
    found = only(services.check(patient(pi)), "hardening")
    assert found.state is Health.BROKEN and "kaimen-gate" in found.found


def test_without_systemd_one_line_says_so(pi: Pi) -> None:
    shutil.rmtree(pi.root / "run/systemd/system")
    pi.remove("etc/systemd/system/kaimen-gate.service")
    assert [each.name for each in services.check(patient(pi))] == ["services"]


def test_on_a_narrow_terminal_a_path_is_shown_whole() -> None:
    path = "/home/somebody/.local/share/kaimen/gallery.calibration.json"
    shown = Console(width=60, file=StringIO(), color_system=None)
    shown.print(command._table([ok("key", path)]))
    assert path in re.sub(r"\s", "", shown.file.getvalue())


# Whatever goes wrong


def test_a_check_that_raises_is_broken_and_ends_nothing(pi: Pi) -> None:
    def raises(_: Patient) -> Iterator[Finding]:
        yield ok("first", "it is well")
        raise ZeroDivisionError("oh")

    checks = [("odd", raises), ("power", MACHINE["power"])]
    found = list(examine(patient(pi), checks))
    assert [(each.name, each.state) for each in found] == [
        ("first", Health.OK),
        ("odd", Health.BROKEN),
        ("power", Health.OK),
    ]
    assert "ZeroDivisionError" in found[1].found


@pytest.mark.parametrize("name", ["gallery", "key", "log"])
def test_what_this_user_may_not_look_at_is_not_broken(
    name: str, pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.enroll()

    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    for module in ("gallery", "key", "log"):
        monkeypatch.setattr(f"kaimen.doctor.{module}.require_readable", forbidden)
    (found,) = examine(
        replace(patient(pi), installation=Installation.open(Settings.read(pi.written()))),
        [(name, GATE[name])],
    )
    assert found.state is Health.ATTENTION and "sudo" in found.mend


def test_a_file_that_is_not_there_is_another_matter(tmp_path: Path) -> None:
    require_readable(tmp_path / "nothing")


def test_settings_that_cannot_be_read_are_a_line_and_the_machine_is_examined(
    pi: Pi, capsys: pytest.CaptureFixture
) -> None:
    pi.config.write_text("[door]\npni = 3\n")
    assert main(["doctor", "--config", str(pi.config), "--root", str(pi.root)]) == 1
    shown = capsys.readouterr().out
    assert "did you mean pin" in " ".join(shown.split()) and "undervoltage" in shown


def test_the_services_settings_are_read_where_no_others_are_named(
    pi: Pi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(command, "SYSTEM", pi.written())
    assert main(["doctor", "--root", str(pi.root), "--play", str(pi.sound), "--json"]) == 1
    assert str(pi.data) in capsys.readouterr().out
