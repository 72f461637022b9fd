"""What happens at the gate is written down, then shown; a full disk keeps nobody outside."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, time

from kaimen.access.growing import GrowthCandidate
from kaimen.access.pin_entry import PinAnswer
from kaimen.audit import Audit, Record, grown_record, pin_record_of, record_of, write_waiting
from kaimen.errors import KaimenError, StorageError
from kaimen.gate.feed import Feed
from kaimen.gate.gate import Answer, Gate
from kaimen.registry.events import Events
from kaimen.screen import Screen
from kaimen.service import answers
from kaimen.service.narrow_microphone import NarrowMicrophone

LOOK = 1.0  # seconds between looks at what commands left for the log
AT_ONCE = 5  # of it, so that a phrase never waits long


class Reporter:
    """Writes to the audit log, to the screen and to whoever watches."""

    def __init__(
        self,
        gate: Gate,
        audit: Audit,
        events: Events,
        screen: Screen,
        feed: Feed,
        *,
        nearest: bool,
    ) -> None:
        """``events`` are what commands leave for the log; ``nearest`` as of ``as_fields``."""
        self._gate = gate
        self._events = events
        self._look_at = 0.0
        self._audit = audit
        self._screen = screen
        self._feed = feed
        self._nearest = nearest
        self._failed = False
        self._narrow = NarrowMicrophone()

    def answer(self, answer: Answer, microphone: str) -> Record:
        """Write down one answer, which watchers see before; return what was written of it."""
        fields = answers.as_fields(answer, nearest=self._nearest)
        self._feed.decision({"at": time(), **fields, **answers.for_watchers(answer)})
        record = record_of(
            answer,
            key=self._audit.key,
            encoder=self._gate.encoder.identity,
            gallery=self._gate.policy.gallery.hash,
            calibration=self._gate.policy.thresholds.source,
            microphone=microphone,
        )
        self._write(record)
        self._screen.result(fields, answers.as_line(answer, nearest=self._nearest))
        narrow = self._narrow.hear(answer.phrase.samples, self._gate.policy.gallery.band)
        if narrow:
            self.said(narrow)
        return record

    def door(self, text: str) -> None:
        """Report one event of the door's."""
        self._write({"kind": "door", "event": text})
        self._screen.result({"door": text})

    def pin(self, answer: PinAnswer, not_opened: str = "") -> None:
        """Report what became of a PIN, which itself is written nowhere."""
        record = pin_record_of(answer, key=self._audit.key, not_opened=not_opened)
        self._write(record)
        verdict, student = record["verdict"], answer.student if answer.opens else ""
        why = f": {answer.why}" if answer.why else f" for {student}"
        why += f"; {not_opened}" if not_opened else ""
        self._screen.result(
            {"pin": verdict, "student": student or None, "why": answer.why or None},
            f"card and PIN: {verdict}{why}",
        )

    def said(self, text: str) -> None:
        """Report what became of the gate's threads, and what they said."""
        self._write({"kind": "gate", "event": text})
        self._screen.note(text)

    def waiting(self) -> None:
        """Report what commands left for the log; called often, it looks once a second."""
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK
        # Nobody at the door waits for a command: the next look may be luckier.
        with suppress(KaimenError), self._events.at_once():
            write_waiting(self._audit, self._events, AT_ONCE)

    def grown(self, taken: GrowthCandidate) -> None:
        """Report a voiceprint that was taken in."""
        self._write(grown_record(taken, self._audit.key))

    def bundle(self, text: str) -> None:
        """Report how the trial of a bundle ended."""
        self._write({"kind": "bundle", "event": text})
        self._screen.note(text)

    def _write(self, record: dict[str, object]) -> None:
        # An older registry put in its place is told by what the log knew of it.
        registry = str(self._gate.policy.gallery.state)
        try:
            self._audit.write({**record, "registry": registry})
            self._failed = False
        except StorageError as error:
            if not self._failed:
                self._screen.note(f"{error}; the gate goes on without its log")
            self._failed = True
