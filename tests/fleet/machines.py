"""A real Mosquitto, and machines of a fleet that step in turn."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.errors import KaimenError
from kaimen.fleet.broker_files import allow, write_broker
from kaimen.fleet.desk import Desk
from kaimen.fleet.gate import FleetGate
from kaimen.fleet.member import Member
from kaimen.fleet.membership import DESK, GATE_ROLE, Broker, Membership
from kaimen.fleet.store import Store
from kaimen.registry.copying import StudentCopy
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.voice.evidence import Evidence

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
WITHOUT = "no mosquitto here: apt-get install mosquitto"
HOST = "127.0.0.1"
DIMENSION = 8


def free_port() -> int:
    with closing(socket.socket()) as held:
        held.bind((HOST, 0))
        return int(held.getsockname()[1])


class Mosquitto:
    """A broker by the files that ``kaimen fleet create`` writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.authority = write_broker(folder, HOST, self.port)
        with (folder / "mosquitto.conf").open("a") as file:
            file.write("user root\nlog_type error\nlog_type warning\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        for _ in range(1500):
            with suppress(OSError), closing(socket.create_connection((HOST, self.port), 1)):
                if self._hears_reload():
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def _hears_reload(self) -> bool:
        """Whether it has come to the point from which on SIGHUP does not end it."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) & 1)

    def reload(self) -> None:
        if self._process is not None:
            self._process.send_signal(1)

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Lose everything that was retained."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)


@dataclass
class Machine:
    """A desk or a gate, with its own registry."""

    membership: Membership
    folder: Path
    said: list[str] = field(default_factory=list)
    member: Member | None = None
    vault: Vault = field(default_factory=Vault)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = Registry(self.folder / "gallery.sqlite", self.vault)

    def start(self) -> Any:
        self.own = Registry(self.folder / "gallery.sqlite", self.vault)
        store = Store(self.folder / "fleet.sqlite")
        kind = Desk if self.membership.is_desk else FleetGate
        self.member = kind(self.membership, self.own, store, self.said.append, **self.options)
        return self.member

    def stop(self, *, kill: bool = False) -> None:
        if self.member is not None:
            if kill:
                self.member.link._drop()
            else:
                self.member.close()
            self.member.store.close()
            self.own.close()
            self.member = None

    def enroll(self, name: str, seed: int = 0, group: str = "7a") -> None:
        points = points_of(seed)
        said = np.full((2, 4), seed, np.float32)
        evidence = [Evidence(said, "phrases", None, 7000.0)] * len(points)
        self.registry.enroll(name, points, "encoder", group=group, evidence=evidence)

    def students(self) -> dict[str, StudentCopy]:
        """Everybody here, whole."""
        return {each.name: self.registry.copies.of(each.name) for each in self.registry.students()}


def points_of(seed: int, count: int = 3) -> np.ndarray[Any, Any]:
    found = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Fleet:
    """Machines that step in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Mosquitto(folder / "broker")
        first = Membership.create("office", self._as("office"))
        self.machines: dict[str, Machine] = {}
        self._add(first)
        self.allow("office")
        self.broker.start()

    def _as(self, user: str) -> Broker:
        password = secrets.token_hex(8)
        return Broker(HOST, self.broker.port, user, password, self.broker.authority)

    def _add(self, membership: Membership) -> Machine:
        folder = self.folder / membership.name
        folder.mkdir()
        self.machines[membership.name] = Machine(membership, folder)
        return self.machines[membership.name]

    def allow(self, name: str) -> None:
        membership = self.machines[name].membership
        broker = membership.broker
        allow(
            self.broker.folder, broker.user, broker.password, membership.topics,
            desk=membership.is_desk,
        )  # fmt: skip
        self.broker.reload()

    def invite(self, name: str, *, desk: bool = False) -> Machine:
        office = self.machines["office"]
        role = DESK if desk else GATE_ROLE
        membership = office.membership.invited(name, role, self._as(name), ())
        if desk:
            office.membership = replace(office.membership, desks=membership.desks)
        machine = self._add(membership)
        self.allow(name)
        return machine

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def step(self, *, patient: bool = False) -> None:
        for machine in self.machines.values():
            if machine.member is not None:
                try:
                    machine.member.step(0.002)
                except KaimenError as error:
                    if not patient:
                        raise
                    machine.said.append(str(error))

    def until(self, so: Callable[[], bool], within: float = 200.0, **options: bool) -> None:
        end = time.monotonic() + within
        while not so():
            assert time.monotonic() < end, self.told()
            self.step(**options)

    def told(self) -> str:
        return "\n".join(
            f"{name}: {machine.said[-5:]} {len(machine.registry)}"
            + (
                f" clock {machine.member.replica.ledger.clock} seen {machine.member.replica.seen}"
                f" whole {machine.member.replica.whole} busy {machine.member.catching_up.busy}"
                if machine.member
                else ""
            )
            for name, machine in self.machines.items()
        )

    def agree(self) -> bool:
        """Whether all that run hold the whole set, and the same."""
        running = [each for each in self.machines.values() if each.member is not None]
        if not all(each.member.replica.whole for each in running if each.member):
            return False
        found = [each.students() for each in running]
        return all(each == found[0] for each in found)

    def stop(self) -> None:
        for machine in self.machines.values():
            machine.stop()
            machine.registry.close()
        self.broker.stop()
