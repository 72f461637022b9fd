"""Strangers' scores at a door raise its threshold where they contradict it, and never lower it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.audit import Audit
from kaimen.calibration.door_strangers import DoorStrangers
from kaimen.calibration.intervals import share_of
from kaimen.calibration.learning import calibrate_gallery
from kaimen.cli.main import main
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Card
from tests.calibration.test_calibration import evidence
from tests.gallery.points import enrolled, school

CARD = evidence(10**9)


def heard(scores: np.ndarray, phrases: int = 1) -> DoorStrangers:
    """Scores of students who each said so many phrases."""
    return DoorStrangers(scores, np.arange(len(scores)) // phrases)


@given(
    scores=st.lists(st.floats(-1, 1), max_size=60),
    threshold=st.floats(-1, 1),
    fpir=st.floats(0.001, 0.5),
    phrases=st.integers(1, 5),
)
def test_no_threshold_is_ever_lowered_and_a_raised_one_is_not_contradicted(
    scores: list[float], threshold: float, fpir: float, phrases: int
) -> None:
    known = heard(np.array(scores, np.float64), phrases)
    found = known.raised(threshold, fpir)
    assert found >= threshold
    above = known.scores >= found
    few = len(np.unique(known.owners[above])) < 3
    assert few or share_of(above, known.owners).low <= fpir


def test_what_keeps_the_promise_changes_nothing() -> None:
    gallery = enrolled(school(60, 4, 16))
    plain, _ = calibrate_gallery(gallery, CARD, 0.05)
    kept = heard(np.random.default_rng(0).uniform(-1, plain.threshold - 0.01, 5000))
    assert calibrate_gallery(gallery, CARD, 0.05, heard=kept)[0] == plain
    assert calibrate_gallery(gallery, CARD, 0.05, heard=DoorStrangers())[0] == plain


def test_strangers_who_come_nearer_at_this_door_raise_its_threshold_and_all_that_go_with_it() -> (
    None
):
    gallery = enrolled(school(60, 4, 16))
    for number in range(12):
        gallery.describe(f"s{number:03}", group="staff")
    roster = (Rule(("staff",)),)
    plain, _ = calibrate_gallery(gallery, CARD, 0.05, roster=roster)
    assert plain.roster is not None
    near = np.random.default_rng(0).normal(plain.roster.first_threshold, 0.02, 5000)
    found, _ = calibrate_gallery(gallery, CARD, 0.05, roster=roster, heard=heard(near))
    door, before = found.at_door(roster, gallery), plain.at_door(roster, gallery)
    assert door.threshold == pytest.approx(before.first_threshold + 0.02 * 1.645, abs=0.003)
    assert door.raised == pytest.approx(door.threshold - before.threshold)
    further = door.first_threshold - before.first_threshold
    assert further == pytest.approx(0.02 * 2.13, abs=0.004)
    assert door.both_threshold == pytest.approx(before.both_threshold + further)
    assert door.expected_fnir >= before.expected_fnir
    assert door.claim_threshold == before.claim_threshold
    # Hardly any of them come as near as the threshold among all asks for.
    assert plain.threshold <= found.threshold < plain.threshold + 0.01


def test_two_alike_who_come_every_day_raise_nothing() -> None:
    twins = DoorStrangers(np.full(1000, 0.9), np.arange(1000) % 2)
    assert twins.raised(0.6, 0.01) == 0.6


@pytest.fixture
def config(tmp_path: Path) -> Path:
    card, vault = Card.read(SHIPPED.with_suffix(".json")), Vault()
    vault.save(tmp_path / "key")
    gallery = Gallery.open(tmp_path / "gallery.sqlite", vault, card.sha256, card.dimension)
    for number, own in enumerate(school(40, 3, card.dimension, spread=1.5)):
        gallery.enroll(f"s{number:02}", list(own))
    gallery.save()
    gallery.close()
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[checks]\nphrase = false\n",
        encoding="utf-8",
    )
    return path


def calibrated(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, float]:
    capsys.readouterr()
    assert main(["calibrate", "--json", *more, "--config", str(config)]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_a_gate_calibrates_by_its_own_log_and_forgets_it_where_drift_is_mended(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    before = calibrated(config, capsys)
    folder, card = config.parent, Card.read(SHIPPED.with_suffix(".json"))
    near = before["threshold"] + 0.05
    with Audit(folder / "audit", Vault.load(folder / "key").log_key) as log:
        for number in range(300):
            student = number % 40
            stranger = near if student < 10 else 0.1
            log.write(
                {
                    "kind": "decision",
                    "verdict": "open",
                    "encoder": card.sha256[:16],
                    "nearest": [
                        {"student": f"p{student}", "score": 0.95},
                        {"student": "another", "score": stranger},
                    ],
                }
            )
    raised = calibrated(config, capsys)
    assert raised["threshold"] == pytest.approx(near)
    assert raised["raised"] == pytest.approx(0.05)
    assert main(["calibrate", "--config", str(config)]) == 0
    assert "so near did strangers come at this door" in capsys.readouterr().out.replace("\n", " ")
    assert main(["calibrate", "--drift-mended", "--config", str(config)]) == 0
    again = calibrated(config, capsys)
    assert again["threshold"] == before["threshold"]
    assert datetime.datetime.fromisoformat(str(again["drift_from"]))


def test_a_log_that_cannot_be_read_counts_for_nothing_and_is_named(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = calibrated(config, capsys)
    (config.parent / "audit").symlink_to("audit")
    capsys.readouterr()
    assert main(["calibrate", "--json", "--config", str(config)]) == 0
    said, learned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "what was heard at this door counts for nothing" in said["note"]
    assert learned["threshold"] == before["threshold"]
