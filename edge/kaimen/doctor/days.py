"""What other days have to do with voiceprints: takes of one moment, and what was taken in since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.calibration import Calibration
from kaimen.doctor.finding import Finding, attention, ok
from kaimen.errors import GalleryError
from kaimen.gallery.index import Index
from kaimen.gallery.one_moment import MEND, OneMoment
from kaimen.installation import Installation
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.settings import Settings


def one_moment(index: Index, owners: NDArray[np.int64]) -> Iterator[Finding]:
    """Tell where most students' takes are as alike as those of one moment; nothing otherwise.

    ``owners`` are the numbers of the students whose recordings the index has, in its order.
    """
    order = np.argsort(owners, kind="stable")
    _, starts = np.unique(owners[order], return_index=True)
    found = OneMoment.of(index.points(own) for own in np.split(index.numbers[order], starts[1:]))
    if found.warning:
        measured = {"students": float(found.students), "alike": float(found.alike)}
        yield attention("takes", found.warning, MEND, **measured)


def growing(registry: Registry, installation: Installation, encoder: str) -> Iterator[Finding]:
    """Tell what was taken in at the gate; nothing where nothing was, and nothing is to be."""
    settings = installation.settings
    listed = [each for each in registry.grown.listed() if each.encoder == encoder]
    if not listed and not settings.gate.grow:
        return
    numbers, owners, _ = registry.grown.points(encoder)
    counted = _counted(installation.arming.path, registry.vault)
    waiting = int(np.sum(numbers > counted))
    measured = {"grown": float(len(numbers)), "waiting": float(waiting)}
    said = f"{len(numbers)} voiceprints of {len(np.unique(owners))} students were taken in"
    if len(numbers) < len(listed):
        yield attention(
            "growing",
            f"{said}; something else than Kaimen changed {len(listed) - len(numbers)} more, which "
            "count for nothing",
            "find out who did it; then 'kaimen students --grown' and '--forget-grown'",
            **measured,
        )
    elif waiting:
        yield attention(
            "growing", f"{said}; {waiting} of them count for nothing yet", "kaimen calibrate",
            **measured,
        )  # fmt: skip
    elif settings.gate.grow and (why := _takes_in_nothing(settings)):
        yield attention(
            "growing",
            f"{said}; nothing more is, since {why}",
            "mend that, or set [gate] grow = false",
            **measured,
        )
    else:
        yield ok("growing", said, **measured)


def _counted(path: Path, vault: Vault) -> int:
    """Return the number up to which they count; 0 where the calibration is of no use."""
    try:
        return Calibration.load(path, vault).grown
    except GalleryError:
        return 0


def _takes_in_nothing(settings: Settings) -> str:
    """Say why a gate that is to grow cannot; nothing where it can."""
    checks = settings.checks
    if not settings.reader.path:
        return "without a [reader] nobody says who comes"
    if settings.gate.policy == "challenge":
        return "a challenge opens by words, and only the passphrase is taken in"
    if not (checks.phrase and checks.loudspeaker and checks.replay):
        return "one of the [checks] is off"
    return ""
