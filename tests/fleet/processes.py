"""A fleet of real processes: a Mosquitto, a desk, gates that hear a file and switch mock pins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from kaimen.cli.main import main
from kaimen.fleet.membership import Membership
from kaimen.registry.copying import StudentCopy
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.fleet.machines import HOST, MOSQUITTO, free_port

CONFIG = """
[gallery]
path = "{folder}/gallery.sqlite"
key = "{folder}/key"
[fleet]
path = "{folder}/fleet"
[bundle]
path = "{folder}/bundles"
trusted = "{folder}/trusted"
[door]
mock = true
[gate]
lockout = 0.0
[checks]
replay = false
loudspeaker = false
"""
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Process:
    """A command of Kaimen, and what it says."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._arguments, self.log = arguments, log
        self._process: subprocess.Popen[bytes] | None = None
        self.before: tuple[str, ...] = ()  # a command that starts it, such as nice

    def start(self) -> None:
        command = [*self.before, sys.executable, "-m", "kaimen.cli.main", *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=ALONE)

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]


class Site:
    """A fleet with one desk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "passphrase").write_text("a passphrase for tests\n")
        self._mosquitto: subprocess.Popen[bytes] | None = None
        self.office = self.configure("office")
        self._fleet("create", "office", "--broker", f"{HOST}:{self.port}", "--name", "office")
        self.files = folder / "office" / "fleet" / "broker"
        with (self.files / "mosquitto.conf").open("a") as file:
            file.write("user root\n")
        self.desk = self.process("office", "fleet", "desk")
        self.processes = [self.desk]

    def configure(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir()
        config = place / "kaimen.toml"
        config.write_text(CONFIG.format(folder=place))
        return config

    def _fleet(self, what: str, where: str, *arguments: str) -> None:
        config = self.folder / where / "kaimen.toml"
        assert main(["fleet", what, *arguments, "--config", str(config)]) == 0

    def invite(self, name: str, *tags: str) -> Process:
        """Invite a gate, let it join; return its process of the fleet."""
        self.configure(name)
        letter, secret = str(self.folder / "letter"), str(self.folder / "passphrase")
        words = [word for tag in tags for word in ("--tag", tag)]
        self._fleet("invite", "office", letter, "--name", name, "--passphrase-file", secret, *words)
        self._fleet("join", name, letter, "--passphrase-file", secret)
        process = self.process(name, "fleet", "gate")
        self.processes.append(process)
        return process

    def process(self, name: str, *arguments: str) -> Process:
        place = self.folder / name
        log = place / f"{'-'.join(arguments[:2])}.log"
        config = str(place / "kaimen.toml")
        return Process(log, *arguments, "--json", "--config", config)

    def membership(self, name: str) -> Membership:
        return Membership.load(self.folder / name / "fleet")

    def registry(self, name: str) -> Registry:
        """Open a machine's registry; close it after."""
        place = self.folder / name
        return Registry(place / "gallery.sqlite", Vault.load(place / "key"))

    def students(self, name: str) -> dict[str, StudentCopy]:
        """Return everybody who is enrolled at a machine, whole."""
        with closing(self.registry(name)) as registry, registry.database.reading():
            return {each.name: registry.copies.of(each.name) for each in registry.students()}

    def start_broker(self) -> None:
        assert MOSQUITTO is not None
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._mosquitto = subprocess.Popen(
                [MOSQUITTO, "-c", str(self.files / "mosquitto.conf")], stdout=log, stderr=log
            )

    @property
    def broker_pid(self) -> int:
        assert self._mosquitto is not None
        return self._mosquitto.pid

    def stop_broker(self, *, kill: bool = False) -> None:
        if self._mosquitto is not None:
            (self._mosquitto.kill if kill else self._mosquitto.terminate)()
            self._mosquitto.wait()
            self._mosquitto = None

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        self.stop_broker()


def until(so: Callable[[], bool], within: float) -> None:
    end = time.monotonic() + within
    while not so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def memory_of(pid: int) -> int:
    """Return the bytes that a process alone has in memory: what is shared counts by its share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = [each for each in rollup.splitlines() if each.startswith("Pss:")]
    return int(line.split()[1]) * 1024
