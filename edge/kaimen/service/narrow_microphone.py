"""Tell, once, that the gate's microphone hears less than the school's recordings hold."""

from __future__ import annotations

from kaimen.gallery.band import GalleryBand
from kaimen.sound import Samples
from kaimen.sound.bandwidth import highest_speech

IN_A_ROW = 3  # phrases: one alone may be of a narrow voice


class NarrowMicrophone:
    """Counts phrases in a row that are narrower than the gallery."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._told = False

    def hear(self, phrase: Samples, band: GalleryBand) -> str:
        """Return what is to be said after a phrase, shape (samples,); mostly nothing."""
        if self._told:
            return ""
        warning = band.warning_of(highest_speech(phrase))
        self._in_a_row = self._in_a_row + 1 if warning else 0
        self._told = self._in_a_row == IN_A_ROW
        return f"{IN_A_ROW} phrases in a row: {warning}" if self._told else ""
