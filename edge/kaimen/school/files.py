"""What a school consists of, and where each piece of it lies.

The same pieces lie in place, in a folder where a backup is being unpacked, and in the one where
the school of before is kept.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kaimen.calibration.calibration import calibration_path
from kaimen.calibration.school_scores import scores_path
from kaimen.errors import StorageError
from kaimen.gallery.index import index_path
from kaimen.gallery.latent_map import map_path
from kaimen.registry.accounts_file import accounts_path
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.registry.kept_phrases import kept_phrases_path
from kaimen.registry.replay_memory import replay_memory_path
from kaimen.registry.vault import Vault
from kaimen.settings import GallerySettings

BACKED_UP = ("registry", "key", "calibration", "heard", "audit", "bundles", "accounts", "acts")
PHRASES = "phrases"  # kept for a review: soon erased, so that no backup holds them for longer
FLEET = "fleet"  # what the machine remembers of its fleet: it belongs to the machine
PLACED = (*BACKED_UP, PHRASES, FLEET)  # what another school's may take the place of


@dataclass(frozen=True, slots=True)
class SchoolFiles:
    """The pieces of a school by the places of its registry and its key."""

    registry: Path
    key: Path

    @classmethod
    def of(cls, settings: GallerySettings) -> SchoolFiles:
        """Return the one that settings name."""
        return cls(settings.file.absolute(), settings.key_file.absolute())

    @property
    def pieces(self) -> dict[str, Path]:
        """Files and folders by name: those of a backup, then what is made anew or folded in.

        The phrases that are kept for a review, and what is known of a fleet, are in no backup.
        """
        folder, registry = self.registry.parent, self.registry
        heard, fleet = replay_memory_path(registry), fleet_store_path(registry)
        return {
            "registry": registry,
            "key": self.key,
            "calibration": calibration_path(registry),
            "heard": heard,
            "audit": folder / "audit",
            "bundles": folder / "bundles",
            "accounts": accounts_path(registry),
            "acts": folder / "acts",
            PHRASES: kept_phrases_path(registry),
            FLEET: fleet,
            "registry-wal": registry.with_name(f"{registry.name}-wal"),
            "registry-shm": registry.with_name(f"{registry.name}-shm"),
            "heard-wal": heard.with_name(f"{heard.name}-wal"),
            "heard-shm": heard.with_name(f"{heard.name}-shm"),
            "fleet-wal": fleet.with_name(f"{fleet.name}-wal"),
            "fleet-shm": fleet.with_name(f"{fleet.name}-shm"),
            "index": index_path(registry),
            "map": map_path(registry),
            "scores": scores_path(calibration_path(registry)),
        }

    @property
    def there(self) -> list[str]:
        """Return names of the pieces that are there."""
        return [name for name, path in self.pieces.items() if os.path.lexists(path)]

    @property
    def vault(self) -> Vault:
        """Return its key. Raises GalleryError."""
        return Vault.load(self.key)

    @property
    def log_key(self) -> bytes:
        """Return the key of its audit log. Raises GalleryError."""
        return self.vault.log_key

    @property
    def acts_key(self) -> bytes:
        """Return the key of the log of what people did at the console. Raises GalleryError."""
        return self.vault.acts_key

    def unpacked(self) -> SchoolFiles:
        """Return where a backup is unpacked, each piece on the disk that it will lie on."""
        folder = self.registry.with_suffix(".restored")
        return SchoolFiles(
            folder / self.registry.name, self.key.with_name(f"{self.key.name}.restored")
        )

    def before(self, when: str) -> SchoolFiles:
        """Return where this school is kept once another was put in its place."""
        folder = self.registry.with_suffix(f".before-{when}")
        key = self.key.with_name(f"{self.key.name}.before-{when}")
        return SchoolFiles(folder / self.registry.name, key)

    def now(self) -> str:
        """Return the time, UTC, that nothing of before is kept under yet."""
        moment = datetime.datetime.now(datetime.UTC)
        while True:
            when = f"{moment:%Y%m%dT%H%M%SZ}"
            before = self.before(when)
            if not before.registry.parent.exists() and not before.key.exists():
                return when
            moment += datetime.timedelta(seconds=1)

    @property
    def kept(self) -> list[Path]:
        """Return folders of schools of before, which nobody has deleted yet."""
        named = self.registry.parent.glob(f"{self.registry.stem}.before-*")
        return sorted(path for path in named if path.is_dir())

    @property
    def damaged(self) -> list[Path]:
        """Damaged files that were set aside, which nobody has deleted yet."""
        return sorted(self.registry.parent.glob(f"{self.registry.stem}.*.damaged-*"))

    @property
    def snapshot_prefix(self) -> str:
        """Return how folders are called in which backups are being taken."""
        return f".{self.registry.stem}.snapshot-"

    def aside(self) -> tempfile.TemporaryDirectory[str]:
        """A folder for what is soon gone, on the school's disk if there is one. StorageError."""
        folder = self.registry.parent if self.registry.exists() else None
        try:
            return tempfile.TemporaryDirectory(
                prefix=self.snapshot_prefix, dir=folder, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise StorageError(
                f"{error.filename}: cannot be made ({error.strerror}); make room, or call "
                "it as the gate's own user"
            ) from None

    @property
    def litter(self) -> list[Path]:
        """Return what was unpacked, or was being backed up, when it was interrupted."""
        unpacked = self.unpacked()
        snapshots = self.registry.parent.glob(f"{self.snapshot_prefix}*")
        nothing_kept = [path for path in self.kept if not any(path.iterdir())]
        found = (unpacked.key, unpacked.registry.parent, *snapshots, *nothing_kept)
        return [path for path in found if path.exists()]

    def clear(self) -> None:
        """Delete it; nobody else is at it. Raises OSError."""
        for path in self.litter:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
