"""``kaimen bench`` on a small school, and exact scores against plain loops."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.bench import engines, exact, growth, search, synthetic, timing
from kaimen.cli import bench
from kaimen.cli.main import main
from kaimen.errors import SettingsError
from kaimen.screen import Screen
from kaimen.voice.score import score_of
from tests.gallery.points import enrolled, school


def run(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["bench", *arguments, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is measured, nothing for long."""
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    monkeypatch.setattr(timing, "LEAST", 1)
    monkeypatch.setattr(search, "TURNS", 1)
    recordings = {"anning": sorted((bench.RECORDINGS / "anning").glob("phrase-*.mp3"))}
    monkeypatch.setattr(bench, "recordings_in", lambda _: recordings)


@pytest.mark.slow
def test_every_part_is_an_object_of_its_own(
    quick: None, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "SIZES", (100,))
    code, found = run(capsys, "--points", "200", "--probes", "80")
    assert code == 0
    parts = [each["part"] for each in found]
    assert parts[:2] == ["endpointing", "features"] and "bulk" in parts
    searched = [each for each in found if each["part"] == "search"]
    assert {(each["points"], each["by"]) for each in searched} >= {
        (100, "numpy scan"), (100, "kaimen"), (200, "numpy scan"), (200, "kaimen"),
    }  # fmt: skip
    ours = [each for each in searched if each["by"] == "kaimen"]
    assert [each["recall"] for each in ours] == [1, 1]  # all are scored where there are few
    assert all(0 < each["probes"] <= 80 for each in ours)
    scans = [each for each in searched if each["by"] == "numpy scan"]
    assert [each["of_scan"] for each in scans] == [1, 1]
    schools = [each for each in found if each["part"] == "school"]
    assert [(each["points"], each["students"]) for each in schools] == [(100, 20), (200, 40)]
    for name in (
        "enroll_seconds", "index_seconds", "save_seconds", "load_gallery_seconds",
        "process_seconds", "calibrate_seconds", "swap_seconds", "longest_search_meanwhile_ms",
        "decision_p50_ms", "decision_p99_ms", "resident_megabytes", "peak_megabytes",
    ):  # fmt: skip
        assert all(each[name] > 0 for each in schools), name
    assert all(each["resident_megabytes"] <= each["peak_megabytes"] for each in schools)


@pytest.mark.slow
def test_a_person_is_shown_tables(quick: None, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "--points", "100", "--probes", "20"]) == 0
    shown = capsys.readouterr().out
    for title in ("a phrase", "search among 100 points", "a school", "of the scan"):
        assert title in shown


@pytest.mark.slow
def test_a_population_of_another_encoder_is_measured_all_the_same(
    quick: None, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(synthetic.load(), encoder="another")
    monkeypatch.setattr(synthetic, "load", lambda: other)
    assert main(["bench", "--points", "100", "--probes", "20"]) == 0
    said = capsys.readouterr().err
    assert "another encoder" in said and "kaimen-train school --fit" in said


def test_a_population_of_other_dimensions_is_refused(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(synthetic.load(), mean=np.zeros(3, np.float32))
    monkeypatch.setattr(synthetic, "load", lambda: other)
    code, (said,) = run(capsys, "--points", "100")
    assert code == 4 and "3 dimensions" in said["error"]


@pytest.mark.parametrize("arguments", [("--points", "9"), ("--probes", "0")])
def test_impossible_sizes_are_refused(
    arguments: tuple[str, str], capsys: pytest.CaptureFixture
) -> None:
    code, (said,) = run(capsys, *arguments)
    assert code == 2 and arguments[0] in said["error"]


def test_the_sizes_end_at_the_largest() -> None:
    assert bench._sizes(500) == [500]
    assert bench._sizes(10_000) == [1_000, 10_000]
    assert bench._sizes(1_000_000) == [1_000, 10_000, 100_000, 1_000_000]


@pytest.mark.parametrize("recordings", [1, 2, 5])
def test_exact_scores_are_what_plain_loops_give(recordings: int) -> None:
    enrolled_ones, probes = school(30, recordings, 8), school(exact.BLOCK + 2, 1, 8, seed=1)[:, 0]
    found = exact.best(enrolled_ones, probes)
    slow = np.stack([score_of(own, probes) for own in enrolled_ones], axis=1)
    np.testing.assert_array_equal(found.places, slow.argmax(axis=1))
    np.testing.assert_allclose(found.scores, slow.max(axis=1), atol=1e-6)


def test_own_scores_are_those_of_the_student_in_the_same_place() -> None:
    everything = school(7, 8, 8)
    found = exact.own(everything[:, :5], everything[:, 5:])
    assert found.shape == (7, 3)
    expected = [score_of(own[:5], own[5:]) for own in everything]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_search_that_misses_students_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    points = school(40, 6, 16, spread=0.3)
    gallery = enrolled(points[:, :5])
    monkeypatch.setattr(search, "name_of", lambda place: f"s{place:03}")
    monkeypatch.setattr(search, "TURNS", 1)
    monkeypatch.setattr(search, "PEERS", {})
    screen, strangers = Screen(as_json=True), school(50, 1, 16, seed=1)[:, 0]
    measured = search.measure(
        gallery, points[:, :5], points[:, 5:], strangers, list(search.PEERS), screen
    )
    assert measured[1]["recall"] == 1
    gallery.remove("s003")  # whoever is not searched for is missed
    measured = search.measure(
        gallery, points[:, :5], points[:, 5:], strangers, list(search.PEERS), screen
    )
    assert measured[1]["recall"] == pytest.approx(39 / 40)


def test_how_search_grows_is_drawn_the_same_every_time(tmp_path: Path) -> None:
    found = [
        {"by": name, "points": points, "p50_ms": milliseconds}
        for points, milliseconds in ((1_000, 9.0), (10_000, 0.5), (100_000, 0.7))
        for name in ("kaimen", "numpy scan")
    ]
    assert growth.constant(found) == pytest.approx(0.7 / math.log(100_000))
    for name in ("one.svg", "other.svg"):
        growth.draw(found, tmp_path / name)
    assert "<svg" in (tmp_path / "one.svg").read_text()
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_a_figure_without_matplotlib_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match=r"kaimen\[bench\]"):
        growth.draw([], tmp_path / "growth.svg")


@pytest.mark.parametrize("package", engines.PEERS)
def test_every_engine_finds_nearly_every_recording_itself(package: str) -> None:
    """A graph that several threads build is another each time, and may miss a few."""
    pytest.importorskip(package)
    points = school(60, 5, 16).reshape(-1, 16)
    engine = engines.PEERS[package](points)
    if engine.broaden:
        engine.broaden(len(points))
    found = [engine.find(point)[0] for point in points]
    assert np.mean(found == np.arange(len(points))) > 0.9


def test_the_breadth_is_the_least_that_finds_as_many() -> None:
    asked: list[int] = []
    there = {64: np.array([3]), 32: np.array([9])}
    engine = engines.Engine("fake", lambda _: there.get(asked[-1], np.array([9])), asked.append)
    chosen = search._tune(engine, 1, np.zeros((1, 4), np.float32), np.array([3]), 1.0)
    assert chosen == {"breadth": 64, "recall": 1.0} and asked == [16, 32, 64]


def test_what_is_not_installed_is_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(search, "PEERS", {"faiss": engines.faiss_flat})
    monkeypatch.setattr(search, "TURNS", 1)
    points = school(20, 6, 16)
    gallery = enrolled(points[:, :5])
    strangers = school(5, 1, 16, seed=1)[:, 0]
    screen = Screen(as_json=False)
    found = search.measure(
        gallery, points[:, :5], points[:, 5:], strangers, list(search.PEERS), screen
    )
    assert [each["by"] for each in found] == ["numpy scan", "kaimen", "kaimen, strangers"]
    assert "faiss is not installed" in capsys.readouterr().err
