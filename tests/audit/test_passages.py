"""What the log tells of phrases: who was let in, and how like the next student they were."""

from __future__ import annotations

import datetime
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from kaimen.audit import Audit
from kaimen.audit.passages import passage_of, passages_of, passages_since, strangers_at

KEY = bytes(range(32))
BEGIN = datetime.datetime(2026, 9, 1, tzinfo=datetime.UTC)
LINE = {
    "kind": "decision", "verdict": "open", "at": BEGIN.isoformat(), "microphone": "hall",
    "encoder": "e" * 16, "claim": None, "pooled": None,
    "nearest": [{"student": "ab", "score": 0.8}, {"student": "cd", "score": 0.5}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("open", "ab", "hall", "e" * 16, 0.8, 0.5)),
        ({"nearest": LINE["nearest"][:1]}, ("open", "ab", "hall", "e" * 16, 0.8, None)),
        ({"microphone": None, "encoder": None}, ("open", "ab", "", "", 0.8, 0.5)),
        # Only who is let in by one try, and claimed to be nobody, is a stranger to all others.
        ({"verdict": "unknown"}, ("unknown", "ab", "hall", "e" * 16, None, None)),
        ({"claim": "ab"}, ("open", "ab", "hall", "e" * 16, None, None)),
        ({"pooled": 0.0}, ("open", "ab", "hall", "e" * 16, None, None)),
    ],
)
def test_a_line_tells_of_a_phrase(changed: dict[str, Any], expected: tuple[object, ...]) -> None:
    found = passage_of({**LINE, **changed})
    assert found is not None and astuple(found) == (BEGIN, *expected)


@pytest.mark.parametrize("changed", [{"kind": "door"}, {"nearest": []}])
def test_a_line_of_nobody_who_was_heard_tells_nothing(changed: dict[str, Any]) -> None:
    assert passage_of({**LINE, **changed}) is None


def day(days: float) -> datetime.datetime:
    return BEGIN + datetime.timedelta(days=days)


DAYS = [6, 5, 4.5, 5.5, 4, 5.25, 3.75, 6]  # the latest first, by a clock that was set back


@pytest.mark.parametrize(("since", "expected"), [(None, DAYS), (day(5), [6, 5, 5.5, 5.25])])
def test_a_clock_that_was_set_back_by_a_day_hides_nothing(
    since: datetime.datetime | None, expected: list[float]
) -> None:
    records = [{**LINE, "at": day(each).isoformat()} for each in DAYS]
    records.insert(1, {**records[0], "kind": "door"})
    assert [each.at for each in passages_since(records, since)] == [day(each) for each in expected]


def test_a_log_is_read_back_to_a_day(tmp_path: Path) -> None:
    assert passages_of(tmp_path, KEY, day(1)) == []
    for number in range(3):
        with Audit(tmp_path, KEY, now=lambda number=number: day(number)) as log:
            log.write({name: value for name, value in LINE.items() if name != "at"})
    assert [each.at for each in passages_of(tmp_path, KEY, day(1))] == [day(2), day(1)]


def test_scores_of_strangers_are_those_of_one_encoder() -> None:
    other = {"encoder": "f" * 16, "nearest": [{"student": "ef", "score": 0.8}] * 2}
    lines = [LINE, {**LINE, **other}, {**LINE, "verdict": "unknown"}]
    found = [each for each in map(passage_of, lines) if each is not None]
    assert list(strangers_at(found, "e" * 64)) == [("ab", 0.5)]
