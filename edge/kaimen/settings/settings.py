"""Everything that can be chosen, read from a TOML file.

Every setting has a default that works; an unknown one is an error, since a misspelt
setting that is silently ignored is how doors stay open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kaimen.errors import SettingsError
from kaimen.parsing import read_toml
from kaimen.settings.bridge import BridgeSettings
from kaimen.settings.bundle import BundleSettings
from kaimen.settings.checks import ChecksSettings
from kaimen.settings.console import ConsoleSettings
from kaimen.settings.door import DoorSettings
from kaimen.settings.encoder import EncoderSettings
from kaimen.settings.fleet import FleetSettings
from kaimen.settings.gallery import GallerySettings
from kaimen.settings.gate import GateSettings
from kaimen.settings.privacy import PrivacySettings
from kaimen.settings.reader import ReaderSettings
from kaimen.settings.review import ReviewSettings
from kaimen.settings.roster import Rule
from kaimen.settings.section import filled, refuse_unknown
from kaimen.settings.sound import SoundSettings

SYSTEM = Path("/etc/kaimen/kaimen.toml")  # what the services read


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen."""

    sound: SoundSettings = field(default_factory=SoundSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    bundle: BundleSettings = field(default_factory=BundleSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    gate: GateSettings = field(default_factory=GateSettings)
    reader: ReaderSettings = field(default_factory=ReaderSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    checks: ChecksSettings = field(default_factory=ChecksSettings)
    review: ReviewSettings = field(default_factory=ReviewSettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    bridge: BridgeSettings = field(default_factory=BridgeSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
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
        """Return the settings of a TOML text from somewhere. Raises SettingsError."""
        try:
            text = written if isinstance(written, str) else written.decode()
            content = read_toml(text)
        except ValueError as error:
            raise SettingsError(f"{where}: not TOML ({error})") from None
        settings = cls()
        refuse_unknown(content, settings, str(where))
        rules = content.pop("roster", [])
        if not isinstance(rules, list):
            raise SettingsError(f"{where}: roster is a list of sections; write [[roster]]")
        places = [f"{where}: [[roster]] {number}" for number in range(1, len(rules) + 1)]
        roster = tuple(map(Rule.read, rules, places))
        settings = replace(settings, roster=roster)
        for name, table in content.items():
            if not isinstance(table, dict):
                raise SettingsError(f"{where}: {name} is a section; write [{name}]")
            section = filled(getattr(settings, name), table, f"{where}: [{name}]")
            settings = replace(settings, **{name: section})
        return settings
