"""How high the recordings of a gallery reach, and what that means at the gate."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median  # numpy's takes ten times as long for a few numbers

from kaimen.sound.bandwidth import band_of, band_of_most, nothing_above

AGAIN = "enroll them again from recordings of 16 kHz or more"


@dataclass(frozen=True, slots=True)
class GalleryBand:
    """The band that most recordings share, and how many students were recorded otherwise."""

    band: int | None = None  # Hz that most recordings are cut to; None: they are wide
    others: int = 0  # students whose recordings are mostly of another band

    @classmethod
    def of(cls, highest: Iterable[Sequence[float]]) -> GalleryBand:
        """Return the band of students' recordings, given how high each of a student's reaches."""
        every, medians = array("d"), array("d")  # in Hz; a school's take an eighth of a list's room
        for own in highest:
            every.extend(own)
            medians.append(median(own))
        band = band_of_most(every)
        others = sum(band_of(each) != band for each in medians)
        return cls(band, others)

    @property
    def warning(self) -> str:
        """Return what is to be said of it, and what to do; nothing of wide recordings."""
        if self.band is not None:
            more = f", and {self.others} students are known less well by it" if self.others else ""
            return (
                f"of most recordings: {nothing_above(self.band)}, so that a phrase at the gate is "
                f"heard no higher{more}; {AGAIN}"
            )
        if self.others:
            return (
                f"{self.others} students are enrolled from recordings by telephone or of 8 kHz, "
                f"and known less well; {AGAIN}"
            )
        return ""

    def warning_of(self, highest: float) -> str:
        """Return what is to be said of a phrase that reaches so high (Hz), or nothing."""
        band = band_of(highest)
        if band is None or (self.band is not None and self.band <= band):
            return ""
        return f"{nothing_above(band)}, and the school's recordings do; use another microphone"
