"""The scores that a calibration was learned from: the curve, and what another threshold would do.

They are kept sealed beside the calibration, and open only with the one they belong to. A score
says which student's recording it is of by the registry's number: whoever was removed since has
none, and is left out when they are read.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.intervals import CONFIDENCE, Share, share_of
from kaimen.calibration.leave_one_out import LeftOut
from kaimen.calibration.roster_calibration import RosterSets
from kaimen.errors import GalleryError
from kaimen.registry.vault import Vault
from kaimen.storage import write_whole
from kaimen.voice.score import Scores

BY_ROSTER = ("roster_strangers", "roster_own")  # what a file calls them
POINTS = 200  # of a drawn curve, at most
AGAIN = "run 'kaimen calibrate'"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a threshold would do at this size of school."""

    threshold: float
    fpir: Share  # of the school's recordings, with their own student left out
    fnir: Share  # of the same, with only themselves left out


@dataclass(frozen=True, slots=True)
class SchoolScores:
    """Scores of a school's recordings, each left out in turn, (recordings,) each."""

    owners: NDArray[np.int64]  # numbers of the students in the registry
    strangers: Scores  # the best student but its own; none where there is one student
    own: Scores  # its own student without it; NaN if it is the only one
    by_roster: tuple[Scores, Scores] | None = None  # both, of those who may enter at once

    @classmethod
    def of(
        cls, left_out: LeftOut, owners: NDArray[np.int64], sets: RosterSets | None = None
    ) -> SchoolScores:
        """Return what is kept of scores, whose recordings are of these students.

        ``owners`` are numbers, those of a student together; ``sets`` those who may enter at once.
        """
        by_roster = None
        if sets is not None and sets.students:
            _, whose = np.unique(owners, return_inverse=True)
            own = np.where(sets.everybody[whose], left_out.own, np.nan).astype(np.float32)
            by_roster = left_out.at_once[:, sets.busiest], own
        return cls(owners, left_out.strangers, left_out.own, by_roster)

    @property
    def at_door(self) -> SchoolScores:
        """Return the scores of those who may enter at once by the roster; of all without one."""
        return self if self.by_roster is None else SchoolScores(self.owners, *self.by_roster)

    def save(self, path: Path, vault: Vault, calibration: str) -> None:
        """Keep them sealed, for a calibration of this checksum alone. Raises StorageError."""
        written = io.BytesIO()
        by_roster = (
            {} if self.by_roster is None else dict(zip(BY_ROSTER, self.by_roster, strict=True))
        )
        np.savez(written, owners=self.owners, strangers=self.strangers, own=self.own, **by_roster)
        sealed = vault.seal(written.getvalue(), _context(calibration))
        write_whole(path, sealed, private=True)

    @classmethod
    def load(cls, path: Path, vault: Vault, calibration: str) -> SchoolScores:
        """Read those of a calibration. Raises GalleryError with what to do."""
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            raise GalleryError(f"no scores of this calibration are kept; {AGAIN}") from None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None
        try:
            opened = vault.unseal(sealed, _context(calibration))
        except GalleryError:
            raise GalleryError(f"{path}: of another calibration, or damaged; {AGAIN}") from None
        with np.load(io.BytesIO(opened), allow_pickle=False) as kept:
            there = all(name in kept for name in BY_ROSTER)
            by_roster = (kept[BY_ROSTER[0]], kept[BY_ROSTER[1]]) if there else None
            return cls(kept["owners"], kept["strangers"], kept["own"], by_roster)

    def only(self, students: Collection[int]) -> SchoolScores:
        """Return those of some students by their numbers."""
        return self.where(np.isin(self.owners, np.fromiter(students, np.int64, len(students))))

    def where(self, kept: NDArray[np.bool_]) -> SchoolScores:
        """Return those of some recordings, ``kept`` (recordings,)."""
        by_roster = self.by_roster and (self.by_roster[0][kept], self.by_roster[1][kept])
        return SchoolScores(self.owners[kept], self.strangers[kept], self.own[kept], by_roster)

    def at(self, threshold: float, confidence: float = CONFIDENCE) -> WhatIf:
        """Return what a threshold would do."""
        strangers, own = np.isfinite(self.strangers), ~np.isnan(self.own)
        return WhatIf(
            threshold,
            share_of(self.strangers[strangers] >= threshold, self.owners[strangers], confidence),
            share_of(self.own[own] < threshold, self.owners[own], confidence),
        )

    def curve(self) -> list[dict[str, float]]:
        """Return the points of the DET curve: threshold, FPIR, FNIR, from lax to strict.

        A point where either changes, of many as many as can be drawn; FPIR and FNIR are spaced by
        their logarithms.
        """
        strangers = np.sort(self.strangers[np.isfinite(self.strangers)])
        own = np.sort(self.own[~np.isnan(self.own)])
        if not len(strangers) or not len(own):
            return []
        thresholds = np.unique(np.concatenate([_spaced(strangers[::-1]), _spaced(own)]))
        fpir = 1 - np.searchsorted(strangers, thresholds) / len(strangers)
        fnir = np.searchsorted(own, thresholds) / len(own)
        rows = zip(thresholds.tolist(), fpir.tolist(), fnir.tolist(), strict=True)
        return [{"threshold": t, "fpir": p, "fnir": n} for t, p, n in rows]


def scores_path(calibration: Path) -> Path:
    """Return where the scores of a calibration's file are kept: hidden, as no backup needs them."""
    return calibration.with_name(f".{calibration.name.removesuffix('.calibration.json')}.scores")


def scores_paths(registry: Path) -> list[Path]:
    """Return the scores of all calibrations of a registry that are there."""
    others = (registry.parent / "bundles").glob(f".{glob.escape(registry.stem)}.*.scores")
    return [scores_path(registry.with_suffix(".calibration.json")), *others]


def _spaced(ordered: Scores) -> Scores:
    """Return of ordered scores those that few lie before, and ever fewer of the others."""
    places = np.geomspace(1, len(ordered), POINTS // 2).astype(np.int64) - 1
    spaced: Scores = ordered[np.unique(places)]
    return spaced


def _context(calibration: str) -> str:
    return f"scores of calibration {calibration}"
