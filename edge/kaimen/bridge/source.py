"""Where the bridge reads what the gate decided: the log, and the one key that it needs."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kaimen.audit import Follower, Record
from kaimen.audit.chain import LOCK
from kaimen.bridge.card_format import Bits, read_of
from kaimen.bridge.cards import Cards
from kaimen.clock import utc_now
from kaimen.errors import SettingsError, StorageError
from kaimen.settings import BridgeSettings, OsdpSettings, WiegandSettings
from kaimen.storage import write_whole

KEY = 32  # bytes
EVERY = 0.1  # seconds between two looks at the log
CLOCK_STEP = 1.0  # seconds that a record may seem to come from the future

PanelSettings = OsdpSettings | WiegandSettings


@dataclass(frozen=True, slots=True)
class GateLog:
    """A gate's log, its key, and who the students in it are."""

    folder: Path  # of the log
    key: bytes
    cards: Cards = field(default_factory=Cards)
    doctor: Path | None = None  # what the doctor wrote last

    @classmethod
    def of(cls, settings: BridgeSettings, folder: Path, school_key: Path) -> GateLog:
        """Return the one that settings name. Raises SettingsError with what to do."""
        key = read_key(settings.key_file(school_key))
        cards = Cards.read(Path(settings.cards), key) if settings.cards else Cards()
        return cls(folder, key, cards, Path(settings.doctor) if settings.doctor else None)

    def follower(self, cursor: str = "") -> Follower:
        """Follow the log behind a cursor of this name, kept beside it; without one, from now on.

        Who follows for the first time is not told what was before. Raises StorageError.
        """
        path = self.folder.parent / f"{cursor}.cursor" if cursor else None
        follower = Follower(self.folder, self.key, path)
        if path is None or not path.exists():
            follower.skip()
            follower.keep()
        return follower

    def require_cards(self, panel: PanelSettings, section: str) -> None:
        """Raise SettingsError where there are no cards, or one does not fit a panel."""
        if not self.cards.numbers:
            raise SettingsError(
                f"[bridge.{section}] needs the students' numbers: give bridge.cards"
            )
        for number in set(self.cards.numbers.values()):
            read_of(number, facility=panel.facility, bits=panel.bits)

    def read_for(
        self, record: Record, panel: PanelSettings, say: Callable[[str], None]
    ) -> Bits | None:
        """Return the card read that a panel is to get for an opening; None, and why, else."""
        number = self.cards.number(record)
        if number is None:
            say("somebody was let in who has no card in [bridge] cards; the panel is not told")
        elif is_late(record, panel.late):
            say("a card read came too late; it was dropped")
        else:
            return read_of(number, facility=panel.facility, bits=panel.bits)
        return None

    def gate_runs(self) -> bool:
        """Return whether a gate has its log open, by the locks that the kernel lists."""
        try:
            inode = (self.folder / LOCK).stat().st_ino
            held = Path("/proc/locks").read_text(encoding="ascii")
        except OSError:
            return False
        return any(
            line.split()[1:2] == ["FLOCK"] and f":{inode} " in line for line in held.splitlines()
        )


def is_late(record: Record, seconds: float) -> bool:
    """Return whether a record is older than that, or the clock was set back since."""
    age = (utc_now() - datetime.datetime.fromisoformat(record["at"])).total_seconds()
    return not -CLOCK_STEP <= age <= seconds


def write_key(path: Path, key: bytes) -> None:
    """Keep the log's key for the bridge, for its owner alone. Raises StorageError."""
    write_whole(path, key.hex().encode() + b"\n", private=True)


def read_key(path: Path) -> bytes:
    """Return the log's key. Raises SettingsError with what to do."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: the bridge has no key of the log; call 'kaimen bridge --write-key' once, as "
            "the gate's own user"
        ) from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        key = b""
    if len(key) != KEY:
        raise SettingsError(f"{path}: no key; call 'kaimen bridge --write-key' again")
    return key


def secret_of(path: str, what: str, least: int = 1) -> bytes:
    """Return what a file of a secret holds, without spaces around. Raises SettingsError."""
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{path}: {what} cannot be read ({error.strerror})") from None
    if len(secret) < least:
        raise SettingsError(f"{path}: {what} must have {least} characters at least")
    if Path(path).stat().st_mode & 0o007:
        raise SettingsError(f"{path}: everybody may read {what}; run 'chmod 640 {path}'")
    return secret
