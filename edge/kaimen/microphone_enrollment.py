"""One enrollment at the gate's microphone, from the installation's parts, for every desk.

A terminal, a kiosk and the console's page differ in what they show; what is heard, judged and
written is here. Nothing is written before the last good take is there, so that whatever ends it
earlier, Ctrl-C or a pulled plug, leaves everything as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from kaimen.enrollment.at_microphone import HeardLevel, takes_at
from kaimen.enrollment.coach import WANTED, Coach, TakeJudgement
from kaimen.enrollment.enrollment import Outcome, Status, enroll
from kaimen.enrollment.entries import Entry
from kaimen.errors import GalleryError, SettingsError
from kaimen.gallery.gallery import Gallery
from kaimen.gate.loan import LentMicrophone, NoGate, loan_path
from kaimen.installation import Installation
from kaimen.sound import Source
from kaimen.sound.microphone import Microphone
from kaimen.voice.models import Models, phrase_of
from kaimen.voice.score import Points


class MicrophoneEnrollment:
    """A student's takes at a microphone, and then the student in the registry.

    Raises SettingsError and GalleryError where the student is enrolled, or is not, or has no such
    recording.
    """

    def __init__(
        self,
        installation: Installation,
        gallery: Gallery,
        entry: Entry,
        *,
        add: bool = False,
        replace: bool = False,
        in_place_of: int | None = None,
    ) -> None:
        """With ``add``, takes come beside what is there; with ``replace``, in place of all of it.

        ``in_place_of`` is the number of the one recording that one take replaces.
        """
        known = entry.student in gallery
        if known and not (add or replace or in_place_of is not None):
            raise SettingsError(
                f"{entry.student} is enrolled; give --add for takes of another day, or --replace "
                "for new ones"
            )
        self._installation = installation
        self._gallery = gallery
        self._entry = entry
        self._beside = add or in_place_of is not None
        self._in_place_of = in_place_of
        encoder = installation.encoder
        self._phrase = phrase_of(encoder)
        self.coach = Coach(
            Models(encoder, self._phrase),
            installation.arming.threshold_of_a_try,
            before=_others(gallery, entry.student, in_place_of) if self._beside else None,
            wanted=WANTED if in_place_of is None else 1,
        )

    def hear(self, source: Source, *, deaf: float = 0.0) -> Iterator[HeardLevel | TakeJudgement]:
        """Yield what is heard until all takes are there, see ``takes_at``."""
        return takes_at(source, self.coach, deaf=deaf)

    def write(self, *, accept_alike: bool = False, dry: bool = False) -> Outcome:
        """Enroll the student. Raises GalleryError and StorageError; nothing was changed then."""
        (outcome,) = enroll(
            [self._entry],
            self._gallery,
            self._installation.encoder.card,
            lambda tasks: iter([self.coach.judged()]),
            said_by=self._phrase.identity,
            accept_alike=accept_alike,
            add=self._beside,
            dry=dry,
        )
        if self._in_place_of is None or dry or outcome.status is not Status.ENROLLED:
            return outcome
        # Last, so that an end in between leaves a recording too many and never one too few.
        self._gallery.remove_recordings(self._entry.student, [self._in_place_of])
        return dataclasses.replace(outcome, recordings=outcome.recordings - 1, replaced=1)


def gate_microphone(
    installation: Installation, *, of_gate: bool = False
) -> AbstractContextManager[Source]:
    """Return the running gate's microphone, or the one of the settings where no gate runs.

    ``of_gate``: only the gate's will do. Raises DeviceError.
    """
    path = loan_path(installation.settings.gallery.file)
    if of_gate or path.exists():
        try:
            return LentMicrophone(path)
        except NoGate:
            if of_gate:
                raise
    return nullcontext(Microphone(installation.settings.sound.microphone or None))


def _others(gallery: Gallery, student: str, number: int | None) -> Points:
    """Return the voiceprints that takes are added to: all but the recording they replace.

    Raises GalleryError for a student or a recording that is not there.
    """
    recordings = gallery.registry.recordings
    if student not in gallery:
        raise GalleryError(f"{student} is not enrolled; enroll them first")
    own = [each.number for each in recordings.listed(student) if not each.word]
    if number is not None and number not in own:
        raise GalleryError(
            f"{student} has no recording {number}; see 'kaimen students {student} --recordings'"
        )
    others = [each for each in own if each != number]
    return recordings.voiceprints(others, gallery.encoder)
