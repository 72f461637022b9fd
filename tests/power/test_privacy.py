"""A plug that is pulled while somebody is erased, or a school gets a new key."""

from __future__ import annotations

import pytest

from kaimen.installation import Installation
from kaimen.privacy.erasing import certificates_in, go_on
from kaimen.screen import Screen
from kaimen.settings import Settings
from tests.backup.machines import Machine, Shown, takes
from tests.power.look import look
from tests.power.plug import KAIMEN, Plug

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(plug: Plug, capsys: Shown) -> Machine:
    machine = Machine.at(plug.folder)
    for voice in ("anning", "bowen"):
        machine.quietly("enroll", "--student", voice, *takes(voice))
    look(machine, capsys).remember("bowen")
    return machine


def test_an_erasure_that_was_begun_ends_with_a_certificate(
    plug: Plug, machine: Machine, capsys: Shown
) -> None:
    command = machine.arguments("erase", "bowen")

    def state() -> object:
        settings = Settings.read(machine.config)
        with Installation.open(settings, Screen(as_json=True)) as gate:
            go_on(gate)  # as a gate that starts
            names = gate.registry.names()
            certificates = certificates_in(gate.certificates_folder)
        found = look(machine, capsys)
        if "bowen" in names:
            assert certificates == [] and found.students == ["anning", "bowen"]
        else:
            assert len(certificates) == 1 and found.students == ["anning"]
            assert found.erased == 1 and found.heard("bowen") == 0
        return tuple(found.students)

    plug.pull([*KAIMEN, *command], state, said='"certificate"')


def test_a_school_has_its_old_key_or_the_new_one_whole(
    plug: Plug, machine: Machine, capsys: Shown
) -> None:
    command = machine.arguments("renew")

    def state() -> object:
        found = look(machine, capsys)
        assert found.students == ["anning", "bowen"] and found.heard("bowen") == 1
        assert not list(machine.school.registry.parent.glob("*.before-*"))
        return found.key

    plug.pull([*KAIMEN, *command], state, said='"renewed"')
