"""What the checks cost is measured of a student's phrase beside their own; times are not judged."""

from __future__ import annotations

import pytest

pytest.importorskip("rich")

from kaimen.bench import timing
from kaimen.bench.phrase import STORED
from kaimen.voice.encoder import RUNTIMES
from kaimen_train.evaluation import check_costs
from tests.sounds import spoken


def test_shares_are_of_the_encoder_of_the_same_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    monkeypatch.setattr(check_costs, "VISITS", 1)
    names = [(text, "Li", take) for text in ("one", "two") for take in range(STORED)]
    phrases = [spoken(0.6, pitch=100.0 + number) for number in range(len(names))]
    rows = check_costs.measure(names, phrases)
    assert {row["runtime"] for row in rows} <= set(RUNTIMES) and rows
    for row in rows:
        asked = row["words"] + row["loudspeaker"] + row["replay_5"]
        assert row["share_5"] == pytest.approx(asked / row["encoder"])


def test_who_has_said_too_little_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    names = [("one", "Li", take) for take in range(STORED)]
    assert check_costs.measure(names, [spoken(0.6)] * len(names)) == []
