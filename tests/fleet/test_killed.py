"""A broker and gates that are killed at random while a desk changes students."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.installation import Installation
from kaimen.settings import Settings
from kaimen.voice.evidence import Evidence
from tests.fleet.machines import MOSQUITTO, WITHOUT, points_of
from tests.fleet.processes import Site, until

CHANGES = int(os.environ.get("KAIMEN_FLEET_CHANGES", "1000"))
SEED = int(os.environ.get("KAIMEN_FLEET_SEED", "27"))
GATES = ("north", "south", "west")

pytestmark = [pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT), pytest.mark.slow]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.stop()


def test_all_galleries_are_the_same_after_broker_and_gates_were_killed_during_many_changes(
    site: Site,
) -> None:
    chance = random.Random(SEED)
    with Installation.open(Settings.read(site.office)) as installation:
        _ = installation.gallery_or_new  # with its key
    gates = {name: site.invite(name) for name in GATES}
    site.start_broker()
    for process in (site.desk, *gates.values()):
        process.start()
    removed: set[str] = set()
    with closing(site.registry("office")) as registry:
        for number in range(CHANGES):
            name = f"s{chance.randrange(CHANGES // 4):04}"
            if chance.random() < 0.2 and name in registry.names():
                registry.remove(name)
                removed.add(name)
            else:
                points = points_of(number, 2)
                evidence = [Evidence(highest=7000.0)] * 2
                registry.enroll(name, points, "encoder", group=str(number), evidence=evidence)
                removed.discard(name)
            if number % 25 == 24:
                _disturb(site, chance, number)
            time.sleep(0.005)
    site.stop_broker()
    site.start_broker()
    for process in (site.desk, *gates.values()):
        process.stop(kill=True)
        process.start()
    office = site.students("office")
    assert not removed & office.keys()
    until(lambda: all(site.students(name) == office for name in GATES), 300)
    assert site.students("office") == office


def _disturb(site: Site, chance: random.Random, number: int) -> None:
    """Kill the broker, a gate or the desk; now and then the broker forgets everything."""
    victim = chance.choice(["broker", "desk", *GATES])
    if victim == "broker":
        site.stop_broker(kill=chance.random() < 0.7)
        if chance.random() < 0.3:
            (site.files / "mosquitto.db").unlink(missing_ok=True)
        time.sleep(chance.random())
        site.start_broker()
        return
    process = site.desk if victim == "desk" else site.processes[1 + GATES.index(victim)]
    process.stop(kill=True)
    time.sleep(chance.random())
    process.start()
