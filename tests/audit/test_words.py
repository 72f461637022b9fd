"""What a line of the log says, in Chinese."""

from __future__ import annotations

from typing import Any

import pytest

from kaimen import language
from kaimen.audit.words import told


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"kind": "door", "event": "state forced"}, "门的消息：门被强行打开"),
        ({"kind": "gap", "lost": 3}, "这里缺 3 行：当时无法写入"),
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
