"""A running gate takes up what became active, but cuts nobody's lease."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kaimen.bundle.slots import STATE
from kaimen.installation import Installation
from kaimen.rollout import takeover
from kaimen.rollout.takeover import LOOK, Takeover
from kaimen.settings import BundleSettings, EncoderSettings, Settings
from tests.bundle.test_slots import Place, on_trial
from tests.rollout.test_shadow import answer

MODELS = SimpleNamespace(encoder=SimpleNamespace(identity="voice"), said_by="words")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that goes on when it is told to."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(takeover, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def beside(place: Place, **more: object) -> Takeover:
    bundle = BundleSettings(str(place.slots.folder), str(place.folder))
    settings = replace(Settings(bundle=bundle), **more)
    return Takeover(Installation.open(settings), place.slots.state(), MODELS, [].append)


def test_what_became_active_is_taken_up(place: Place, clock: SimpleNamespace) -> None:
    gate = beside(place)
    assert not gate.is_due()
    place.install(1)
    assert not gate.is_due()  # it looked just now
    clock.seconds += LOOK
    assert gate.is_due()
    gate = beside(place)
    clock.seconds += LOOK
    assert not gate.is_due()
    place.slots.roll_back()
    clock.seconds += LOOK
    assert gate.is_due()


def test_a_lease_is_not_cut(place: Place, clock: SimpleNamespace) -> None:
    gate = beside(place)
    place.install(1)
    gate.hear(answer("anna"))
    due = []
    for _ in range(5):
        due.append(gate.is_due())
        clock.seconds += 1
    assert due == [False, False, False, True, True]  # the lease lasts three seconds
    gate.hear(answer(None))
    assert gate.is_due()


def test_a_new_trial_is_begun_and_an_ended_one_changes_nothing(
    place: Place, clock: SimpleNamespace
) -> None:
    gate = beside(place)
    on_trial(place, 1)
    assert gate.is_due()
    gate = beside(place)  # never entered: its candidate does not begin
    place.slots.roll_back()
    for _ in range(3):
        clock.seconds += LOOK
        assert not gate.is_due()


def test_a_damaged_state_changes_nothing(place: Place, clock: SimpleNamespace) -> None:
    place.install(1)
    gate = beside(place)
    path = place.slots.folder / STATE
    for content in (b"", b"{}", b"\xff"):
        path.write_bytes(content)
        clock.seconds += LOOK
        assert not gate.is_due()


def test_an_encoder_of_the_settings_stays(place: Place, clock: SimpleNamespace) -> None:
    gate = beside(place, encoder=EncoderSettings("encoder.tflite"))
    place.install(1)
    for _ in range(3):
        clock.seconds += LOOK
        assert not gate.is_due()
