"""As much of a gallery as a calibration is compared with; no index is built for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.calibration import Calibration
from kaimen.installation import Installation
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Roll
from kaimen.registry.vault import Vault
from kaimen.voice.encoder import Card


@dataclass(frozen=True, slots=True)
class CountedStudents:
    """How many of an encoder's students are recognised, and in which groups."""

    encoder: str
    students: int
    left_out: int = 0
    by_group: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, encoder: str, roll: Roll, owners: NDArray[np.int64]) -> CountedStudents:
        """Return the same of a registry's students; ``owners`` are those of its recordings."""
        numbers = set(owners.tolist())
        groups = Counter(student.group for student in roll.students if student.number in numbers)
        return cls(encoder, len(numbers), len(roll.changed), groups)

    def __len__(self) -> int:
        return self.students


def in_use(installation: Installation, vault: Vault) -> Calibration:
    """Return the calibration as the door goes by it, armed or not. Raises GalleryError."""
    kept = Calibration.load(installation.arming.path, vault)
    path, roster = installation.settings.gallery.file, installation.settings.roster
    if not roster or not path.exists():
        return kept.at_door((), CountedStudents(kept.encoder, kept.students))
    encoder = Card.read(installation.encoder_path.with_suffix(".json")).sha256
    with closing(Registry(path, vault)) as registry:
        roll, _, owners = registry.recognised(encoder)
    return kept.at_door(roster, CountedStudents.of(encoder, roll, owners))
