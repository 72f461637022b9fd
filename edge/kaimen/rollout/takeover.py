"""What a running gate does about bundles: one on trial listens along, an active one is taken up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kaimen.access.checks import Checks
from kaimen.bundle.slots import SlotsState
from kaimen.calibration.calibration import calibration_path
from kaimen.closing import Closing
from kaimen.enrollment.rehear import ModelIds
from kaimen.errors import KaimenError
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import Answer
from kaimen.installation import Installation, models_of
from kaimen.registry.registry import Registry
from kaimen.rollout.candidate import Candidate
from kaimen.rollout.shadow import Shadow
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models

LOOK = 1.0  # seconds between looks whether another bundle became active


class Takeover(Closing):
    """From one bundle to the next, while the gate works."""

    def __init__(
        self,
        installation: Installation,
        state: SlotsState,
        models: Models,
        say: Callable[[str], None],
    ) -> None:
        """``state`` is that by which the gate's ``models`` were chosen.

        ``say`` gets how a trial ended, in the gate's own thread.
        """
        self._installation = installation
        self._settings = installation.settings
        self._state = state
        self._active = ModelIds(models.encoder.identity, models.said_by)
        self._say = say
        self._slots = installation.slots
        self._look_at = self._quiet_at = 0.0
        self._shadow = None if state.trial is None else Shadow(self._slots, self._candidate)

    def __enter__(self) -> Takeover:
        if self._shadow is not None:
            self._shadow.__enter__()
        return self

    def close(self) -> None:
        """End a trial's listening for now, and say how it went if it ended."""
        if self._shadow is not None:
            self._shadow.close()
        self._tell()

    def hear(self, answer: Answer) -> None:
        """Take in a phrase that was answered."""
        if answer.decision.opens:
            self._quiet_at = time.monotonic() + self._settings.door.lease
        if self._shadow is not None:
            self._shadow.hear(answer)

    def is_due(self) -> bool:
        """Return whether the gate should begin anew, with other bundles; asked for every block.

        Not while somebody is being let in: that would end the lease.
        """
        now = time.monotonic()
        if now < max(self._look_at, self._quiet_at) or self._settings.encoder.path:
            return False
        self._look_at = now + LOOK
        self._tell()
        try:
            state = self._slots.state()
        except KaimenError:
            return False  # what is loaded goes on
        before = self._state.trial
        begun = state.trial is not None and (before is None or before.began != state.trial.began)
        return begun or state.identity != self._state.identity

    def _tell(self) -> None:
        if self._shadow is not None and self._shadow.ended:
            self._say(self._shadow.ended)
            self._shadow.ended = ""

    def _candidate(self, folder: Path) -> Candidate:
        settings, path = self._settings, self._settings.gallery.file
        encoder = Encoder(folder / SHIPPED.name, runtime=settings.encoder.runtime or None)
        models = models_of(settings.checks, encoder)
        vault = self._installation.vault
        gallery = Gallery.open(path, vault, encoder.identity, encoder.card.dimension)
        return Candidate(
            gallery,
            calibration_path(path, self._slots.state().held[folder.name]),
            Checks(models, Registry(path, vault), None, replay=settings.checks.replay),
            self._active,
            roster=settings.roster,
            retry=settings.gate.retry,
        )
