"""From a board's device tree to its encoder: what setup writes, and what the doctor says of it.

The trees are laid out in a folder, as the firmware of each board makes them; no board was at hand,
so how long a decision takes there is given, not measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaimen import voice
from kaimen.cli.main import main
from kaimen.doctor import encoder as doctors_encoder
from kaimen.door import board
from kaimen.settings import Settings
from tests.bundle.made import second
from tests.doctor.pi import Pi

Lines = dict[str, dict[str, Any]]
TREES = {  # model, compatible, revision code
    "Zero 2 W": ("Raspberry Pi Zero 2 W Rev 1.0", "raspberrypi,model-zero-2-w,bcm2837", 0x902120),
    "3B": ("Raspberry Pi 3 Model B Rev 1.2", "raspberrypi,3-model-b,bcm2837", 0xA02082),
    "3B+": ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberrypi,3-model-b-plus,bcm2837", 0xA020D3),
    "CM3+": ("Raspberry Pi Compute Module 3 Plus Rev 1.0", "raspberrypi,3-compute-module-plus,"
             "bcm2837", 0xA02100),
    "4": ("Raspberry Pi 4 Model B Rev 1.5", "raspberrypi,4-model-b,bcm2711", 0xB03115),
    "CM4": ("Raspberry Pi Compute Module 4 Rev 1.1", "raspberrypi,4-compute-module,bcm2711",
            0xB03141),
    "5": ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b,bcm2712", 0xC04170),
    "CM5": ("Raspberry Pi Compute Module 5 Rev 1.0", "raspberrypi,5-compute-module,bcm2712",
            0xC04180),
}  # fmt: skip
SLOW = ("Zero 2 W", "3B", "3B+", "CM3+")
LATE = 0.3  # seconds of a decision: longer than the gate waits anyway
EARLY = 0.05


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pi:
    """A machine whose large encoder is another file than the small one."""
    network, card = second()
    large = tmp_path / "large" / "encoder.tflite"
    large.parent.mkdir()
    large.write_bytes(network)
    large.with_suffix(".json").write_bytes(card)
    monkeypatch.setitem(voice.ENCODERS, "large", large)
    made = Pi(tmp_path)
    monkeypatch.setattr(board, "ROOT", made.root)
    return made


def lay_out(pi: Pi, name: str) -> str:
    """Make the board's device tree; return its model."""
    model, compatible, revision = TREES[name]
    pi.write("proc/device-tree/model", f"{model}\0")
    pi.write("proc/device-tree/compatible", compatible.replace(",bcm", "\0brcm,bcm") + "\0")
    place = pi.write("proc/device-tree/system/linux,revision")
    place.write_bytes(revision.to_bytes(4, "big"))
    return model


def set_up(pi: Pi) -> str:
    """Run setup as somebody does who asks for nothing; return the model that it wrote."""
    config = pi.written()
    assert main(["setup", "--yes", "--config", str(config)]) == 0
    return Settings.read(config).encoder.model


def examine(pi: Pi, capsys: pytest.CaptureFixture[str], model: str) -> Lines:
    """Return the doctor's lines, by what is examined."""
    pi.settings["encoder"] = {"model": model}
    capsys.readouterr()
    pi.examined("--json")
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return {line["name"]: line for line in lines if "name" in line}


@pytest.mark.parametrize("name", TREES)
def test_setup_chooses_the_encoder_by_the_device_tree(
    name: str, gate: Pi, capsys: pytest.CaptureFixture[str]
) -> None:
    model = lay_out(gate, name)
    assert set_up(gate) == ("small" if name in SLOW else "large")
    said = capsys.readouterr().err
    assert (f"this board is a {model}: it gets the small encoder" in said) == (name in SLOW)


@pytest.mark.parametrize("name", ["Zero 2 W", "3B", "4", "5"])
def test_the_doctor_is_content_with_what_setup_chose(
    name: str, gate: Pi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(gate, name)
    chosen = set_up(gate)
    monkeypatch.setattr(doctors_encoder, "median", lambda do: 0.1 if name in SLOW else EARLY)
    found = examine(gate, capsys, chosen)
    assert found["encoder"]["measured"]["model"] == chosen
    assert found["speed"]["state"] == "ok" and "model" not in found


@pytest.mark.parametrize("name", ["Zero 2 W", "3B"])
def test_the_doctor_advises_a_small_board_to_take_the_small_one(
    name: str, gate: Pi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(gate, name)
    monkeypatch.setattr(doctors_encoder, "median", lambda do: LATE)
    found = examine(gate, capsys, "large")
    assert found["speed"]["state"] == "attention"
    assert '[encoder] model = "small"' in found["speed"]["mend"]


@pytest.mark.parametrize("name", ["4", "5"])
def test_the_doctor_advises_a_board_with_room_to_take_the_large_one(
    name: str, gate: Pi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(gate, name)
    monkeypatch.setattr(doctors_encoder, "median", lambda do: EARLY / 2)
    found = examine(gate, capsys, "small")
    assert found["model"]["state"] == "attention"
    assert '[encoder] model = "large"' in found["model"]["mend"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Zero 2 W", "5"])
def test_the_doctors_report_names_the_board(
    name: str, gate: Pi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = lay_out(gate, name)
    report = tmp_path / "report.json"
    gate.examined("--json", "--report", str(report))
    machine = json.loads(report.read_text())["machine"]
    assert machine["board"] == model and machine["revision"] == f"{TREES[name][2]:08x}"
