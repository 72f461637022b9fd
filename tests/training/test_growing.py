"""What is gained on another day: callers of three days, and who enrolled with what."""

from __future__ import annotations

import numpy as np

from kaimen_train.evaluation import growing
from tests.gallery.points import school, unit


def test_only_callers_of_three_days_are_tried_on_their_last_day() -> None:
    points = school(6, 12, 16, spread=0.3)
    who = np.repeat([f"t{number}" for number in range(6)], 12)
    calls = np.tile(np.repeat([1, 2, 3], 4), 6)
    days = np.array([f"2002-01-0{call}" for call in calls])
    days[who == "t5"] = "2002-01-01"
    found = growing._tried(points.reshape(-1, 16), who, days, calls)
    assert (found["callers"], found["probes"]) == (5, 20)
    assert found["taken_in"] == 5 * growing.A_DAY
    assert found["fnir"]["grown"]["0.01"]["fnir"] == 0
    assert len(list(growing.tables({"days": {"3": found}, "campaigns": {}}))) == 2


def test_takes_of_the_second_day_help_on_the_third_if_days_have_something_in_common() -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((8, 1, 16))
    away = 1.5 * random.standard_normal((8, 1, 16))
    takes = centres + 0.2 * random.standard_normal((8, 12, 16))
    takes[:, 4:] += away  # the first day is another than all later ones
    who = np.repeat([f"t{number}" for number in range(8)], 12)
    calls = np.tile(np.repeat([1, 2, 3], 4), 8)
    days = np.array([f"2002-01-0{call}" for call in calls])
    found = growing._tried(unit(takes).reshape(-1, 16), who, days, calls)
    one, two = (
        found["fnir"][kind]["0.01"]["fnir"]
        for kind in ("three takes of one day", "three, and two of the second day")
    )
    assert two < one
