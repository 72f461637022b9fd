"""`kaimen settings`, and the file that is read where none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaimen.cli.main import main
from kaimen.settings import Settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text('[door]\npin = 5\n[[roster]]\ngroups = ["7a"]\ncloses = "16:00"\n')
    return path


def shown(capsys: pytest.CaptureFixture) -> dict[tuple[str, str], object]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {(line["section"], line.get("setting", "")): line.get("value") for line in lines}


def test_every_setting_is_shown_with_what_was_chosen(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["settings", "--config", str(config), "--json"]) == 0
    found = shown(capsys)
    assert found["door", "pin"] == 5
    assert found["door", "lease"] == Settings().door.lease
    assert ("roster", "") in found


def test_a_person_sees_what_is_not_the_default(config: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["settings", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if "[door]" in line and " pin " in line]
    assert "5" in line and "17" in line


def test_a_mistake_is_said_with_exit_code_2(config: Path, capsys: pytest.CaptureFixture) -> None:
    config.write_text("[door]\npins = 5\n")
    assert main(["settings", "--config", str(config)]) == 2
    assert "did you mean pin" in capsys.readouterr().err


def test_the_environment_names_a_file_and_the_option_another(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("KAIMEN_CONFIG", str(config))
    assert main(["settings", "--json"]) == 0
    assert shown(capsys)["door", "pin"] == 5
    other = tmp_path / "other.toml"
    other.write_text("[door]\npin = 6\n")
    assert main(["settings", "--config", str(other), "--json"]) == 0
    assert shown(capsys)["door", "pin"] == 6
