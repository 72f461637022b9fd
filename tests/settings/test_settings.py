"""Settings: defaults that work, and nothing misspelt passes."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import SettingsError
from kaimen.settings import (
    BridgeSettings,
    BundleSettings,
    DoorSettings,
    EncoderSettings,
    GallerySettings,
    GateSettings,
    MqttSettings,
    Settings,
    SoundSettings,
)
from kaimen.settings.encoder import ENCODERS
from kaimen.settings.folders import data_folder
from kaimen.voice import SHIPPED, SMALL

# Letters and marks that JSON and TOML write alike.
TEXT = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=20)
EVERYTHING = st.builds(
    Settings,
    sound=st.builds(SoundSettings, microphone=TEXT),
    encoder=st.builds(
        EncoderSettings, path=TEXT, model=st.sampled_from(sorted(ENCODERS)), runtime=TEXT
    ),
    bundle=st.builds(BundleSettings, path=TEXT, trusted=TEXT),
    gallery=st.builds(GallerySettings, path=TEXT, key=TEXT),
    gate=st.builds(GateSettings, free_tries=st.integers(0, 9), lockout=st.floats(0, 960)),
    door=st.builds(
        DoorSettings,
        pin=st.integers(0, 27),
        lease=st.floats(0.01, 60),
        active_high=st.booleans(),
        mock=st.booleans(),
    ),
    bridge=st.builds(
        BridgeSettings,
        cards=TEXT,
        mqtt=st.builds(MqttSettings, host=TEXT, port=st.integers(1, 65535), tls=st.booleans()),
    ),
)


def as_toml(settings: Settings) -> str:
    lines = []
    for section, table in asdict(settings).items():
        if section == "roster":
            continue  # test_roster.py writes it as operators do
        within = {name: value for name, value in table.items() if isinstance(value, dict)}
        for where, values in {"": table, **within}.items():
            lines.append(f"[{section}.{where}]" if where else f"[{section}]")
            lines += [
                f"{name} = {json.dumps(value, ensure_ascii=False)}"
                for name, value in values.items()
                if name not in within
            ]
    return "\n".join(lines)


def write(folder: Path, text: str) -> Path:
    path = folder / "kaimen.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """What a person reads when a configuration is refused."""
    with pytest.raises(SettingsError) as caught:
        Settings.read(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_without_a_file_the_defaults_hold() -> None:
    settings = Settings.read(None)
    assert settings == Settings()
    assert settings.encoder.path == ""
    assert 0 < settings.door.lease <= 10
    assert settings.door.active_high
    assert not settings.door.mock


def test_a_model_is_one_that_comes_along(tmp_path: Path) -> None:
    assert Settings().encoder.shipped == SHIPPED
    assert Settings.read(write(tmp_path, '[encoder]\nmodel = "small"\n')).encoder.shipped == SMALL
    sentence = refusal(write(tmp_path, '[encoder]\nmodel = "tiny"\n'))
    assert sentence.endswith("[encoder] encoder.model must be large or small")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert Settings.read(write(tmp_path, "")) == Settings()


def test_what_is_not_mentioned_keeps_its_default(tmp_path: Path) -> None:
    settings = Settings.read(write(tmp_path, "[door]\npin = 4\n"))
    assert settings == Settings(door=DoorSettings(pin=4))


@given(EVERYTHING)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    path = write(tmp_path_factory.mktemp("settings"), as_toml(settings))
    assert Settings.read(path) == settings


def test_a_whole_number_will_do_where_a_number_is_asked_for(tmp_path: Path) -> None:
    assert Settings.read(write(tmp_path, "[door]\nlease = 2\n")).door.lease == 2


@pytest.mark.parametrize("section", [field.name for field in fields(Settings)])
def test_a_misspelt_section_is_answered_with_the_right_one(tmp_path: Path, section: str) -> None:
    assert refusal(write(tmp_path, f"[{section}x]\n")).endswith(
        f"knows no {section}x; did you mean {section}?"
    )


def test_a_misspelt_setting_is_answered_with_the_right_one(tmp_path: Path) -> None:
    sentence = refusal(write(tmp_path, "[door]\nleese = 2.0\n"))
    assert sentence.endswith("[door] knows no leese; did you mean lease?")


def test_a_setting_like_no_other_is_answered_with_all_of_them(tmp_path: Path) -> None:
    sentence = refusal(write(tmp_path, "[encoder]\ncolour = 2.0\n"))
    assert sentence.endswith("knows no colour; known: path, model, runtime")


@pytest.mark.parametrize(
    ("section", "line", "kind"),
    [
        ("door", "pin = 17.0", "int"),
        ("door", "pin = true", "int"),
        ("door", 'lease = "3"', "float"),
        ("door", "lease = true", "float"),
        ("door", "mock = 1", "bool"),
        ("door", "active_high = 'yes'", "bool"),
        ("sound", "microphone = 2", "str"),
        ("gallery", "path = ['a']", "str"),
        ("door", "lease = 2026-01-01", "float"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    tmp_path: Path, section: str, line: str, kind: str
) -> None:
    sentence = refusal(write(tmp_path, f"[{section}]\n{line}\n"))
    assert f"[{section}] {line.split()[0]} must be a {kind}" in sentence


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("door", "lease = 0"),
        ("door", "lease = -1.0"),
        ("door", "lease = 61"),
        ("door", "lease = nan"),
        ("door", "lease = inf"),
        ("door", "pin = 28"),
        ("door", "pin = -1"),
    ],
)
def test_a_value_out_of_range_is_refused(tmp_path: Path, section: str, line: str) -> None:
    sentence = refusal(write(tmp_path, f"[{section}]\n{line}\n"))
    assert f"{section}.{line.split()[0]} must be" in sentence


@pytest.mark.parametrize(
    "options",
    [{"lease": 0.0}, {"pin": 28}],
)
def test_a_value_out_of_range_is_refused_without_a_file_too(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        DoorSettings(**options)


def test_a_section_that_is_a_value_is_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "door = 3\n")).endswith("door is a section; write [door]")


@pytest.mark.parametrize(
    "text", ["[door", "door: 3", "[door]\npin = 4\npin = 5", f"a = {'[' * 100_000}"]
)
def test_what_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "not TOML" in refusal(write(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kaimen.toml"
    path.write_bytes(b"\xff\xfe")
    assert "not TOML" in refusal(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refusal(tmp_path / "kaimen.toml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        Settings().door.pin = 4  # type: ignore[misc]


def test_a_gallery_lives_where_it_is_told_to() -> None:
    assert GallerySettings("school/a.npz").file == Path("school/a.npz")


def test_a_gallery_lives_in_the_services_folder_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/li/data")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/kaimen")
    assert GallerySettings().file == Path("/var/lib/kaimen/gallery.sqlite")


def test_a_gallery_lives_in_the_users_folder_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/li/data")
    assert data_folder() == Path("/home/li/data/kaimen")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/li")
    assert data_folder() == Path("/home/li/.local/share/kaimen")


def test_the_key_lives_apart_from_the_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/li/data")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/li/config")
    assert GallerySettings().key_file == Path("/home/li/config/kaimen/gallery.key")
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", "/etc/kaimen")
    assert GallerySettings().key_file == Path("/etc/kaimen/gallery.key")
    assert GallerySettings(key="a/b").key_file == Path("a/b")


def test_a_console_that_others_can_reach_is_refused_without_tls() -> None:
    with pytest.raises(SettingsError, match=r"\[console\] console.host is 0.0.0.0"):
        Settings.parse('[console]\nhost = "0.0.0.0"\n', "kaimen.toml")


def test_the_gates_feed_is_in_its_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert Settings().console.feed_path == Path("/run/user/1000/kaimen/feed")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/kaimen-gate")
    assert Settings().console.feed_path == Path("/run/kaimen-gate/feed")


@pytest.mark.parametrize(
    "line",
    [
        "port = 65536",
        'certificate = "a.pem"',
        'proxy = "gate.example"',
        'proxy_header = "X Remote"',
        "idle = 0.0",
        "longest = 169.0",
        'names = "everybody"',
    ],
)
def test_a_console_of_unfit_settings_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="console"):
        Settings.parse(f"[console]\n{line}\n", "kaimen.toml")
