"""The models of a new bundle behind an access policy of their own, that opens nothing."""

from __future__ import annotations

from pathlib import Path

from kaimen.access.checks import Checks
from kaimen.access.decision import Decision
from kaimen.access.policy import AccessPolicy
from kaimen.bundle.trial import Trial
from kaimen.calibration.calibration import Calibration
from kaimen.closing import close_all
from kaimen.enrollment.rehear import ModelIds, left_behind
from kaimen.errors import KaimenError
from kaimen.gallery.gallery import Gallery
from kaimen.settings.roster import Rule
from kaimen.sound import Samples
from kaimen.voice.utterance import Utterance


class Candidate:
    """Decides by the same rules as the gate, by its own models, and remembers nothing heard.

    What opened the gate was said to it, too: a memory of its own would call that a recording.
    """

    def __init__(
        self,
        gallery: Gallery,
        calibration: Path,
        checks: Checks,
        active: ModelIds,
        *,
        roster: tuple[Rule, ...] = (),
        retry: bool = False,
    ) -> None:
        """``active`` are the models that decide. Raises GalleryError where it is not calibrated."""
        self._gallery = gallery
        self._calibration = calibration
        self._checks = checks
        self._active = active
        kept = Calibration.load(calibration, gallery.registry.vault)
        kept.require(gallery)
        thresholds = kept.at_door(roster, gallery).thresholds
        self._policy = AccessPolicy(gallery, thresholds, roster=roster, checks=checks, retry=retry)

    def decide(self, samples: Samples, claim: str | None) -> Decision:
        """Return what it would have answered to a phrase; with a challenge, before any word."""
        self._gallery.refresh()
        if claim is not None:
            self._policy.claim(claim)
        utterance = Utterance(samples, self._checks.models.encoder, self._gallery.band.band)
        found = self._policy.decide(utterance)
        self._policy.answered(found, utterance)
        return found.decision

    def refusal(self, trial: Trial) -> str:
        """Return why it must not become active: somebody would be lost, or no door armed."""
        try:
            self._gallery.refresh()
            vault = self._gallery.registry.vault
            Calibration.load(self._calibration, vault).require(self._gallery)
        except KaimenError:
            return "its calibration fits the school no longer; install it again, with --from"
        own = ModelIds(self._gallery.encoder, self._checks.models.said_by)
        lost = len(left_behind(self._gallery.registry, self._active, own))
        if lost > trial.without:
            return f"{lost} students are not known by it; install it again, with --from"
        return ""

    def close(self) -> None:
        """Close what it reads."""
        close_all(self._checks.close, self._gallery.registry.close)
