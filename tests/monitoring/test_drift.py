"""Simulated drift: it must trip, and it must not trip."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen import language
from kaimen.audit import Record
from kaimen.audit.passages import WINDOW, Passage, passage_of
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.calibration.intervals import share_of
from kaimen.errors import GalleryError, StorageError
from kaimen.monitoring.drift import CERTAIN, DriftAlarm, alarm, rows
from kaimen.monitoring.drift_watch import COUNTED, DriftWatch
from kaimen.registry.vault import Vault
from tests.monitoring.simulated import BEGIN, SimulatedSchool

DRIFT = 0.4  # of a probe, that all of them have in common
VAULT = Vault()


@pytest.fixture(scope="module")
def simulated() -> SimulatedSchool:
    return SimulatedSchool()


@pytest.fixture(scope="module")
def usual(simulated: SimulatedSchool) -> list[Record]:
    return list(simulated.records(28, 60))


@pytest.fixture(scope="module")
def drifted(simulated: SimulatedSchool) -> list[Record]:
    return list(simulated.records(28, 60, drift=DRIFT))


def passages(records: Sequence[Record]) -> list[Passage]:
    return [each for each in map(passage_of, records) if each is not None]


def after(days: float) -> datetime.datetime:
    return BEGIN + datetime.timedelta(days=days)


def test_a_door_as_it_was_calibrated_trips_no_alarm(
    simulated: SimulatedSchool, usual: list[Record]
) -> None:
    found = alarm(passages(usual), simulated.calibration, after(28))
    assert found.above.of > 1000
    assert found.above.value == pytest.approx(0.01, abs=0.008)
    assert not found.trips
    assert "1.0% were promised" in found.sentence


def test_a_simulated_drift_trips_the_alarm(
    simulated: SimulatedSchool, drifted: list[Record]
) -> None:
    found = alarm(passages(drifted), simulated.calibration, after(28))
    assert found.above.value is not None
    assert found.above.value > 0.02
    assert found.trips
    assert "more than 1.5 times" in found.sentence


def test_who_comes_a_hundred_times_is_one_stranger(
    simulated: SimulatedSchool, usual: list[Record]
) -> None:
    one = next(each for each in passages(usual) if each.stranger is not None)
    often = [replace(one, stranger=0.99)] * 100
    assert not alarm(often, simulated.calibration, after(28)).trips


def test_an_alarm_looks_back_four_weeks_or_to_where_it_was_mended(
    simulated: SimulatedSchool, drifted: list[Record]
) -> None:
    learned = simulated.calibration
    assert not alarm(passages(drifted), learned, after(28) + WINDOW).above.of
    mended = replace(learned, drift_from=after(20).isoformat())
    assert alarm(passages(drifted), mended, after(28)).above.of < 500


def test_openings_of_another_encoder_say_nothing(
    simulated: SimulatedSchool, drifted: list[Record]
) -> None:
    other = replace(simulated.calibration, encoder="f" * 64)
    assert not alarm(passages(drifted), other, after(28)).above.of


def test_weeks_groups_and_microphones_are_told_apart(
    simulated: SimulatedSchool, usual: list[Record]
) -> None:
    found = passages(usual)
    weeks = rows(found, lambda each: each.week, simulated.calibration)
    assert [row.name for row in weeks] == [f"2026-W{week}" for week in range(37, 41)]
    assert sum(row.phrases for row in weeks) == len(usual)
    assert sum(row.above.of for row in weeks) == sum(each.stranger is not None for each in found)
    microphones = rows(found, lambda each: each.microphone, simulated.calibration)
    assert [row.name for row in microphones] == ["day", "hall"]
    assert sum(microphones[0].verdicts.values()) == microphones[0].phrases
    for row in microphones:
        assert row.accepted is not None
        assert row.strangers is not None
        assert row.strangers[1] < row.accepted[1]


class Watched:
    """A watch of a simulated door, with clocks of its own."""

    def __init__(
        self, calibration: Calibration, before: list[Record], path: Path, stops: bool
    ) -> None:
        self.said: list[str] = []
        self.now = after(28)
        self.seconds = 0.0
        self.path = path
        calibration.save(path, VAULT)
        self.watch = DriftWatch(
            lambda: reversed(before),
            lambda: Calibration.load(path, VAULT),
            path,
            self.said.append,
            stops=stops,
            now=lambda: self.now,
            clock=lambda: self.seconds,
        )

    def look(self) -> None:
        self.seconds += COUNTED
        self.watch.look()


@pytest.mark.parametrize("stops", [False, True])
def test_a_gate_says_that_scores_drift_and_on_request_opens_for_no_voice(
    simulated: SimulatedSchool, drifted: list[Record], tmp_path: Path, stops: bool
) -> None:
    watched = Watched(simulated.calibration, [], calibration_path(tmp_path / "g.sqlite"), stops)
    watched.look()
    assert watched.said == []
    for record in drifted:
        watched.watch.add(record)
    watched.look()
    watched.look()
    (said,) = watched.said
    assert said.startswith("drift: ")
    assert "--drift-mended" in said
    assert bool(watched.watch.shut) is stops
    for each in filter(None, (said, watched.watch.shut)):
        in_chinese = language.in_chinese(each, language.SENTENCES)
        assert not re.search("[a-z]{3}", in_chinese.replace("kaimen calibrate --drift-mended", ""))


def test_a_gate_that_starts_anew_knows_of_the_drift_before(
    simulated: SimulatedSchool, drifted: list[Record], tmp_path: Path
) -> None:
    watched = Watched(simulated.calibration, drifted, calibration_path(tmp_path / "g.sqlite"), True)
    watched.look()
    assert watched.watch.shut


def test_a_gate_whose_scores_do_not_drift_stays_open(
    simulated: SimulatedSchool, usual: list[Record], tmp_path: Path
) -> None:
    watched = Watched(simulated.calibration, usual, calibration_path(tmp_path / "g.sqlite"), True)
    watched.look()
    assert (watched.watch.shut, watched.said) == ("", [])


def test_mended_drift_opens_the_door_again(
    simulated: SimulatedSchool, drifted: list[Record], tmp_path: Path
) -> None:
    watched = Watched(simulated.calibration, drifted, calibration_path(tmp_path / "g.sqlite"), True)
    watched.look()
    mended = replace(simulated.calibration, drift_from=watched.now.isoformat())
    mended.save(watched.path, VAULT)
    watched.look()
    assert watched.watch.shut == ""
    assert watched.said[-1].startswith("the drift is over: ")


@pytest.mark.parametrize("stops", [False, True])
def test_a_log_that_cannot_be_read_is_said_and_shuts_only_who_asked_for_it(
    simulated: SimulatedSchool, usual: list[Record], tmp_path: Path, stops: bool
) -> None:
    watched = Watched(simulated.calibration, [], calibration_path(tmp_path / "g.sqlite"), stops)

    def fail() -> list[Record]:
        raise StorageError("the log cannot be read")

    watched.watch._before = fail
    watched.look()
    watched.look()
    assert len(watched.said) == 1
    assert "not known: the log cannot be read" in watched.said[0]
    assert bool(watched.watch.shut) is stops
    watched.watch._before = lambda: reversed(usual)
    watched.look()
    assert watched.watch.shut == ""


def test_who_asked_for_it_opens_nothing_before_the_log_is_read(
    simulated: SimulatedSchool, tmp_path: Path
) -> None:
    watched = Watched(simulated.calibration, [], calibration_path(tmp_path / "g.sqlite"), True)
    assert "still being read" in watched.watch.shut
    watched.look()
    assert watched.watch.shut == ""


def test_a_calibration_that_cannot_be_read_keeps_what_was_found(
    simulated: SimulatedSchool, drifted: list[Record], tmp_path: Path
) -> None:
    watched = Watched(simulated.calibration, drifted, calibration_path(tmp_path / "g.sqlite"), True)
    watched.look()
    watched.path.write_bytes(b"torn")
    with pytest.raises(GalleryError):
        Calibration.load(watched.path, VAULT)
    watched.look()
    assert watched.watch.shut


@pytest.mark.slow
def test_an_unchanged_door_trips_hardly_ever_and_a_changed_one_within_four_weeks(
    simulated: SimulatedSchool,
) -> None:
    """Sixty windows of four weeks, of 30 phrases a day each."""
    tripped = [
        alarm(passages(list(simulated.records(28, 30))), simulated.calibration, after(28)).trips
        for _ in range(60)
    ]
    assert sum(tripped) <= 1
    changed = [
        alarm(
            passages(list(simulated.records(28, 30, drift=DRIFT))), simulated.calibration, after(28)
        ).trips
        for _ in range(10)
    ]
    assert all(changed)


@pytest.mark.slow
@pytest.mark.parametrize("unlike", [False, True])
@pytest.mark.parametrize(("students", "openings"), [(50, 300), (200, 840), (1_000, 20_000)])
def test_windows_of_simulated_doors_trip_as_often_as_is_said(
    simulated: SimulatedSchool, students: int, openings: int, unlike: bool
) -> None:
    """Four hundred windows of each kind: strangers pass as often as promised, or more often."""
    learned, random = simulated.calibration, np.random.default_rng(7)

    def rate(share: float) -> float:
        tripped = 0
        for _ in range(400):
            own = np.full(students, share)
            if unlike:
                own = random.beta(5 * share, 5 * (1 - share), students)
            whose = random.integers(0, students, openings)
            above = random.random(openings) < own[whose]
            found = share_of(above, whose, CERTAIN)
            tripped += DriftAlarm(found, len(np.unique(whose[above])), learned.fpir).trips
        return tripped / 400

    assert rate(0.01) <= 0.005
    assert rate(0.015) <= 0.015
    assert rate(0.03) >= {50: 0.05, 200: 0.3, 1_000: 0.99}[students]
