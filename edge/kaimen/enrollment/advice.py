"""What the coach says to a student at the microphone, one sentence at a time, in two languages."""

from __future__ import annotations

from enum import Enum


class Advice(Enum):
    """A sentence in English and in Chinese."""

    SPEAK = ("Say the phrase now.", "请说口令。")
    NEXT = ("Good. Say it again.", "很好，请再说一遍。")
    LOUDER = ("Say it once more, a bit louder.", "请再说一遍，声音大一点。")
    CLOSER = ("Come a little closer and say it once more.", "请靠近一点，再说一遍。")
    FURTHER = (
        "Too loud: step back a little and say it once more.",
        "太响了：请退后一点，再说一遍。",
    )
    QUIETER = (
        "Too noisy: come closer, or wait, and say it once more.",
        "太吵了：请靠近一点或稍等，再说一遍。",
    )
    WHOLE = (
        "Say the whole phrase once, without a long pause.",
        "请完整地说一遍，中间不要停顿。",
    )
    SAME_WORDS = ("Say the same words as before.", "请说和刚才一样的口令。")
    SAME_VOICE = (
        "Not like the takes before: only one person may speak.",
        "和前几遍不像：请只由一个人说。",
    )
    MORE = (
        "Good, and one more take will help: say it once more.",
        "很好，再多录一遍会更可靠：请再说一遍。",
    )
    DONE = (
        "Done. Come again another day: two days are safer than one.",
        "完成。请改天再录一次：两天的录音更可靠。",
    )

    @property
    def english(self) -> str:
        """The sentence in English."""
        return self.value[0]

    @property
    def chinese(self) -> str:
        """The sentence in Chinese."""
        return self.value[1]
