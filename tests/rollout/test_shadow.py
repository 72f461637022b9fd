"""The candidate: it hears what was answered, delays nobody, and harms nobody when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaimen.access.decision import Decision, Verdict
from kaimen.bundle.slots import Slots
from kaimen.bundle.trial import CRASHES, Trial
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.match import Match
from kaimen.gate.gate import Answer
from kaimen.rollout.shadow import WAITING, Shadow
from kaimen.sound import Samples
from kaimen.sound.endpoint import Phrase
from tests.bundle.test_slots import Place, on_trial

SAMPLES = np.zeros(16_000, np.float32)


class Pretended:
    """A candidate that lets in whom it is told to."""

    def __init__(self, *lets_in: str | None, refuses: str = "") -> None:
        self.lets_in = list(lets_in)
        self.claims: list[str | None] = []
        self.refuses = refuses
        self.closed = False

    def decide(self, samples: Samples, claim: str | None) -> Decision:
        self.claims.append(claim)
        return decision(self.lets_in.pop(0))

    def refusal(self, trial: Trial) -> str:
        return self.refuses

    def close(self) -> None:
        self.closed = True


def decision(student: str | None, **more: object) -> Decision:
    verdict = Verdict.UNKNOWN if student is None else Verdict.OPEN
    return replace(Decision(verdict, 0.5, (Match(student or "anna", 0.9),)), **more)


def answer(student: str | None, **more: object) -> Answer:
    return Answer(decision(student, **more), phrase(), 0.0)


def phrase() -> Phrase:
    return Phrase(SAMPLES, 0, len(SAMPLES), 0.3)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.install(1)
    on_trial(made, 2)
    return made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate stands back, and machines that test are busy: its end is waited for."""
    monkeypatch.setattr("kaimen.rollout.shadow.PATIENCE", 60.0)


def trial_of(place: Place) -> Trial | None:
    return place.slots.state().trial


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def heard(place: Place, candidate: Pretended, *answers: Answer) -> str:
    """What a shadow says in the end, or nothing."""
    with Shadow(place.slots, lambda folder: candidate) as shadow:
        for each in answers:
            shadow.hear(each)
        until(lambda: bool(shadow.ended) or not candidate.lets_in)
    assert candidate.closed
    return shadow.ended


def test_a_rival_that_agrees_becomes_active(place: Place) -> None:
    said = heard(place, Pretended("anna", "bo", "anna"), *map(answer, ("anna", "bo", "anna")))
    assert said == (
        "tiny (version 2) is active from now on: it opened for 3 of 3 phrases that were let in"
    )
    state = place.slots.state()
    assert (state.active, state.back, state.highest, state.said) == ("b", "a", 2, said)
    assert place.active == b"2"


def test_one_that_does_not_is_done_with_and_the_reason_is_kept(place: Place) -> None:
    said = heard(place, Pretended("anna", None, "anna"), *map(answer, ("anna", "bo", "anna")))
    assert said.startswith("tiny (version 2) is not taken over: it opened for 2 of 3 phrases")
    assert place.active == b"1" and trial_of(place) is None
    assert place.slots.state().said == said


def test_letting_somebody_in_as_another_ends_it_at_once(place: Place) -> None:
    assert "as another student" in heard(place, Pretended("bo"), answer("anna"))
    assert place.active == b"1"


def test_what_refuses_the_rival_in_the_end_is_said(place: Place) -> None:
    candidate = Pretended("anna", "anna", "anna", refuses="2 students are not known by it")
    assert "not taken over: 2 students" in heard(place, candidate, *[answer("anna")] * 3)
    assert place.active == b"1"


def test_the_count_survives_an_end(place: Place) -> None:
    assert heard(place, Pretended("anna", "anna"), *[answer("anna")] * 2) == ""
    trial = trial_of(place)
    assert trial is not None and (trial.left, trial.agreed, trial.begun) == (1, 2, 0)
    assert "active from now on" in heard(place, Pretended("anna"), answer("anna"))


def test_what_cannot_be_compared_is_not_heard(place: Place) -> None:
    unheard = Answer(Decision(Verdict.REFUSED, 0.5, (), wait=3.0), phrase(), 0.0)
    asked = answer(None, verdict=Verdict.RETRY, ask=("beijing", "shanghai"))
    word = answer(None, verdict=Verdict.RETRY, ask=("shanghai",))
    candidate = Pretended("anna", "anna")
    # The passphrase that asks for words counts as let in; the words count as nothing.
    heard(place, candidate, unheard, asked, word, answer("anna"), answer("anna", claim="anna"))
    assert candidate.claims == [None, "anna"]
    trial = trial_of(place)
    assert trial is not None and (trial.left, trial.opened, trial.agreed) == (1, 2, 2)


def test_who_was_let_in_by_the_first_try_need_not_be_by_the_second(place: Place) -> None:
    again = answer(None, verdict=Verdict.RETRY)
    said = heard(place, Pretended("anna", None), again, answer("anna", pooled=0.8))
    assert said == ""
    trial = trial_of(place)
    assert trial is not None and (trial.opened, trial.agreed, trial.more) == (1, 1, 1)


def test_a_slow_rival_delays_nobody_and_misses_what_it_cannot_keep_up_with(place: Place) -> None:
    go = threading.Event()

    class Slow(Pretended):
        def decide(self, samples: Samples, claim: str | None) -> Decision:
            go.wait(60)
            return super().decide(samples, claim)

    candidate = Slow(*["anna"] * 100)
    with Shadow(place.slots, lambda folder: candidate) as shadow:
        for _ in range(100):
            shadow.hear(answer(None))
        assert candidate.claims == []  # it has decided nothing yet
        go.set()
        until(lambda: len(candidate.claims) >= WAITING)
        time.sleep(0.05)
    assert len(candidate.claims) <= WAITING + 1


@pytest.mark.parametrize("error", [GalleryError("torn"), ValueError("nan"), MemoryError()])
def test_a_rival_that_fails_ends_its_trial_and_nothing_else(place: Place, error: Exception) -> None:
    class Failing(Pretended):
        def decide(self, samples: Samples, claim: str | None) -> Decision:
            raise error

    said = heard(place, Failing("anna"), answer("anna"))
    assert f"not taken over: it failed ({str(error) or 'MemoryError'})" in said
    assert place.active == b"1" and trial_of(place) is None


def test_one_that_cannot_even_begin_is_done_with(place: Place) -> None:
    (place.slots.path("b") / "encoder.tflite").write_bytes(b"x")
    with Shadow(place.slots, lambda folder: Pretended()) as shadow:
        until(lambda: bool(shadow.ended))
    assert "not what was signed" in shadow.ended
    assert place.active == b"1" and trial_of(place) is None


def test_gates_that_end_again_and_again_end_the_trial(place: Place) -> None:
    for _ in range(CRASHES):
        place.slots.change(
            lambda state: replace(state, trial=replace(state.trial, begun=state.trial.begun + 1))
        )
    with Shadow(place.slots, lambda folder: Pretended()) as shadow:
        until(lambda: bool(shadow.ended))
    assert f"the gate ended {CRASHES} times" in shadow.ended
    assert trial_of(place) is None


def test_a_trial_that_was_ended_elsewhere_is_left_alone(place: Place) -> None:
    candidate = Pretended("anna")
    with Shadow(place.slots, lambda folder: candidate) as shadow:
        until(lambda: trial_of(place).begun == 1)
        on_trial(place, 3)
        place.slots.change(lambda state: replace(state, trial=replace(state.trial, began="later")))
        shadow.hear(answer("anna"))
        until(lambda: candidate.closed)
    trial = trial_of(place)
    assert shadow.ended == "" and trial is not None and trial.left == 3


def test_a_full_disk_is_said_and_the_gate_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Slots.change
    count = 0

    def change(slots: Slots, how: object) -> object:
        nonlocal count
        count += 1
        if count > 1:
            raise StorageError("no space left; make room")
        return real(slots, how)

    monkeypatch.setattr(Slots, "change", change)
    said = heard(place, Pretended("anna"), answer("anna"))
    assert "could not be ended: no space left" in said
