"""`kaimen setup` without a terminal: everything by options, or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from kaimen.cli import setup
from kaimen.cli.main import main
from kaimen.settings import Settings


def test_everything_can_be_set_without_asking(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "kaimen.toml"
    options = "--relay 5 --active low --microphone USB --lease 4 --contact 22 --closed high"
    given = [*options.split(), "--button", "23", "--reader", "/dev/ttyUSB0"]
    assert main(["setup", "--yes", *given, "--out", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] == str(path) and said["before"] is None
    assert said["settings"]["lease"] == 4.0
    found = Settings.read(path)
    assert found.sound.microphone == "USB"
    door = found.door
    assert (door.pin, door.active_high, door.lease) == (5, False, 4.0)
    assert (door.contact, door.contact_closed, door.button) == (22, "high", 23)
    assert found.reader.path == "/dev/ttyUSB0"


def test_what_is_not_given_stays(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "kaimen.toml"
    path.write_text("[door]\npin = 6\ncontact = 7\n[checks]\nreplay = false\n")
    assert main(["setup", "--yes", "--contact", "none", "--config", str(path)]) == 0
    found = Settings.read(path)
    assert (found.door.pin, found.door.contact, found.checks.replay) == (6, -1, False)
    assert f"{path}.before" in capsys.readouterr().out


def test_other_settings_can_be_the_beginning(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("[gate]\nretry = false\n")
    assert main(["setup", "--yes", "--config", str(old), "--out", str(new)]) == 0
    assert not Settings.read(new).gate.retry
    assert old.read_text() == "[gate]\nretry = false\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--relay", "28"],
        ["--relay", "x"],
        ["--active", "middle"],
        ["--lease", "0"],
        ["--contact", "17"],
        ["--closed", "both"],
        ["--button", "99"],
        ["--reader", "usb"],
    ],
    ids=lambda options: " ".join(options),
)
def test_a_wrong_option_writes_nothing(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["setup", "--yes", *options, "--out", str(tmp_path / "kaimen.toml")]) == 2
    assert options[0] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_read_are_left(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "kaimen.toml"
    path.write_text("[door]\npni = 6\n")
    assert main(["setup", "--yes", "--config", str(path)]) == 2
    assert "did you mean pin" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["kaimen.toml"]


def test_a_misspelt_beginning_is_no_new_one(tmp_path: Path) -> None:
    options = ["--config", str(tmp_path / "kaimne.toml"), "--out", str(tmp_path / "new.toml")]
    assert main(["setup", "--yes", *options]) == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("4\n" * 20))
    assert main(["setup", "--out", str(tmp_path / "kaimen.toml")]) == 2
    assert "--yes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_where_it_may_not_be_written_sudo_is_named_before_the_first_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("kaimen.cli.setup.os.access", lambda *_: False)
    assert main(["setup", "--out", str(tmp_path / "a" / "kaimen.toml")]) == 6
    assert "sudo" in capsys.readouterr().err


def test_the_services_file_begins_with_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kaimen.toml"
    monkeypatch.setattr(setup, "SYSTEM", path)
    assert main(["setup", "--yes", "--relay", "4"]) == 0
    found = Settings.read(path)
    assert found.door.socket == "/run/kaimen/door"
    assert found.gallery.file == Path("/var/lib/kaimen/gallery.sqlite")
