"""What arms the door: the calibration of an installation, read, learned and kept."""

from __future__ import annotations

import datetime
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kaimen.audit.passages import WINDOW, passages_of, strangers_at
from kaimen.calibration.calibration import FPIR, Calibration, aimed_at, calibration_path
from kaimen.calibration.door_strangers import DoorStrangers
from kaimen.calibration.learning import calibrate_gallery
from kaimen.calibration.phrase_threshold import with_words
from kaimen.calibration.school_scores import SchoolScores, scores_path
from kaimen.calibration.thresholds import threshold_of
from kaimen.errors import GalleryError, StorageError
from kaimen.screen import Screen
from kaimen.voice.models import phrase_of

if TYPE_CHECKING:
    from pathlib import Path

    from kaimen.bundle.slots import SlotsState
    from kaimen.gallery.gallery import Gallery
    from kaimen.registry.vault import Vault
    from kaimen.settings import Settings
    from kaimen.voice.encoder import Encoder

QUICK = 1_000  # students that are calibrated in a second or two


class OpenedParts(Protocol):
    """What a calibration is learned from and kept by; an ``Installation`` opens it when asked."""

    settings: Settings

    @property
    def state(self) -> SlotsState: ...
    @property
    def encoder(self) -> Encoder: ...
    @property
    def gallery_or_new(self) -> Gallery: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def log_folder(self) -> Path: ...
    @property
    def log_key(self) -> bytes: ...


class Arming:
    """The calibration of an installation, by the parts that the installation has open."""

    def __init__(self, parts: OpenedParts, screen: Screen) -> None:
        self._parts = parts
        self._screen = screen
        self._learned_from: tuple[Calibration, SchoolScores] | None = None  # the latest

    @property
    def path(self) -> Path:
        """Return where the calibration is kept: each bundle has its own. Raises BundleError."""
        return calibration_path(self._parts.settings.gallery.file, self._parts.state.identity)

    @property
    def kept(self) -> Calibration:
        """Return the calibration that may arm a door, as it is kept: with and without its roster.

        Raises GalleryError with what to do.
        """
        kept = Calibration.load(self.path, self._parts.vault)
        kept.require(self._parts.gallery_or_new)
        return kept

    @property
    def calibration(self) -> Calibration:
        """Return the calibration as this door goes by it. Raises GalleryError with what to do."""
        return self.kept.at_door(self._parts.settings.roster, self._parts.gallery_or_new)

    @property
    def roster_misfit(self) -> str:
        """Return why the threshold is not that of the roster, and what to do; empty where it is.

        Raises GalleryError where no door can be armed.
        """
        return self.kept.roster_misfit(self._parts.settings.roster, self._parts.gallery_or_new)

    @property
    def disarmed(self) -> str:
        """Return why no door can be armed now, and what to do; empty where one can."""
        try:
            _ = self.calibration
        except GalleryError as error:
            return str(error)
        return ""

    @property
    def threshold_of_a_try(self) -> float:
        """Return the score that a single try is asked for.

        By other people's voices alone where the school is not calibrated.
        """
        try:
            thresholds = self.calibration.thresholds
        except GalleryError:
            students = max(1, len(self._parts.gallery_or_new))
            nobody = np.zeros(0, np.float32)
            return threshold_of(nobody, students, self._parts.encoder.card.strangers, FPIR)
        gate = self._parts.settings.gate
        if gate.policy != "voice":
            return thresholds.claimed
        return thresholds.retry.first if gate.retry and thresholds.retry else thresholds.anybody

    def learn(self, fpir: float | None = None) -> Calibration:
        """Calibrate and keep nothing; for the FPIR of before unless one is given."""
        gallery, encoder = self._parts.gallery_or_new, self._parts.encoder
        if fpir is None:
            fpir = aimed_at(self.path, self._parts.vault)
        learned, scores = calibrate_gallery(
            gallery,
            encoder.card,
            fpir,
            self._screen.progress,
            roster=self._parts.settings.roster,
            heard=self._heard,
        )
        learned = with_words(learned, gallery.registry, phrase_of(encoder))
        with suppress(GalleryError):
            before = Calibration.load(self.path, self._parts.vault)
            learned = replace(learned, drift_from=before.drift_from)
        self._learned_from = learned, scores
        return learned

    @property
    def _heard(self) -> DoorStrangers:
        """Return what the log tells of strangers' scores here, since drift was mended last."""
        since = datetime.datetime.now(datetime.UTC) - WINDOW
        with suppress(GalleryError):
            mended = Calibration.load(self.path, self._parts.vault).drift_from
            since = max(since, datetime.datetime.fromisoformat(mended)) if mended else since
        try:
            passages = passages_of(self._parts.log_folder, self._parts.log_key, since)
        except OSError as error:
            why = f"{self._parts.log_folder}: cannot be read ({error.strerror})"
            if isinstance(error, StorageError):
                why = str(error)
            self._screen.note(f"{why}; what was heard at this door counts for nothing")
            return DoorStrangers()
        found = list(strangers_at(passages, self._parts.encoder.identity))
        _, owners = np.unique([student for student, _ in found], return_inverse=True)
        scores = np.array([score for _, score in found], np.float64)
        return DoorStrangers(scores, owners.astype(np.int64))

    def keep(self, learned: Calibration) -> None:
        """Put it in the place of the one of before, and the scores it was learned from beside it.

        Raises GalleryError for one that arms no door, and StorageError; the one of before stays.
        """
        learned.require(self._parts.gallery_or_new)
        path = self.path
        if self._learned_from is not None and self._learned_from[0] is learned:
            # Scores of another calibration than the one in its place are taken for none.
            scores = self._learned_from[1]
            scores.save(scores_path(path), self._parts.vault, learned.thresholds.source)
        learned.save(path, self._parts.vault)

    @property
    def scores(self) -> SchoolScores:
        """Return the scores that the calibration was learned from, of those who are still enrolled.

        Of those who may enter at once, where this door goes by their threshold. Raises
        GalleryError with what to do.
        """
        kept = self._kept_scores
        return kept.at_door if self.calibration.at_once else kept

    @property
    def _kept_scores(self) -> SchoolScores:
        source = self.kept.thresholds.source
        kept = SchoolScores.load(scores_path(self.path), self._parts.vault, source)
        return kept.only({student.number for student in self._parts.gallery_or_new.members})

    def count_drift_anew(self, now: datetime.datetime) -> None:
        """Count what the scores do from now on: what made them drift was mended.

        Raises GalleryError and StorageError; nothing was changed then.
        """
        before = self.kept
        mended = replace(before, drift_from=now.astimezone(datetime.UTC).isoformat())
        with suppress(GalleryError):
            kept = self._kept_scores
            self._learned_from = mended, kept
        self.keep(mended)

    def calibrate_if_quick(self) -> str:
        """Calibrate where that takes no time; return why no door is armed then, or nothing.

        The one of before stays where the new one would arm no door.
        """
        students = len(self._parts.gallery_or_new)
        if not students:
            return "nobody is enrolled"
        if students > QUICK:
            return self.disarmed
        try:
            self.keep(self.learn())
        except GalleryError as error:
            return self.disarmed and str(error)
        return ""

    def calibrate_or_say(self) -> None:
        """Calibrate where that takes no time; say why no door is armed then, if none is.

        Say, too, where the threshold does not fit the roster any more.
        """
        why_not = self.calibrate_if_quick()
        if why_not:
            self._screen.say(f"the door is not armed: {why_not}")
        elif self.roster_misfit:
            self._screen.say(self.roster_misfit)
