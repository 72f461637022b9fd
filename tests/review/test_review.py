"""Which phrases are kept, and what marks of them come to."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kaimen.access.decision import Check, Decision, Verdict
from kaimen.audit import record_of
from kaimen.errors import SettingsError
from kaimen.gallery.match import Match
from kaimen.gate.gate import Answer
from kaimen.registry.kept_phrases import KeptPhrases, Mark
from kaimen.registry.vault import Vault
from kaimen.review.keeping import EXPIRES, PhraseKeeping
from kaimen.review.measured import measured
from kaimen.review.strata import Stratum, stratum_of
from kaimen.settings import Settings
from kaimen.settings.review import ReviewSettings
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.endpoint import Phrase

KEY = b"k" * 32
BEGIN = datetime.datetime(2026, 9, 1, 6, tzinfo=datetime.UTC)
TONE = (0.3 * np.sin(np.arange(SAMPLE_RATE) / 8)).astype(np.float32)
PHRASE = Phrase(TONE, 0, len(TONE), 0.3)


def answer(verdict: Verdict, score: float, *checks: Check, **more: Any) -> Answer:
    nearest = (Match("s0001", score), Match("s0002", score - 0.3))
    decision = Decision(verdict, 0.8, nearest, checks=checks, **more)
    return Answer(decision, PHRASE, 0.01)


def told(given: Answer) -> dict[str, Any]:
    return record_of(given, key=KEY, encoder="e", gallery="g", calibration="c")


PASSED, REPLAYED = Check("phrase", 0.9, 0.5), Check("replay", -0.9, -0.45)


@pytest.mark.parametrize(
    ("given", "stratum"),
    [
        (answer(Verdict.OPEN, 0.9, PASSED), Stratum.OPENED),
        (answer(Verdict.RETRY, 0.75), Stratum.DOUBTFUL),
        (answer(Verdict.UNKNOWN, 0.7), Stratum.DOUBTFUL),
        (answer(Verdict.UNKNOWN, 0.4), Stratum.CLEAR),
        (answer(Verdict.REFUSED, 0.9, PASSED, REPLAYED), Stratum.DOUBTFUL),
        (answer(Verdict.RETRY, 0.9, PASSED, ask=("door",)), None),
        (Answer(Decision(Verdict.REFUSED, 0.8, (), wait=9.0), PHRASE, 0), None),
        (Answer(Decision(Verdict.UNKNOWN, 0.8, ()), PHRASE, 0), None),
    ],
)  # fmt: skip
def test_doubtful_is_what_was_asked_again_nearly_known_or_refused_by_a_check(
    given: Answer, stratum: Stratum | None
) -> None:
    assert stratum_of(told(given)) is stratum


@pytest.fixture
def phrases(tmp_path: Path) -> KeptPhrases:
    return KeptPhrases(tmp_path / "gallery.review", Vault())


def heard(phrases: KeptPhrases, settings: ReviewSettings, draw: float = 0.5) -> list[str]:
    said: list[str] = []
    keeping = PhraseKeeping(phrases, settings, said.append, draw=lambda: draw, clock=lambda: 0.0)
    for given in (
        answer(Verdict.OPEN, 0.9),
        answer(Verdict.UNKNOWN, 0.7),
        answer(Verdict.UNKNOWN, 0.1),
    ):
        keeping.hear(given, told(given))
    return said


def test_by_default_nothing_is_kept(phrases: KeptPhrases) -> None:
    assert Settings().review == ReviewSettings(days=0, share=0.0)
    heard(phrases, ReviewSettings())
    assert phrases.numbers() == []


def test_doubtful_phrases_are_kept_and_sound_as_they_were(
    phrases: KeptPhrases, tmp_path: Path
) -> None:
    heard(phrases, ReviewSettings(days=7))
    (kept,) = phrases.phrases()
    assert kept.told["stratum"] == "doubtful"
    assert kept.told["reason"].startswith("nearest is s0001 at 0.700")
    assert kept.students == ("s0001", "s0002")
    (tmp_path / "heard.flac").write_bytes(phrases.sound(kept.number))
    sound, rate = soundfile.read(tmp_path / "heard.flac", dtype="float32")
    assert rate == SAMPLE_RATE
    assert np.abs(sound - TONE).max() < 1e-4


@pytest.mark.parametrize(("draw", "kept"), [(0.04, 3), (0.06, 1)])
def test_a_share_of_all_others_is_kept_on_request(
    phrases: KeptPhrases, draw: float, kept: int
) -> None:
    heard(phrases, ReviewSettings(days=7, share=0.05), draw)
    assert len(phrases.numbers()) == kept


def test_a_full_disk_is_said_once_and_the_gate_goes_on(tmp_path: Path) -> None:
    (tmp_path / "gallery.review").write_text("no folder")
    broken = KeptPhrases(tmp_path / "gallery.review", Vault())
    said = heard(broken, ReviewSettings(days=7, share=1.0))
    assert len(said) == 1
    assert "the gate goes on" in said[0]


def test_what_is_old_is_erased_every_hour_and_everything_where_it_is_off(
    phrases: KeptPhrases,
) -> None:
    seconds = 0.0
    phrases.keep(b"", {}, ())
    for days, left in ((7, 1), (0, 0)):
        keeping = PhraseKeeping(phrases, ReviewSettings(days=days), print, clock=lambda: seconds)
        keeping.beat()
        assert len(phrases.numbers()) == left
    phrases.keep(b"", {}, ())
    keeping.beat()
    assert len(phrases.numbers()) == 1
    seconds += EXPIRES
    keeping.beat()
    assert phrases.numbers() == []


@pytest.mark.parametrize("wrong", ["days = -1", "days = 91", "days = 7\nshare = 2", "share = 0.1"])
def test_a_setting_out_of_range_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="review"):
        Settings.parse(f"[review]\n{wrong}\n", "x.toml")


def log(opened: int, doubtful: int, clear: int) -> list[dict[str, Any]]:
    given = (
        [answer(Verdict.OPEN, 0.9)] * opened
        + [answer(Verdict.UNKNOWN, 0.7)] * doubtful
        + [answer(Verdict.UNKNOWN, 0.1)] * clear
    )
    return [
        {**told(each), "at": (BEGIN + datetime.timedelta(hours=1)).isoformat()} for each in given
    ]


def marks(stratum: str, right: int, wrong: int) -> list[Mark]:
    every = [True] * right + [False] * wrong
    return [Mark(f"20260901T060000-{at:06x}", stratum, each) for at, each in enumerate(every)]


def test_marks_stand_for_all_phrases_of_their_kind() -> None:
    found = measured(
        log(900, 100, 50),
        [*marks("opened", 49, 1), *marks("doubtful", 10, 10), *marks("clear", 20, 0)],
    )
    opened, missed, kept_out = 900 * 49 / 50, 100 / 2, 100 / 2 + 50
    assert found.fnir.value == pytest.approx(missed / (missed + opened))
    assert found.false_openings.value == pytest.approx(1 / 50)
    assert found.fpir.value == pytest.approx(18 / (18 + kept_out))
    for each in (found.fnir, found.false_openings, found.fpir):
        assert each.value is not None
        assert 0 <= each.low <= each.value <= each.high <= 1


def test_a_kind_of_which_nothing_is_marked_is_not_known() -> None:
    found = measured(log(900, 100, 0), marks("doubtful", 5, 5))
    assert found.false_openings.value is None
    assert (found.false_openings.low, found.false_openings.high) == pytest.approx((0, 1), abs=0.01)
    assert found.fnir.value is None


def test_without_marks_nothing_is_measured_and_no_log_is_read() -> None:
    found = measured(map(pytest.fail, ["the log was read"]), [])
    assert found.since is None
    assert found.fnir.value is None


def test_intervals_of_measured_errors_hold_the_truth() -> None:
    """A simulated door: 2 % of openings false, half of the doubtful students."""
    random = np.random.default_rng(3)
    records, held = log(2000, 200, 100), 0
    truth = 100 / (100 + 1960)
    for _ in range(100):
        wrong = [int(random.binomial(60, share)) for share in (0.02, 0.5, 0.0)]
        drawn = [
            mark
            for stratum, count in zip(Stratum, wrong, strict=True)
            for mark in marks(stratum.value, 60 - count, count)
        ]
        found = measured(records, drawn)
        held += found.fnir.low <= truth <= found.fnir.high
    assert held >= 90
