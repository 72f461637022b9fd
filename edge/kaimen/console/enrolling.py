"""Enrollments that a browser began: one at a time, in a thread of its own, told as it goes.

The thread has an installation of its own. It ends when all takes are there, when somebody stops
it, or when nobody watches it any more; before the last take nothing is written.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from kaimen.enrollment.at_microphone import BEEP, HeardLevel
from kaimen.enrollment.door_lights import DoorLights
from kaimen.enrollment.enrollment import enroll
from kaimen.enrollment.entries import Entry
from kaimen.enrollment.judging import Judge
from kaimen.errors import KaimenError
from kaimen.gate.loan import LentMicrophone
from kaimen.installation import Installation
from kaimen.microphone_enrollment import MicrophoneEnrollment, gate_microphone
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.voice.models import phrase_of

UNWATCHED = 20.0  # seconds without a browser, after which an enrollment is given up
LOOK = 0.1  # seconds between looks at what happened

Told = tuple[str, Any]  # a kind, and what it tells


class Stopped(Exception):
    """Somebody gave the enrollment up, or nobody watches it."""


class EnrollmentSession(threading.Thread):
    """One enrollment that goes on, in a thread of its own."""

    def __init__(self, entry: Entry, work: Callable[[EnrollmentSession], None]) -> None:
        super().__init__(name="enrollment", daemon=True)
        self.entry = entry
        self.told: list[Told] = []  # only ever grows
        self.level: HeardLevel | None = None
        self.stopped = False
        self.of_one_day = False  # all takes are of this moment, and nothing foresees another day
        self._watched = time.monotonic()
        self._work = work

    def tell(self, kind: str, what: Any) -> None:
        """Leave something for whoever watches."""
        self.told.append((kind, what))

    def require_watched(self) -> None:
        """Raise Stopped where nobody wants it to go on."""
        if self.stopped or time.monotonic() - self._watched > UNWATCHED:
            raise Stopped

    async def events(self) -> AsyncIterator[Told]:
        """Yield what was told, from the beginning, and then whatever happens, to its end."""
        seen, level = 0, None
        while True:
            self._watched = time.monotonic()
            ended = not self.is_alive()
            if self.level is not level:
                level = self.level
                yield "level", level
            while seen < len(self.told):
                yield self.told[seen]
                seen += 1
            if ended:
                return
            await asyncio.sleep(LOOK)

    def run(self) -> None:
        """Work to the end, and tell how it ended."""
        try:
            self._work(self)
        except Stopped:
            self.tell("failed", None)
        except KaimenError as error:
            self.tell("failed", str(error))
        except BaseException as error:  # whatever it was, it must not pass unseen
            self.tell("failed", f"{type(error).__name__}: {error}")
            raise


class Enrolling:
    """Who is being enrolled, or was last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self.session: EnrollmentSession | None = None

    def at_microphone(
        self,
        entry: Entry,
        *,
        add: bool = False,
        replace: bool = False,
        in_place_of: int | None = None,
    ) -> bool:
        """Begin to listen to a student's takes; False where somebody is being enrolled already."""

        def work(session: EnrollmentSession) -> None:
            with self._installation() as installation:
                gallery = installation.gallery_or_new
                enrollment = MicrophoneEnrollment(
                    installation, gallery, entry, add=add, replace=replace, in_place_of=in_place_of
                )
                session.of_one_day = not add and in_place_of is None
                with gate_microphone(installation) as source:
                    lights = DoorLights(source.show) if isinstance(source, LentMicrophone) else None
                    session.tell("listening", None)
                    for event in enrollment.hear(source, deaf=BEEP if lights is not None else 0.0):
                        session.require_watched()
                        if lights is not None:
                            lights.event(event)
                        if isinstance(event, HeardLevel):
                            session.level = event
                        else:
                            session.tell("take", event)
                outcome = enrollment.write()
                session.tell("done", (outcome, self._finish(installation)))

        return self._begin(entry, work)

    def of_files(self, entry: Entry, contents: Sequence[bytes], *, add: bool) -> bool:
        """Begin to judge uploaded recordings; False where somebody is being enrolled already."""

        def work(session: EnrollmentSession) -> None:
            with self._installation() as installation:
                encoder = installation.encoder
                judge = Judge.by(encoder)
                (outcome,) = enroll(
                    [entry],
                    installation.gallery_or_new,
                    encoder.card,
                    lambda tasks: (
                        judge(replace(each, contents=tuple(contents))) for each in tasks
                    ),
                    said_by=phrase_of(encoder).identity,
                    add=add,
                )
                session.tell("done", (outcome, self._finish(installation)))

        return self._begin(entry, work)

    def stop(self) -> None:
        """Give up what goes on; it ends by itself."""
        with self._lock:
            session = self.session
        if session is not None and session.is_alive():
            session.stopped = True

    def _installation(self) -> Installation:
        return Installation.open(self._settings, Screen(as_json=True))

    def _finish(self, installation: Installation) -> str:
        """Bring index and calibration in line; return why no door is armed, or nothing."""
        installation.gallery_or_new.save()
        return installation.arming.calibrate_if_quick()

    def _begin(self, entry: Entry, work: Callable[[EnrollmentSession], None]) -> bool:
        with self._lock:
            if self.session is not None and self.session.is_alive():
                return False
            self.session = EnrollmentSession(entry, work)
            self.session.start()
            return True
