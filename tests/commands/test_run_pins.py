"""A gate whose students enter by card and PIN, without a voice and without a calibration."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.sound import SAMPLE_RATE
from tests.sounds import silence

PIN = "520914"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        f'[door]\nmock = true\nlease = 60.0\n[reader]\npin = true\npath = "{tmp_path}/reader"\n',
        encoding="utf-8",
    )
    soundfile.write(tmp_path / "quiet.wav", silence(2.0), SAMPLE_RATE)
    return path


def readable(path: Path) -> str:
    """What a file says, less its hashes, which have any six digits now and then."""
    return re.sub(r"[0-9a-f]{16,}", "", path.read_bytes().decode("latin-1"))


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def call(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, list[dict]]:
    capsys.readouterr()
    code = main([*arguments, "--json"])
    said = capsys.readouterr()
    assert PIN not in said.out + said.err and "911207" not in said.out + said.err
    return code, [json.loads(line) for line in said.out.splitlines()]


def test_a_student_without_a_voice_enters_by_card_and_pin(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    where = ("--config", str(config))
    typed(monkeypatch, f"{PIN}\n")
    code, said = call(capsys, "students", "Li", "--pin", *where)
    assert code == 4 and "--new" in said[-1]["error"]
    typed(monkeypatch, f"{PIN}\n")
    assert call(capsys, "students", "Li", "--pin", "--new", "--set-group", "7a", *where)[0] == 0
    listed = call(capsys, "students", *where)[1][0]
    assert (listed["group"], listed["recordings"], listed["pin"]) == ("7a", 0, True)
    (config.parent / "reader").write_text(f"Li\n911207\n{PIN}\n", encoding="utf-8")
    quiet = str(config.parent / "quiet.wav")
    code, said = call(capsys, "run", "--play", quiet, *where)
    assert code == 0
    answers = [(each["pin"], each["student"]) for each in said if "pin" in each]
    assert answers == [("refused", None), ("open", "Li")]
    assert any(each.get("door") for each in said)
    kinds = [each["said"] for each in call(capsys, "log", "--student", "Li", *where)[1]]
    assert kinds[0] == "Li: a PIN was set" and kinds[-1] == "opened for Li by card and PIN"
    assert call(capsys, "log", "--refused", *where)[1][0]["said"].endswith("a wrong PIN")
    for path in config.parent.iterdir():
        if path.is_file() and path.name != "reader":
            assert PIN not in readable(path)
    for path in (config.parent / "audit").iterdir():
        assert PIN not in readable(path)


def test_where_pins_are_off_a_card_and_a_pin_open_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    where = ("--config", str(config))
    config.write_text(config.read_text().replace("pin = true", ""), encoding="utf-8")
    typed(monkeypatch, PIN)
    code, said = call(capsys, "students", "Li", "--pin", "--new", *where)
    assert code == 0 and "[reader] pin = true" in said[-1]["note"]
    (config.parent / "reader").write_text(f"Li\n{PIN}\n", encoding="utf-8")
    code, said = call(capsys, "run", "--play", str(config.parent / "quiet.wav"), *where)
    assert not any("pin" in each for each in said)
    code, said = call(capsys, "students", "Li", "--no-pin", *where)
    assert code == 4 and "kaimen erase Li" in said[-1]["error"]
    assert call(capsys, "students", "Li", "--new", *where)[0] == 2
    typed(monkeypatch, "123456")
    assert call(capsys, "students", "Li", "--pin", *where)[0] == 2
