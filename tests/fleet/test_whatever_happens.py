"""Two desks, a gate and their broker, to which anything happens: in the end all hold the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.machines import MOSQUITTO, WITHOUT, Fleet

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT)]

DESKS = ("office", "second")
MANY = 25  # more students than a desk compares with the broker at once


class Happenings:
    """What happens to a fleet, drawn by chance."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._random = random.Random(seed)
        self._is_broker_up = True

    def pass_by(self) -> None:
        """Let some things happen, one after another; then let all of them run."""
        for name in self._fleet.machines:
            if self._random.random() < 0.7:
                self._fleet[name].start()
        ways = (
            self._enroll, self._enroll, self._enroll_many, self._remove, self._end, self._start,
            self._broker, self._forget, self._steps, self._steps,
        )  # fmt: skip
        for _ in range(self._random.randint(3, 12)):
            self._random.choice(ways)()
        if not self._is_broker_up:
            self._fleet.broker.start()
        for machine in self._fleet.machines.values():
            if machine.member is None:
                machine.start()

    def _enroll(self) -> None:
        desk = self._fleet[self._random.choice(DESKS)]
        desk.enroll(f"s{self._random.randrange(30):03}", self._random.randrange(1000))

    def _enroll_many(self) -> None:
        desk = self._fleet[self._random.choice(DESKS)]
        for number in range(MANY):
            desk.enroll(f"m{number:03}", self._random.randrange(1000))

    def _remove(self) -> None:
        registry = self._fleet[self._random.choice(DESKS)].registry
        names = [each.name for each in registry.students()]
        if names:
            registry.remove(self._random.choice(names))

    def _end(self) -> None:
        machine = self._fleet[self._random.choice([*self._fleet.machines])]
        if machine.member is not None:
            machine.stop(kill=self._random.random() < 0.5)

    def _start(self) -> None:
        machine = self._fleet[self._random.choice([*self._fleet.machines])]
        if machine.member is None:
            machine.start()

    def _broker(self) -> None:
        if self._is_broker_up:
            self._fleet.broker.stop(kill=self._random.random() < 0.5)
        else:
            self._fleet.broker.start()
        self._is_broker_up = not self._is_broker_up

    def _forget(self) -> None:
        self._fleet.broker.stop(kill=True)
        self._fleet.broker.forget()
        self._fleet.broker.start()
        self._is_broker_up = True

    def _steps(self) -> None:
        for _ in range(self._random.choice([3, 30, 200])):
            self._fleet.step(patient=True)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    made.invite("gate-1")
    made.invite("second", desk=True)
    yield made
    made.stop()


@pytest.mark.parametrize("seed", range(10))
def test_in_the_end_all_agree(fleet: Fleet, seed: int) -> None:
    Happenings(fleet, seed).pass_by()
    fleet.until(fleet.agree, patient=True)
    assert fleet["gate-1"].students() == fleet["office"].students() == fleet["second"].students()
