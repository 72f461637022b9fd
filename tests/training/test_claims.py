"""Claims to galleries whose answers are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from kaimen.access.decision import ANOTHER
from kaimen_train.evaluation.claims import ENROLLED, KNOWN, MARGINS, NOBODY, RULES, Claims


def takes(*directions: list[float]) -> np.ndarray:
    """ENROLLED takes of the first direction, then the others, which come to the gate."""
    points = np.array([directions[0]] * ENROLLED + list(directions[1:]), np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_each_probe_claims_to_be_everybody_once() -> None:
    claims = Claims.of([{"a": takes([1, 0], [1, 0.2]), "b": takes([0, 1], [0.1, 1], [0.2, 1])}])
    assert claims.true.tolist() == [True, False, False, True, False, True]
    np.testing.assert_allclose(claims.other[::2], claims.score[1::2])
    np.testing.assert_allclose(claims.other[1::2], claims.score[::2])


def test_who_has_no_take_left_is_no_student_and_one_student_makes_no_claim() -> None:
    few = {"a": takes([1, 0], [1, 0.2]), "b": takes([0, 1])}
    pair = {"a": takes([1, 0], [1, 0.2]), "b": takes([0, 1], [0, 1])}
    assert len(Claims.of([few, pair]).score) == 4


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_opens_no_claim_that_none_at_all_keeps_shut(rule: str | float) -> None:
    random = np.random.default_rng(0)
    students = random.standard_normal((8, 6))
    gallery = {
        str(n): takes(list(centre), *(centre + random.standard_normal((3, 6))))
        for n, centre in enumerate(students)
    }
    claims = Claims.of([gallery])
    with_rule, without = claims.figures(0.2, rule), claims.figures(0.2, NOBODY)
    assert with_rule["fnmr"] >= without["fnmr"] and with_rule["false"] <= without["false"]
    assert without["false"] == pytest.approx(0.2, abs=0.02)


def test_the_margin_of_the_gate_was_measured() -> None:
    assert ANOTHER in MARGINS and KNOWN in RULES
