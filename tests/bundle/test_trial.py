"""The trial's arithmetic: who was let in must be let in, as nobody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaimen.bundle.trial import LEAST, SURELY, Trial

WHO = st.sampled_from(["anna", "bo", None])


def after(total: int, phrases: list[tuple[str | None, str | None]]) -> Trial:
    trial = Trial("a", total, total)
    for active, new in phrases:
        trial = trial.after(active, new)
    return trial


def test_a_new_one_that_lets_in_the_same_passes() -> None:
    trial = after(12, [("anna", "anna")] * 11 + [(None, None)])
    assert trial.over and trial.passed
    assert trial.told == "it opened for 11 of 11 phrases that were let in"


def test_one_that_turns_away_too_many_does_not() -> None:
    assert after(20, [("anna", "anna")] * 19 + [("anna", None)]).passed
    trial = after(20, [("anna", "anna")] * 18 + [("anna", None)] * 2)
    assert trial.over and not trial.passed
    assert trial.told == "it opened for 18 of 20 phrases that were let in"


def test_letting_somebody_in_as_another_ends_it_at_once() -> None:
    trial = after(50, [("anna", "anna"), ("anna", "bo")])
    assert trial.over and not trial.passed
    assert trial.told == "it would have let somebody in as another student"


def test_nothing_is_concluded_of_too_few_who_were_let_in() -> None:
    trial = after(5, [(None, "bo")] * 5 + [("anna", "anna")] * 4)
    assert not trial.left and not trial.over
    trial = trial.after("bo", "bo")
    assert trial.over and trial.passed  # a trial of five decisions asks for five
    assert trial.told.endswith("and for 5 others")


@given(total=st.integers(1, 30), phrases=st.lists(st.tuples(WHO, WHO), max_size=60))
def test_what_passes_was_sure_enough(
    total: int, phrases: list[tuple[str | None, str | None]]
) -> None:
    trial = after(total, phrases)
    let_in = [(active, new) for active, new in phrases if active is not None]
    assert trial.opened == len(let_in)
    assert trial.left == max(0, total - len(phrases))
    if trial.passed:
        assert len(phrases) >= total and len(let_in) >= min(LEAST, total)
        assert sum(active == new for active, new in let_in) >= SURELY * len(let_in)
        assert all(new in (None, active) for active, new in let_in)
