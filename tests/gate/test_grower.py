"""What was picked is written beside the gate, some time later, and said in the log."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kaimen.access.growing import Growing, GrowthCandidate
from kaimen.audit import grown_record, pseudonym
from kaimen.audit.words import told
from kaimen.errors import DiskFull
from kaimen.gallery.gallery import Gallery
from kaimen.gate.grower import TOGETHER, Grower
from kaimen.gate.supervisor import Supervisor
from kaimen.registry.grown import GrownVoiceprints
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.gallery.points import school

POINTS = school(3, 5, 8)
VAULT = Vault()


class Clock:
    now = datetime.datetime(2026, 3, 1, 7, 30, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += datetime.timedelta(seconds=seconds)


class Gate:
    """A grower, and what it is given."""

    def __init__(self, path: Path) -> None:
        self.registry = Registry(path, VAULT)
        for name, points in zip(("Li", "Wang"), POINTS, strict=False):
            self.registry.enroll(name, points, "encoder")
        self.growing = Growing(Gallery("encoder", 8))
        self.clock = Clock()
        self.grower = Grower(self.growing, path, VAULT, "encoder", now=self.clock)

    def pick(self, student: str) -> None:
        self.growing._found.put(GrowthCandidate(student, POINTS[2, 0], 0.9, 0.7))

    def look(self, **more: Any) -> list[str]:
        self.grower.look(self.registry, **more)
        return [each.student for each in self.grower.taken()]

    def grown(self) -> list[str]:
        return [each.student for each in self.registry.grown.listed()]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gallery.sqlite")
    yield made
    made.registry.close()


def test_candidates_wait_so_that_gates_are_not_at_work_all_the_time(gate: Gate) -> None:
    gate.pick("Li")
    assert gate.look() == []
    gate.clock.wait(TOGETHER - 1)
    gate.pick("Wang")
    assert gate.look() == gate.grown() == []
    gate.clock.wait(1)
    assert gate.look() == gate.grown() == ["Li", "Wang"]
    assert gate.look() == []


def test_what_waits_is_written_at_the_end(gate: Gate) -> None:
    gate.pick("Li")
    assert gate.look(at_once=True) == ["Li"]


def test_there_is_one_a_day_and_nobody_who_was_removed_meanwhile(gate: Gate) -> None:
    for student in ("Li", "Li", "Wang", "Li"):
        gate.pick(student)
    gate.look()
    gate.registry.remove("Wang")
    assert gate.look(at_once=True) == gate.grown() == ["Li"]


def test_on_a_full_disk_they_wait_on(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> bool:
        raise DiskFull("no space left")

    for student in ("Li", "Wang"):
        gate.pick(student)
    with monkeypatch.context() as patched:
        patched.setattr(GrownVoiceprints, "take_in", full)
        assert gate.look(at_once=True) == gate.grown() == []
    assert gate.look(at_once=True) == ["Li", "Wang"]


def test_the_supervised_thread_writes_what_was_picked(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    gate = Gate(path)
    grower = Grower(gate.growing, path, VAULT, "encoder")
    with closing(gate.registry), Supervisor() as supervisor:
        supervisor.start("grower", grower.run, patience=60)
        gate.pick("Li")
        assert supervisor.unwell() == ""
    assert [each.student for each in grower.taken()] == ["Li"]
    with closing(Registry(path, VAULT)) as registry:
        assert [each.student for each in registry.grown.listed()] == ["Li"]


def test_the_log_says_what_was_taken_in_and_no_name() -> None:
    record = grown_record(GrowthCandidate("Li", POINTS[2, 0], 0.9, 0.7), b"key")
    assert "Li" not in str(record)
    assert record["student"] == pseudonym(b"key", "Li")
    assert told(record, lambda hashed: "s0001") == (
        "a voiceprint of s0001 was taken in (0.90, 0.70 is needed)"
    )
