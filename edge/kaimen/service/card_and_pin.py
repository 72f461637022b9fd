"""Opening for a card and the PIN typed after it."""

from __future__ import annotations

from kaimen.access.pin_entry import PinAnswer, PinEntry
from kaimen.access.policy import AccessPolicy
from kaimen.door.client import Door
from kaimen.errors import OpeningRefused
from kaimen.interrupt import uninterrupted
from kaimen.service.reporter import Reporter


class CardAndPin:
    """Obeys what was decided about PINs, in the gate's own thread."""

    def __init__(self, entry: PinEntry, policy: AccessPolicy, door: Door, report: Reporter) -> None:
        """A card that opened is no claim to the ``policy`` any more."""
        self._entry = entry
        self._policy = policy
        self._door = door
        self._report = report

    def obey(self) -> None:
        """Open or show a refusal for every PIN since the last call, and write it down.

        No signal comes between an opening and its line in the log.
        """
        with uninterrupted():
            for entered in self._entry.answers():
                self._report.pin(entered, self._open(entered))
                if entered.opens:
                    self._policy.withdraw_claim(entered.student)

    def _open(self, entered: PinAnswer) -> str:
        """Open, or show that nobody does; return why it did not open."""
        if not entered.opens:
            self._door.show("refused")
            return ""
        try:
            self._door.open()
        except OpeningRefused as error:  # to start again would not make it open
            self._door.show("fault")
            return str(error)
        return ""
