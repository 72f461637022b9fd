"""What a line of the log says, in plain words of two languages."""

from __future__ import annotations

from typing import Any

import pytest

from kaimen import language
from kaimen.audit.words import about, told, turned_away


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"kind": "door", "event": "state forced"}, "门的消息：门被强行打开"),
        ({"kind": "gap", "lost": 3}, "这里缺 3 行：当时无法写入"),
        ({"kind": "gate", "event": "6 students; the door is armed"}, "6 名学生；门已启用"),
        (
            {
                "kind": "decision", "verdict": "open", "student": "ab", "score": 0.8,
                "threshold": 0.6,
            },
            "开门：AB（0.80，要求 0.60）",
        ),
        (
            {
                "kind": "decision", "verdict": "unknown", "score": 0.5, "threshold": 0.6,
                "nearest": [{"student": "ab"}], "claim": "cd",
            },
            "陌生，自称 CD：没有足够接近的声音；最接近的是 AB（0.50，要求 0.60）",
        ),
        (
            {
                "kind": "decision", "verdict": "refused", "nearest": [{"student": "ab"}],
                "checks": {"loudspeaker": [-0.9, -0.5]},
            },
            "拒绝：声音像 AB，但听起来像扬声器（0.90，最多允许 0.50）",
        ),
        (
            {"kind": "consent given", "student": "ab", "by": "guardian", "until": "2027-07-31"},
            "AB：已同意（监护人），有效期至 2027-07-31",
        ),
    ],
)  # fmt: skip
def test_a_line_is_told_in_chinese(record: dict[str, Any], expected: str) -> None:
    language.choose(language.CHINESE)
    try:
        assert told(record, str.upper) == expected
    finally:
        language.choose(language.ENGLISH)


NEAR = [{"student": "ab", "score": 0.5}, {"student": "cd", "score": 0.4}]
DECISION = {"kind": "decision", "verdict": "unknown", "score": 0.5, "threshold": 0.6}
TURNED_AWAY = {**DECISION, "nearest": NEAR}
PHRASE, REPLAY = {"phrase": [0.2, 0.4]}, {"phrase": [0.9, 0.4], "replay": [-0.95, -0.6]}
PIN = {"kind": "pin", "verdict": "refused", "student": "ab", "why": "a wrong PIN"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"kind": "door", "event": "relay on"}, "the door says: relay on"),
        ({"kind": "act", "who": "Zhang", "did": "opened the door"}, "Zhang opened the door"),
        ({"kind": "act", "who": "Zhang", "did": "removed", "student": "ab"}, "Zhang removed: AB"),
        ({"kind": "gap", "lost": 3}, "3 lines are missing here: they could not be written"),
        (
            {"kind": "grown", "student": "ab", "score": 0.81, "threshold": 0.7},
            "a voiceprint of AB was taken in (0.81, 0.70 is needed)",
        ),
        ({"kind": "restored", "backup": "2026-09-01"}, "a backup of 2026-09-01 was restored"),
        ({"kind": "renewed"}, "the school has a new key, and other voiceprints"),
        ({"kind": "erased", "student": "ab"}, "AB: erased for good"),
        (
            {"kind": "consent given", "student": "ab", "by": "guardian", "until": "2027-07-31"},
            "AB: consent was given by the guardian, until 2027-07-31",
        ),
        ({"kind": "gate", "event": "the watcher works again"}, "the watcher works again"),
        ({"kind": "another"}, "another"),
        (PIN, "card and PIN refused: AB, a wrong PIN"),
        ({**PIN, "student": None}, "card and PIN refused: a card that nobody has, a wrong PIN"),
        ({**PIN, "verdict": "open", "why": None}, "opened for AB by card and PIN"),
        (
            {**PIN, "verdict": "open", "not_opened": "the door is held"},
            "knew AB by card and PIN; the door is held",
        ),
        (
            TURNED_AWAY,
            "unknown: no voice is near enough; nearest is AB (0.50, 0.60 is needed)",
        ),
        (
            {**TURNED_AWAY, "pooled": 0.5, "claim": "cd"},
            "unknown, who claimed to be CD: no voice is near enough in two tries; nearest is AB "
            "(0.50, 0.60 is needed)",
        ),
        (
            {**TURNED_AWAY, "verdict": "retry", "score": 0.6},
            "asked for another try: the voice is like AB (0.60, 0.60 is needed), but more was "
            "asked for",
        ),
        (
            {**TURNED_AWAY, "threshold": None},
            "unknown: the door is not armed; run 'kaimen doctor'",
        ),
        (
            {**TURNED_AWAY, "score": 0.7, "checks": PHRASE},
            "unknown: the voice is like AB, but these are not the words that were enrolled "
            "(0.20, 0.40 is needed)",
        ),
        (
            {**TURNED_AWAY, "score": 0.7, "checks": {"phrase": [-0.1, 0.0]}},
            "unknown: the voice is like AB, but these are not the words that were enrolled "
            "(-0.10, 0.00 is needed)",
        ),
        (
            {**TURNED_AWAY, "verdict": "refused", "score": 0.7, "checks": REPLAY},
            "refused: the voice is like AB, but it was heard before: a recording "
            "(0.95, at most 0.60 may be)",
        ),
        (
            {**TURNED_AWAY, "checks": {"lips": [None, 0.4]}},
            "unknown: the voice is like AB, but the check lips failed",
        ),
        ({**DECISION, "nearest": []}, "unknown: nobody is enrolled who may enter at that time"),
        (
            {**DECISION, "claim": "cd"},
            "unknown, who claimed to be CD: not enrolled, or may not enter at that time",
        ),
        (
            {**DECISION, "verdict": "refused"},
            "refused: not listened to, after too many unknown voices",
        ),
        (
            {**DECISION, "verdict": "refused", "threshold": None},
            "refused: the door opened for nobody at that time; run 'kaimen doctor'",
        ),
        (
            {**DECISION, "verdict": "retry"},
            "asked for another try: this door wants to know first who you are",
        ),
    ],
)
def test_a_line_is_told_in_plain_words(record: dict[str, Any], expected: str) -> None:
    assert told(record, str.upper) == expected


def test_turned_away_is_whoever_was_not_let_in() -> None:
    opened = {**DECISION, "verdict": "open"}
    lines = [DECISION, PIN, opened, {**opened, "not_opened": "held"}, {"kind": "door"}]
    assert [turned_away(line) for line in lines] == [True, True, False, True, False]


def test_a_line_is_about_who_was_let_in_claimed_or_nearest() -> None:
    assert about({**TURNED_AWAY, "claim": "ef", "student": None}) == {"ab", "ef"}
    assert about({"kind": "erased", "student": "ab"}) == {"ab"}
    assert about({"kind": "door"}) == set()
