"""`kaimen door --rest` drops the relay whatever became of the door and of its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.cli.main import main
from kaimen.door import pins, process
from kaimen.door.rest import (
    drive_to_rest,
    find_levels,
    levels_of,
    levels_path,
    write_down,
    written_down,
)
from kaimen.errors import DeviceError, SettingsError
from kaimen.settings import DoorSettings
from tests.door.chips import RP1, Machine

MISTAKES = {
    "a time of the roster": '[door]\npin = 22\nactive_high = false\n[[roster]]\nopen = "07:00"\n',
    "a section that is none": "[door]\npin = 22\nactive_high = false\n[dor]\nlease = 3\n",
    "a type": "[door]\npin = 22\nactive_high = false\nlease = true\n",
    "a name in [door]": "[door]\npin = 22\nactive_high = false\nleese = 3\n",
    "a value out of range": "[door]\npin = 22\nactive_high = false\nlease = 6000\n",
    "no TOML after [door]": "[door]\npin = 22\nactive_high = false\n[gate\npolicy = voice\n",
    "no TOML before [door]": "policy voice\n[door]\npin = 22\nactive_high = false # low\n",
    "no TOML in [door]": "[door]\npin = 22\nactive_high = false\nlease = = 3\n",
    "too deep a list": f"[door]\npin = 22\nactive_high = false\n[x]\na = {'[' * 100_000}\n",
    "bytes that are no text": "[door]\npin = 22\nactive_high = false\n# \udcff\n",
}


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setattr("kaimen.cli.door.on_a_pi", lambda: True)
    (tmp_path / "dev").mkdir()
    return Machine.installed(monkeypatch, {12: RP1}, tmp_path / "dev")


@pytest.mark.parametrize("text", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_settings_leaves_no_relay_on(
    text: str, pi: Machine, tmp_path: Path
) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["door", "--rest", "--config", str(config)]) == 0
    assert pi.line(22).did == ["output 1", "given back"]


@pytest.mark.parametrize(
    "text", ["[door]\npinn = 22\n", "[door]\npin = 22\nactive_hihg = false\n", "[door]\npin = 99\n"]
)
def test_no_default_stands_in_for_a_misspelt_name(
    text: str, pi: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text(text, encoding="utf-8")
    assert main(["door", "--rest", "--config", str(config)]) == 2
    assert "kaimen settings" in capsys.readouterr().err
    assert pi.touched() == set()


@pytest.mark.parametrize("text", ["[door]\npinn = 22\n", "[", None])
def test_what_the_door_had_claimed_is_driven_to_rest_where_the_settings_say_nothing(
    text: str | None, pi: Machine, tmp_path: Path
) -> None:
    config, socket = tmp_path / "kaimen.toml", tmp_path / "door"
    if text is not None:
        config.write_text(text, encoding="utf-8")
    write_down(levels_of(DoorSettings(pin=5, active_high=False, buzzer=6)), levels_path(socket))
    given = ["--config", str(config), "--socket", str(socket)]
    assert main(["door", "--rest", *given]) == 0
    assert pi.line(5).driven == [True] and pi.line(6).driven == [False]


def test_a_pin_that_was_changed_while_the_door_ran_is_driven_to_rest_too(
    pi: Machine, tmp_path: Path
) -> None:
    config, socket = tmp_path / "kaimen.toml", tmp_path / "door"
    config.write_text("[door]\npin = 22\n", encoding="utf-8")
    write_down(levels_of(DoorSettings(pin=5, active_high=False)), levels_path(socket))
    assert find_levels(config, socket) == ({5: True, 22: False}, False)


def test_one_that_cannot_be_driven_keeps_none_of_the_others_on(pi: Machine) -> None:
    pi.line(17).taken = True
    with pytest.raises(DeviceError, match="pin 17 cannot be driven to rest"):
        drive_to_rest({17: False, 20: False, 21: False})
    assert pi.line(20).driven == pi.line(21).driven == [False]


def test_a_process_that_is_told_to_rest_drives_only_its_outputs_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "on_a_pi", lambda: True)
    settings = '{"pin": 4, "active_high": false, "red": 0, "button": 5, "mock": true}'
    assert process.main([settings, "--rest", "--trace", str(tmp_path / "trace")]) == 0
    assert [line.split()[1:] for line in (tmp_path / "trace").read_text().splitlines()] == [
        ["4", "1"]
    ]
    assert levels_of(DoorSettings(green=0, buzzer=5)) == {17: False, 0: False, 5: False}


@pytest.mark.parametrize("pin", [0, 27])
def test_every_pin_of_the_header_is_driven_to_rest(pin: int, pi: Machine, tmp_path: Path) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text(f"[door]\npinn = 1\npin = {pin}\nactive_high = true\n", encoding="utf-8")
    assert find_levels(config, None) == ({pin: False}, False)
    config.write_text("[door]\npinn = 1\npin = 28\nactive_high = true\n", encoding="utf-8")
    with pytest.raises(SettingsError):
        find_levels(config, None)


RELAY = "pin = 22\nactive_high = false\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ({17: False}, False)),
        ("", ({17: False}, False)),
        (f"[door]\n{RELAY}green = 0\n", ({22: True, 0: False}, False)),
        ("[door]\nmock = true\n", ({}, True)),
        ("[door]\nmock = true\n[gate\n", ({}, True)),
        (f"mock = true\n[gate\n[door]# of the yard\n{RELAY}", ({22: True}, False)),
        (f"[door]\n{RELAY}  [gate]\nmock = true\n= 3\n", ({22: True}, False)),
        (
            f"[door]\nx = 1\n{RELAY}green = 0\nred = 27\nbuzzer = 28\n",
            ({22: True, 0: False, 27: False}, False),
        ),
        (f"[door]\nx = 1\n{RELAY}green = 22\nred = true\n", ({22: True}, False)),
        ("door = 3\n", SettingsError),
    ],
)
def test_what_is_written_of_the_door_is_found(text: str | None, found: Any, tmp_path: Path) -> None:
    path = None if text is None else tmp_path / "kaimen.toml"
    if text is not None:
        (tmp_path / "kaimen.toml").write_text(text)
    if found is SettingsError:
        with pytest.raises(SettingsError, match="has a mistake"):
            find_levels(path, None)
    else:
        assert find_levels(path, None) == found


def test_simulated_pins_are_left_alone(pi: Machine, tmp_path: Path) -> None:
    config = tmp_path / "kaimen.toml"
    config.write_text("[door]\nmock = true\n", encoding="utf-8")
    assert main(["door", "--rest", "--config", str(config)]) == 0
    assert pi.touched() == set()


@given(st.dictionaries(st.integers(0, 27), st.booleans()))
def test_what_is_written_down_is_read_again(levels: dict[int, bool]) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"kaimen-{os.getpid()}.rest"
    try:
        write_down(levels, path)
        assert written_down(path) == levels
    finally:
        path.unlink(missing_ok=True)


@given(st.binary(max_size=60))
def test_whatever_stands_in_the_settings_it_is_read_or_refused(text: bytes) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"kaimen-{os.getpid()}.toml"
    try:
        path.write_bytes(b"[door]\n" + text)
        find_levels(path, None)
    except SettingsError:
        pass
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("text", ["", "[]", "7", "[" * 100_000, '{"a": true}', '{"28": true}'])
def test_what_nobody_wrote_down_like_that_is_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "door.rest").write_text(text, encoding="utf-8")
    assert written_down(levels_path(tmp_path / "door")) == {}


def test_a_door_writes_down_what_it_claims_and_takes_it_away_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "door"
    seen: list[Any] = []

    def run(self: process.DoorController) -> None:
        seen.append(written_down(levels_path(socket)))

    monkeypatch.setattr(process.DoorController, "run", run)
    monkeypatch.setattr(process.signal, "signal", lambda *_: None)
    settings = '{"pin": 4, "active_high": false, "red": 5}'
    assert process.main([settings, "--socket", str(socket)]) == 0
    assert seen == [{4: True, 5: False}] and not levels_path(socket).exists()


def test_rest_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; from kaimen.cli import door, main\n"
        "import kaimen.door.board as board, kaimen.door.chip as chip\n"
        "door.on_a_pi = lambda: True\n"
        "chip.drive = lambda *_: None; import gpiod\n"
        "main.main(['door', '--rest', '--json']); print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(told.stdout.decode().split())
    assert "kaimen.door.rest" in loaded
    unwanted = {"gpiozero", "numpy", "rich", "socket", "subprocess", "threading", "difflib"}
    assert not unwanted & loaded, unwanted & loaded
