"""A plug that is pulled while a school is backed up or put back: the old one or the new, whole."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kaimen.school.placing import journal_path
from tests.backup.machines import Machine, Shown, takes
from tests.power.disk import KEPT, LOST, Disk, images, put
from tests.power.look import Found, look
from tests.power.plug import KAIMEN, ROOT, Plug

pytestmark = pytest.mark.slow

STOPS = 12  # calls before which a restore is ended for real


def what(found: Found) -> object:
    return found.key, found.points, found.calibration, found.lines


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a school of two."""
    machine = Machine.at(tmp_path_factory.mktemp("elsewhere"))
    for voice in ("anning", "bowen"):
        machine.quietly("enroll", "--student", voice, *takes(voice))
    machine.log(5)
    machine.quietly("backup", machine.folder / "school.backup")
    return machine.folder / "school.backup"


@pytest.fixture
def machine(plug: Plug) -> Machine:
    return Machine.at(plug.folder)


@pytest.fixture
def school(machine: Machine, capsys: Shown) -> Machine:
    """A machine with another school."""
    machine.quietly("enroll", "--student", "chenxi", *takes("chenxi"))
    machine.log(8)
    look(machine, capsys).remember("chenxi")
    return machine


def test_onto_an_empty_disk(plug: Plug, machine: Machine, file: Path, capsys: Shown) -> None:
    command = [*KAIMEN, *machine.arguments("restore", file)]
    plug.pull(command, lambda: what(look(machine, capsys)), said='"restored": true')


def test_with_the_settings(plug: Plug, machine: Machine, file: Path, capsys: Shown) -> None:
    """Settings may be there before the school is; they harm nobody."""
    settings = machine.config.read_bytes()
    moved = machine.folder / "backup"
    machine.quietly("restore", file)
    machine.quietly("backup", moved)
    for piece in ("data", "configuration"):
        subprocess.run(["rm", "-r", str(machine.folder / piece)], check=True)
    machine.config.unlink()
    command = [*KAIMEN, *machine.arguments("restore", moved)]

    def state() -> object:
        there = machine.config.exists()
        assert not there or machine.config.read_bytes() == settings
        if not there:
            assert not machine.school.there
            return None
        found = what(look(machine, capsys))
        return found if found[0] else None

    plug.pull(command, state, said='"restored": true')


def test_over_another_school(plug: Plug, school: Machine, file: Path, capsys: Shown) -> None:
    command = [*KAIMEN, *school.arguments("restore", file, "--over")]
    plug.pull(command, lambda: what(look(school, capsys)), said='"restored": true')


def test_over_the_same_school(plug: Plug, machine: Machine, file: Path, capsys: Shown) -> None:
    machine.quietly("restore", file)
    machine.quietly("students", "--remove", "bowen")
    machine.quietly("enroll", "--student", "chenxi", *takes("chenxi"))
    command = [*KAIMEN, *machine.arguments("restore", file, "--over")]

    def state() -> object:
        found = look(machine, capsys)
        assert "bowen" not in found.students and found.heard("bowen") == 0
        return what(found)

    plug.pull(command, state, said='"restored": true')


@pytest.mark.parametrize("mode", [LOST, KEPT])
def test_while_a_start_completes_it(
    mode: str, plug: Plug, school: Machine, file: Path, capsys: Shown
) -> None:
    """The plug is pulled once more, while the first command after it goes on."""
    command = [*KAIMEN, *school.arguments("restore", file, "--over")]
    start = Disk.of(plug.folder)
    calls = plug.calls(command)
    new = what(look(school, capsys))
    journal = str(journal_path(school.school))
    begun = [image for _, each, image in images(start, calls) if each == mode and journal in image]
    for image in (begun[0], begun[-1]):
        put(image, plug.folder)
        again = [*KAIMEN, *school.arguments("students")]
        before = Disk.of(plug.folder)
        for _, _, twice in plug.spread(images(before, plug.calls(again))):
            put(twice, plug.folder)
            assert what(look(school, capsys)) == new


def test_a_backup_over_an_older_one(plug: Plug, school: Machine, capsys: Shown) -> None:
    backup = plug.folder / "school.backup"
    school.quietly("backup", backup)

    def state() -> object:
        look(school, capsys)
        return backup.read_bytes()

    plug.pull([*KAIMEN, *school.arguments("backup", backup)], state, said='"backup"')


def test_a_line_of_the_log(plug: Plug, school: Machine, capsys: Shown) -> None:
    """Each line is the first of a file, and the oldest file goes, at once or with the next line."""
    line = "from pathlib import Path; from tests.backup.machines import Machine; "
    line += f"Machine(Path({str(plug.folder)!r}), []).log(1, largest=200, kept=2)"
    for _ in range(3):
        plug.pull([KAIMEN[0], "-c", line], lambda: look(school, capsys).lines[-1])


@pytest.mark.parametrize("plug", ["some"], indirect=True)
def test_ended_for_real(plug: Plug, school: Machine, file: Path, capsys: Shown) -> None:
    """What was worked out is what a process leaves that ends there, and a new one opens it."""
    command = [*KAIMEN, *school.arguments("restore", file, "--over")]
    before = Disk.of(plug.folder).image("stopped")
    old = what(look(school, capsys))
    put(before, plug.folder)
    count = len(plug.calls(command))
    new = what(look(school, capsys))
    for number in range(STOPS):
        put(before, plug.folder)
        plug.stop(command, 1 + number * (count - 1) // (STOPS - 1))
        students = [*KAIMEN, *school.arguments("students")]
        subprocess.run(students, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        assert what(look(school, capsys)) in (old, new)
