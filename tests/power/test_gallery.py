"""A plug that is pulled while somebody is enrolled or removed, or a school calibrated."""

from __future__ import annotations

import pytest

from tests.backup.machines import Machine, Shown, takes
from tests.power.look import Found, look
from tests.power.plug import KAIMEN, Plug

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(plug: Plug, capsys: Shown) -> Machine:
    return Machine.at(plug.folder)


def students(found: Found) -> object:
    return found.points


def test_the_first_student_on_an_empty_disk(plug: Plug, machine: Machine, capsys: Shown) -> None:
    command = machine.arguments("enroll", "--student", "anning", *takes("anning"))
    plug.pull(
        [*KAIMEN, *command], lambda: students(look(machine, capsys)), said='"student": "anning"'
    )


def test_a_student_more(plug: Plug, machine: Machine, capsys: Shown) -> None:
    machine.enroll(capsys, "anning")
    command = machine.arguments("enroll", "--student", "bowen", *takes("bowen"))
    plug.pull(
        [*KAIMEN, *command], lambda: students(look(machine, capsys)), said='"student": "bowen"'
    )


def test_a_student_again(plug: Plug, machine: Machine, capsys: Shown) -> None:
    machine.enroll(capsys, "anning", "bowen")
    command = machine.arguments("enroll", "--student", "bowen", "--replace", *takes("bowen")[:4])
    plug.pull(
        [*KAIMEN, *command], lambda: students(look(machine, capsys)), said='"student": "bowen"'
    )


def test_who_was_removed_is_so_for_good(plug: Plug, machine: Machine, capsys: Shown) -> None:
    machine.enroll(capsys, "anning", "bowen")
    command = machine.arguments("students", "--remove", "bowen")

    def state() -> object:
        found = look(machine, capsys)
        if found.students == ["anning"]:
            assert found.erased == 1 and found.heard("bowen") == 0
            assert found.index is None or found.index == 5
        return students(found)

    look(machine, capsys).remember("bowen")
    plug.pull([*KAIMEN, *command], state, said='"removed"')


def test_a_calibration(plug: Plug, machine: Machine, capsys: Shown) -> None:
    machine.enroll(capsys, "anning", "bowen")
    command = machine.arguments("calibrate", "--fpir", "0.05")
    plug.pull(
        [*KAIMEN, *command],
        lambda: look(machine, capsys).calibration,
        said='"threshold"',
    )
