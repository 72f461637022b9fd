"""A plug that is pulled while a bundle is installed, or rolled back."""

from __future__ import annotations

import shutil

import pytest

from kaimen.installation import Installation
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import Settings
from tests.backup.machines import Machine, Shown
from tests.bundle.made import key_in, real
from tests.power.plug import KAIMEN, Plug

pytestmark = pytest.mark.slow

BUNDLE = """[bundle]
path = "{folder}/data/bundles"
trusted = "{folder}/configuration/trusted"
"""


@pytest.fixture
def machine(plug: Plug, capsys: Shown) -> Machine:
    """A gate with a student, and what it is to hear with next beside its disk."""
    machine = Machine.at(plug.folder)
    with machine.config.open("a") as config:
        config.write(BUNDLE.format(folder=plug.folder))
    machine.enroll(capsys, "anning")
    maker = plug.folder.parent / "maker"
    maker.mkdir()
    trusted = plug.folder / "configuration" / "trusted"
    trusted.mkdir()
    real(maker / "2.kaimen", key_in(maker))
    shutil.copy(maker / "maker.pub", trusted)
    shutil.copytree(RECORDINGS / "anning", maker / "school" / "anning")
    return machine


def install(machine: Machine) -> list[str]:
    maker = machine.folder.parent / "maker"
    return machine.arguments(
        "bundle", "install", maker / "2.kaimen", "--from", maker / "school", "--trial", "0"
    )


def heard_with(machine: Machine, capsys: Shown) -> str:
    """What decides, once it is found whole, and knows the student."""
    encoder = Installation.open(Settings.read(machine.config)).encoder
    assert machine.opens(capsys, "anning")
    return encoder.identity


def test_a_bundle_is_active_or_what_was_before(plug: Plug, machine: Machine, capsys: Shown) -> None:
    plug.pull([*KAIMEN, *install(machine)], lambda: heard_with(machine, capsys), said='"active"')


def test_a_bundle_that_is_rolled_back_is_so_or_still_active(
    plug: Plug, machine: Machine, capsys: Shown
) -> None:
    machine.quietly(*install(machine)[:-3])
    command = machine.arguments("bundle", "rollback")
    plug.pull([*KAIMEN, *command], lambda: heard_with(machine, capsys))
