"""Setup chooses the encoder by the board, and never silently for a school that is enrolled."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen import voice
from kaimen.cli.main import main
from kaimen.door import board
from kaimen.errors import GalleryError
from kaimen.registry.enrolled import enrolled
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.settings import Settings
from kaimen.setup.model import model_for, unknown_to
from kaimen.voice import SMALL
from kaimen.voice.encoder import Card
from tests.bundle.made import second

PI_3 = "Raspberry Pi 3 Model B Rev 1.2"
PI_5 = "Raspberry Pi 5 Model B Rev 1.0"


class Gate:
    """A board, its settings and its school."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.config = folder / "kaimen.toml"
        self.registry = folder / "gallery.sqlite"
        self.write()

    def write(self, more: str = "") -> None:
        self.config.write_text(f'[gallery]\npath = "{self.registry}"\n{more}')

    def named(self, name: str) -> None:
        path = self.folder / "proc" / "device-tree" / "model"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + b"\0")

    def enroll(self, model: str, *students: str) -> None:
        identity = Card.read(voice.ENCODERS[model].with_suffix(".json")).sha256
        with closing(Registry(self.registry, Vault())) as registry:
            for student in students:
                registry.enroll(student, np.eye(1, 192, dtype=np.float32), identity)

    def setup(self, *options: str) -> tuple[str, str]:
        """The model that is written, and what is said."""
        assert main(["setup", "--yes", *options, "--config", str(self.config)]) == 0
        return Settings.read(self.config).encoder.model, self.capsys.readouterr().err


@pytest.fixture
def gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gate:
    large = tmp_path / "large" / "encoder.tflite"
    large.parent.mkdir()
    large.with_suffix(".json").write_bytes(second()[1])
    monkeypatch.setitem(voice.ENCODERS, "large", large)
    monkeypatch.setattr(board, "ROOT", tmp_path)
    return Gate(tmp_path, capsys)


def test_a_slow_board_gets_the_small_one_and_is_told(gate: Gate) -> None:
    gate.named(PI_3)
    model, said = gate.setup()
    assert model == "small"
    assert f"this board is a {PI_3}: it gets the small encoder" in said
    assert 'model = "small"' in gate.config.read_text()
    model, said = gate.setup()
    assert model == "small" and "this board" not in said


@pytest.mark.parametrize("name", [PI_5, ""])
def test_on_any_other_it_stays_what_it_is(name: str, gate: Gate) -> None:
    gate.named(name)
    assert gate.setup()[0] == "large"
    gate.write('[encoder]\nmodel = "small"\n')
    model, said = gate.setup()
    assert model == "small" and "encoder" not in said


def test_a_program_is_told_too(gate: Gate) -> None:
    gate.named(PI_3)
    assert main(["setup", "--yes", "--json", "--config", str(gate.config)]) == 0
    note, done = map(json.loads, gate.capsys.readouterr().out.splitlines())
    assert PI_3 in note["note"] and done["settings"]["model"] == "small"


def test_what_is_asked_for_wins_over_the_board(gate: Gate) -> None:
    gate.named(PI_3)
    assert gate.setup("--model", "large")[0] == "large"
    assert gate.setup("--model", "small")[0] == "small"
    assert main(["setup", "--yes", "--model", "tiny", "--config", str(gate.config)]) == 2


def test_a_school_that_is_enrolled_keeps_its_encoder_and_is_told(gate: Gate) -> None:
    gate.named(PI_3)
    gate.enroll("large", "anna", "bo")
    model, said = gate.setup()
    assert model == "large"
    assert "it stays, since 2 students are enrolled with it" in said and "--model small" in said


def test_a_change_that_was_asked_for_names_whom_it_costs(gate: Gate) -> None:
    gate.enroll("large", "anna", "bo")
    model, said = gate.setup("--model", "small")
    assert model == "small"
    assert "2 students are enrolled with the large encoder" in said and "enroll them again" in said


def test_a_school_of_the_small_one_has_nothing_to_lose(gate: Gate) -> None:
    gate.named(PI_3)
    gate.enroll("small", "anna")
    model, said = gate.setup()
    assert model == "small" and "students" not in said


def test_a_gallery_that_cannot_be_read_keeps_its_encoder(gate: Gate) -> None:
    gate.named(PI_3)
    gate.registry.write_bytes(b"no database" * 100)
    model, said = gate.setup()
    assert model == "large" and "the encoder stays large" in said


def test_an_encoder_of_the_settings_stays(gate: Gate) -> None:
    gate.named(PI_3)
    gate.write('[encoder]\npath = "ours.tflite"\n')
    assert gate.setup()[0] == "large"
    assert Settings.read(gate.config).encoder.path == "ours.tflite"


def test_who_is_enrolled_is_read_without_the_key(gate: Gate) -> None:
    assert enrolled(gate.registry) == {"large": 0, "small": 0}
    assert not gate.registry.exists()
    gate.enroll("small", "anna", "bo")
    assert enrolled(gate.registry) == {"large": 0, "small": 2}
    gate.registry.write_bytes(b"x" * 4096)
    with pytest.raises(GalleryError, match="not a registry"):
        enrolled(gate.registry)


def test_two_names_of_one_encoder_leave_nobody_behind(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(voice.ENCODERS, "large", SMALL)
    gate.enroll("small", "anna")
    known = enrolled(gate.registry)
    assert model_for(PI_3, "large", known)[0] == "small"
    assert unknown_to("small", known) == unknown_to("large", known) == ""
