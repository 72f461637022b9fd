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
from kaimen.installation import Installation
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault

ALIKE = 0.77  # least cosine of a student's takes from which on they seem to be of one moment
TAKES = 3  # of a student, at least, that are looked at
FEWEST = 5  # students of whom something is said
MANY = 0.5  # share of students
JUDGED = "large"  # the encoder of whose cosines ALIKE was measured

Numbers = NDArray[np.int64]


def one_moment(
    path: Path, vault: Vault, installation: Installation, known: tuple[str, Numbers, Numbers]
) -> Iterator[Finding]:
    """Tell where most students' takes are as alike as those of one moment; nothing otherwise.

    ``known``: the encoder's identity, its recordings' numbers and their owners. An index that does
    not fit has a line of its own.
    """
    encoder, numbers, owners = known
    if installation.model != JUDGED:
        return
    try:
        index = Index.load(path, vault, encoder)
    except GalleryError:
        return
    if not np.array_equal(index.numbers, numbers):
        return
    order = np.argsort(owners, kind="stable")
    _, starts = np.unique(owners[order], return_index=True)
    takes = [own for own in np.split(numbers[order], starts[1:]) if len(own) >= TAKES]
    if len(takes) < FEWEST:
        return
    alike = sum(_least(index.points(own)) >= ALIKE for own in takes)
    if alike > MANY * len(takes):
        yield attention(
            "takes",
            f"those of {alike} of {len(takes)} students are so alike that they seem to be of one "
            "moment: on another day these students are missed more often",
            "take two of each on another day, with 'kaimen enroll --student NAME --add'",
            students=float(len(takes)),
            alike=float(alike),
        )


def _least(points: NDArray[np.float32]) -> float:
    return float((points @ points.T).min())


def growing(registry: Registry, installation: Installation, encoder: str) -> Iterator[Finding]:
    """Tell what was taken in at the gate; nothing where nothing was, and nothing is to be."""
    settings = installation.settings
    listed = [each for each in registry.grown.listed() if each.encoder == encoder]
    if not listed and not settings.gate.grow:
        return
    numbers, owners, _ = registry.grown.points(encoder)
    counted = _counted(installation.calibration_path, registry.vault)
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
    elif settings.gate.grow and not settings.reader.path:
        yield attention(
            "growing",
            f"{said}; without a reader in the settings nobody says who comes, and nothing is "
            "taken in",
            "set [reader] path, or [gate] grow = false",
            **measured,
        )
    else:
        yield ok("growing", said, **measured)


def _counted(path: Path, vault: Vault) -> int:
    """The number up to which they count; 0 where the calibration is of no use."""
    try:
        return Calibration.load(path, vault).grown
    except GalleryError:
        return 0
