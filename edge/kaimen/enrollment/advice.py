"""What the coach says to a student at the microphone, one sentence at a time, in two languages."""

from __future__ import annotations

from enum import Enum

from kaimen.language import catalogue, later


class Advice(Enum):
    """A sentence; its value is the English one."""

    SPEAK = later("Say the phrase now.")
    NEXT = later("Good. Say it again.")
    LOUDER = later("Say it once more, a bit louder.")
    CLOSER = later("Come a little closer and say it once more.")
    FURTHER = later("Too loud: step back a little and say it once more.")
    QUIETER = later("Too noisy: come closer, or wait, and say it once more.")
    WHOLE = later("Say the whole phrase once, without a long pause.")
    SAME_WORDS = later("Say the same words as before.")
    SAME_VOICE = later("Not like the takes before: only one person may speak.")
    MORE = later("Good, and one more take will help: say it once more.")
    DONE = later("Done. Come again another day: two days are safer than one.")

    @property
    def english(self) -> str:
        """Return the sentence in English."""
        return str(self.value)

    @property
    def chinese(self) -> str:
        """Return the sentence in Chinese."""
        return catalogue()[self.value]
