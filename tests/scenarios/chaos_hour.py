"""A simulated hour at the gate in which everything around it goes wrong, as a program of its own.

The whole of ``kaimen run`` serves, its door in a process of its own, begun again whenever it ends
as systemd does. What happened is written as JSON: ``python -m tests.scenarios.chaos_hour FOLDER
SEED HOURS``.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.access.lockout import Lockout
from kaimen.access.policy import AccessPolicy
from kaimen.audit import export, verify
from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.gate.gate import Answer
from kaimen.gate.heartbeat import Heartbeat
from kaimen.gate.supervisor import Supervisor
from kaimen.registry.pseudonyms import pseudonym
from kaimen.settings.door import PIN
from kaimen.sound.played import Played
from tests.door.bench import opened
from tests.scenarios.chaos_clock import Clock, Stop
from tests.scenarios.chaos_site import Site
from tests.scenarios.chaos_world import World

RESTART = 2.0  # simulated seconds until systemd begins it again
LONGEST = 60.0  # real seconds that a relay is waited for


class Output(io.FileIO):
    """A standard output whose other end changes meanwhile."""

    def seekable(self) -> bool:
        return False


def hour(folder: Path, seed: int, hours: float, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let it pass; return what happened."""
    clock = Clock()
    site = Site(folder, clock, patch)
    # Others are waited for in real time, which is a hundred times slower.
    for name, seconds in {
        "gate.card_reader.PATIENCE": np.inf,
        "registry.database.PATIENCE": 0.05,
        "registry.lock.PATIENCE": 0.05,
        "registry.database.RETRY": 0.0,
        "registry.replay_memory.RETRY": 0.0,
    }.items():
        patch.setattr(f"kaimen.{name}", seconds)
    site.enroll()
    world = World(clock, site, seed, hours)
    simulated = {
        "serving.Supervisor": lambda: Supervisor(clock=lambda: clock.now, stop=Stop(clock)),
        "serving.AccessPolicy": partial(AccessPolicy, now=clock.wall, clock=lambda: clock.now),
        "opening.Lockout": partial(Lockout, clock=lambda: clock.now),
        "serving.Heartbeat": partial(Heartbeat, clock=lambda: clock.now),
        "opening.sleep": world.passed,
    }
    for name, instead in simulated.items():
        patch.setattr(f"kaimen.service.{name}", instead)
    patch.setattr(Door, "open", opened)
    patch.setattr(Door, "start", partial(Door.start, trace=folder / "trace"))
    patch.setattr(Played, "open", lambda path: world)

    def relay() -> list[str]:
        levels = [line.split()[1:] for line in (folder / "trace").read_text().splitlines()]
        return [level for pin, level in levels if int(pin) == PIN]

    def heard(answer: Answer, **_: object) -> dict[str, Any]:
        world.heard(answer)
        with site.spared():
            # The next one comes in no time, and the lease ends in real time.
            until = time.monotonic() + LONGEST
            while answer.opened and relay()[-1] == "1" and time.monotonic() < until:
                time.sleep(0.01)
        return {}

    patch.setattr("kaimen.service.answers.as_fields", heard)
    ended: list[str] = []
    while not world.over:
        arguments = ["run", "--config", str(site.config), "--json", "--wait", "--play", "world"]
        # What one process could not write is no matter of the next.
        output = io.TextIOWrapper(Output(site.output, "w", closefd=False), "utf-8")
        patch.setattr(sys, "stdout", output)
        try:
            ended.append(str(main(arguments)))
        except Exception as error:  # systemd would begin it again
            place = traceback.extract_tb(error.__traceback__)[-1]
            ended.append(f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})")
        with suppress(KeyboardInterrupt):  # a signal for a gate that has ended already
            world.passed(RESTART)
    world.close()
    audit = verify(site.folder / "audit", site.log_key)
    lines = list(export(site.folder / "audit", site.log_key))
    return {
        "own disk": site.is_disk,
        "visits": [
            {
                **asdict(each),
                "kind": each.kind.value,
                "hash": pseudonym(site.log_key, each.student or ""),
            }
            for each in world.visits
        ],
        "seen": world.seen,
        "disturbances": [each.__name__ for each in site.disturbances()],
        "ended": ended,
        "threads ended": (folder / "output").read_text().count(" ended ("),
        "problems": [f"{each.place}: {each.what}" for each in audit.problems],
        "opened": [
            [each["student"], each["score"]]
            for each in lines
            if each.get("verdict") == "open" and not each["not_opened"]
        ],
        "lost": sum(each["lost"] for each in lines if each["kind"] == "gap"),
        "pin": relay().count("1"),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for a gate that has ended already
    with pytest.MonkeyPatch.context() as patching:
        found = hour(place, int(sys.argv[2]), float(sys.argv[3]), patching)
    (place / "found.json").write_text(json.dumps(found))
    os._exit(0)  # the rehearsal's parts are not closed
