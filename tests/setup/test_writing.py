"""The settings file that setup writes: what is not asked about stays as it was."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import SettingsError, StorageError
from kaimen.settings import DoorSettings, Settings, SoundSettings
from kaimen.setup.writing import FRESH, INSTALLED, before, rendered, write

SHIPPED = Path(__file__).parents[2] / "deploy" / "kaimen.toml"

names = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20)
settings = st.builds(
    lambda name, pins, high, lease, closed: Settings(
        sound=SoundSettings(name),
        door=DoorSettings(
            pin=pins[0],
            contact=pins[1],
            button=pins[2],
            active_high=high,
            lease=lease,
            contact_closed=closed,
        ),
    ),
    names,
    st.lists(st.integers(0, 27), min_size=3, max_size=3, unique=True),
    st.booleans(),
    st.floats(0.01, 60),
    st.sampled_from(["low", "high"]),
)


@given(settings)
def test_what_is_written_is_what_is_read(wanted: Settings) -> None:
    assert Settings.parse(rendered(FRESH, wanted), "") == wanted


@given(settings, settings)
def test_written_again_it_says_the_new_values_and_keeps_its_lines(
    first: Settings, second: Settings
) -> None:
    once = rendered(FRESH, first)
    twice = rendered(once, second)
    assert Settings.parse(twice, "") == second
    assert [line.partition("=")[0] for line in twice.split("\n")] == [
        line.partition("=")[0] for line in once.split("\n")
    ]


def test_the_shipped_file_keeps_its_comments() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    made = rendered(text, replace(Settings(), door=DoorSettings(pin=4)))
    missing = [line for line in text.splitlines() if line not in made.splitlines()]
    assert [line.split()[0] for line in missing] == ["pin", *missing[1:]]
    assert 'socket = "/run/kaimen/door"   # of kaimen-door.service' in made


def test_a_new_file_of_the_services_finds_what_the_shipped_one_does() -> None:
    ours, theirs = (
        tomllib.loads(text) for text in (INSTALLED, SHIPPED.read_text(encoding="utf-8"))
    )
    assert ours["gallery"] == theirs["gallery"]
    assert ours["door"]["socket"] == theirs["door"]["socket"]


@pytest.mark.parametrize(
    "text",
    ["door = { pin = 4 }\n", "door.pin = 4\n", '[door]\n"pin" = 4\n', '["door"]\npin = 4\n'],
)
def test_what_cannot_be_changed_without_harm_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="on a line of its own"):
        rendered(text, Settings())


def test_a_line_that_only_looks_like_a_setting_is_refused_not_changed() -> None:
    text = '[sound]\nmicrophone = """\nx"""\n[door]\npin = 3\n'
    with pytest.raises(SettingsError, match="on a line of its own"):
        rendered(text, Settings())


def test_what_was_there_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kaimen.toml"
    assert not write(path, "first\n")
    assert [each.name for each in path.parent.iterdir()] == ["kaimen.toml"]
    assert write(path, "second\n")
    assert (path.read_text(), before(path).read_text()) == ("second\n", "first\n")


def test_the_services_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "kaimen.toml"
    own = os.umask(0o077)
    try:
        write(path, "first\n")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(own)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kaimen.toml"
    write(path, "first\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kaimen.storage.os.fsync", full)
    with pytest.raises(StorageError, match="untouched"):
        write(path, "second\n")
    assert path.read_text() == "first\n"
    assert [each.name for each in tmp_path.iterdir()] == ["kaimen.toml"]
