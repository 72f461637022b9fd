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

from kaimen.access.lockout import FIRST, FREE, LONGEST
from kaimen.door.relay import LEASE, PIN
from kaimen.errors import SettingsError
from kaimen.settings.roster import Rule
from kaimen.voice import ENCODERS

SYSTEM = Path("/etc/kaimen/kaimen.toml")  # what the services read
POLICIES = ("voice", "claim", "challenge")


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

    path: str = ""  # empty: the active bundle's, or the model that comes along
    model: str = "large"  # which comes along; "small" for a Pi 3, a Zero 2 W and older
    runtime: str = ""  # tflite_runtime or ai_edge_litert; empty: whichever is there

    def __post_init__(self) -> None:
        if self.model not in ENCODERS:
            raise SettingsError(f"encoder.model must be {' or '.join(ENCODERS)}")

    @property
    def shipped(self) -> Path:
        """Return where the model that comes along is."""
        return ENCODERS[self.model]


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
class BundleSettings:
    """[bundle]"""

    path: str = ""  # of the two slots; empty: bundles in the data folder
    trusted: str = ""  # of the folder with public keys; empty: trusted in the configuration folder

    @property
    def folder(self) -> Path:
        """Where bundles are installed."""
        return Path(self.path) if self.path else data_folder() / "bundles"

    @property
    def keys(self) -> Path:
        """Where the public keys are whose bundles this gate takes."""
        return Path(self.trusted) if self.trusted else configuration_folder() / "trusted"


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """[door]; pins as BCM counts, -1 for what is not wired"""

    pin: int = PIN  # of the relay
    lease: float = LEASE  # seconds one decision may hold the relay
    pulse: float = 0.0  # seconds of a lease that the relay is on; 0: all of it
    active_high: bool = True
    contact: int = -1  # tells whether the door stands open
    contact_closed: str = "low"  # or "high": the contact's level while the door is closed
    held: float = 20.0  # seconds the door may stand open after a lease
    button: int = -1  # exit button
    tamper: int = -1  # switch in the box, low while it is closed
    green: int = -1
    red: int = -1
    buzzer: int = -1
    socket: str = ""  # where 'kaimen door' listens; empty: the door is started as a child
    mock: bool = False  # pins that only remember, even on a Pi

    def __post_init__(self) -> None:
        if not 0 < self.lease <= 60:
            raise SettingsError("door.lease must be more than 0 and at most 60 seconds")
        if not 0 <= self.pulse <= self.lease:
            raise SettingsError("door.pulse must be from 0 to the lease, in seconds")
        if not 0 < self.held <= 3600:
            raise SettingsError("door.held must be more than 0 and at most 3600 seconds")
        if self.contact_closed not in ("low", "high"):
            raise SettingsError("door.contact_closed must be low or high")
        if not 0 <= self.pin <= 27:
            raise SettingsError("door.pin must be a BCM number from 0 to 27")
        used = {self.pin: "pin"}
        for name in ("contact", "button", "tamper", "green", "red", "buzzer"):
            pin = getattr(self, name)
            if not -1 <= pin <= 27:
                raise SettingsError(f"door.{name} must be a BCM number from 0 to 27, or -1")
            if pin in used:
                raise SettingsError(f"door.{name} must be another pin than door.{used[pin]}: {pin}")
            if pin >= 0:
                used[pin] = name


@dataclass(frozen=True, slots=True)
class GateSettings:
    """[gate]"""

    free_tries: int = FREE  # unknown voices before the door hears nobody for a while
    lockout: float = FIRST  # seconds of the first wait, doubled by each further one; 0: never
    policy: str = "voice"  # what opens: voice; claim: and who one says one is; challenge: and words
    retry: bool = True  # ask once more who is nearly known

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise SettingsError(f"gate.policy must be one of {', '.join(POLICIES)}")
        if self.free_tries < 0 or not 0 <= self.lockout <= LONGEST:
            raise SettingsError(
                f"gate.free_tries must not be negative, gate.lockout from 0 to {LONGEST:g} seconds"
            )


@dataclass(frozen=True, slots=True)
class ChecksSettings:
    """[checks]: what must be so besides the voice"""

    phrase: bool = True  # the words that were enrolled
    loudspeaker: bool = True  # no sound of one
    replay: bool = True  # nothing that was heard before


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen."""

    sound: SoundSettings = field(default_factory=SoundSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    bundle: BundleSettings = field(default_factory=BundleSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    gate: GateSettings = field(default_factory=GateSettings)
    checks: ChecksSettings = field(default_factory=ChecksSettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    roster: tuple[Rule, ...] = ()  # [[roster]]; empty: everybody, always

    @classmethod
    def read(cls, path: Path | None) -> Settings:
        """Read a TOML file; the defaults without one. Raises SettingsError."""
        if path is None:
            return cls()
        try:
            return cls.parse(path.read_bytes(), path)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None

    @classmethod
    def parse(cls, written: str | bytes, where: Path | str) -> Settings:
        """The settings of a TOML text from somewhere. Raises SettingsError."""
        try:
            text = written if isinstance(written, str) else written.decode()
            content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{where}: not TOML ({error})") from None
        settings = cls()
        _refuse_unknown(content, settings, str(where))
        rules = content.pop("roster", [])
        if not isinstance(rules, list):
            raise SettingsError(f"{where}: roster is a list of sections; write [[roster]]")
        places = [f"{where}: [[roster]] {number}" for number in range(1, len(rules) + 1)]
        roster = tuple(map(Rule.read, rules, places))
        settings = replace(settings, roster=roster)
        for name, table in content.items():
            if not isinstance(table, dict):
                raise SettingsError(f"{where}: {name} is a section; write [{name}]")
            section = _fill(getattr(settings, name), table, f"{where}: [{name}]")
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
