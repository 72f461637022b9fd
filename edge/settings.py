"""What an operator may choose, as value objects read from a TOML file.

Every setting has a default that works; an unknown one is an error, since a misspelt
setting that is silently ignored is how doors stay open.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from edge.door.relay import LEASE, PIN
from edge.errors import SettingsError
from edge.roster import Rule
from edge.voice.encoder import SHIPPED


def data_folder() -> Path:
    """Where a gallery lives if nobody says: systemd's state folder, or the user's."""
    state = os.environ.get("STATE_DIRECTORY")
    if state:
        return Path(state)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "kaimen"


def configuration_folder() -> Path:
    """Where the key lives if nobody says: systemd's configuration folder, or the user's."""
    given = os.environ.get("CONFIGURATION_DIRECTORY")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kaimen"


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """[sound]"""

    microphone: str = ""  # a part of its name; empty: the system's default


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """[encoder]"""

    path: str = str(SHIPPED)
    runtime: str = ""  # tflite_runtime or ai_edge_litert; empty: whichever is there


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """[gallery]"""

    path: str = ""  # of the registry; empty: gallery.sqlite in the data folder
    key: str = ""  # of the file with the key; empty: gallery.key in the configuration folder

    @property
    def file(self) -> Path:
        """Where the registry is; index and calibration lie beside it."""
        return Path(self.path) if self.path else data_folder() / "gallery.sqlite"

    @property
    def key_file(self) -> Path:
        """Where the key is: elsewhere, so that neither is of use without the other."""
        return Path(self.key) if self.key else configuration_folder() / "gallery.key"


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """[door]"""

    pin: int = PIN  # of the relay, as BCM counts
    lease: float = LEASE  # seconds one decision may hold the relay
    active_high: bool = True
    mock: bool = False  # pins that only remember, even on a Pi

    def __post_init__(self) -> None:
        if not 0 < self.lease <= 60:
            raise SettingsError("door.lease must be more than 0 and at most 60 seconds")
        if not 0 <= self.pin <= 27:
            raise SettingsError("door.pin must be a BCM number from 0 to 27")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen."""

    sound: SoundSettings = field(default_factory=SoundSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    roster: tuple[Rule, ...] = ()  # [[roster]]; empty: everybody, always

    @classmethod
    def read(cls, path: Path | None) -> Settings:
        """Read a TOML file; the defaults without one. Raises SettingsError."""
        if path is None:
            return cls()
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: not TOML ({error})") from None
        settings = cls()
        _refuse_unknown(content, settings, str(path))
        rules = content.pop("roster", [])
        if not isinstance(rules, list):
            raise SettingsError(f"{path}: roster is a list of sections; write [[roster]]")
        places = [f"{path}: [[roster]] {number}" for number in range(1, len(rules) + 1)]
        roster = tuple(map(Rule.read, rules, places))
        settings = replace(settings, roster=roster)
        for name, table in content.items():
            if not isinstance(table, dict):
                raise SettingsError(f"{path}: {name} is a section; write [{name}]")
            section = _fill(getattr(settings, name), table, f"{path}: [{name}]")
            settings = replace(settings, **{name: section})
        return settings


Section = TypeVar("Section", bound=Any)


def _fill(section: Section, table: dict[str, Any], where: str) -> Section:
    _refuse_unknown(table, section, where)
    kinds = get_type_hints(type(section))
    for name, value in table.items():
        kind = kinds[name]
        fits = type(value) is kind or (kind is float and type(value) is int)
        if not fits:
            raise SettingsError(f"{where} {name} must be a {kind.__name__}, not {value!r}")
    try:
        return replace(section, **table)
    except SettingsError as error:
        raise SettingsError(f"{where} {error}") from None


def _refuse_unknown(table: dict[str, Any], section: Any, where: str) -> None:
    known = [each.name for each in fields(section)]
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise SettingsError(f"{where} knows no {name}{hint}")
