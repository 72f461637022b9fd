"""What a new process finds on a disk: an assertion fails where anything is not whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from kaimen.audit import Audit, export, verify
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.errors import GalleryError
from kaimen.gallery.index import Index, index_path
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.voice.fingerprint import fingerprint
from tests.backup.machines import Machine, Shown


@dataclass(frozen=True)
class Found:
    """A school, whole."""

    machine: Machine
    students: list[str]
    points: tuple[tuple[str, str], ...]  # by student: a hash of the voiceprints
    key: str
    erased: int
    calibration: str | None
    lines: tuple[str, ...]  # events of the log
    index: int | None  # recordings in its file

    def heard(self, student: str) -> int:
        """How many phrases of a student are remembered."""
        memory = ReplayMemory(
            replay_memory_path(self.machine.school.registry), self.machine.school.vault
        )
        count = len(memory.of(student))
        memory.close()
        return count

    def remember(self, student: str) -> None:
        """A phrase of a student."""
        memory = ReplayMemory(
            replay_memory_path(self.machine.school.registry), self.machine.school.vault
        )
        memory.keep(student, fingerprint(np.random.default_rng(0).standard_normal(16_000)))
        memory.close()


def look(machine: Machine, capsys: Shown) -> Found:
    """Start, as any command does, and look at everything."""
    school = machine.school
    code = machine.run(capsys, "students")
    if code == 4 and "begin with 'kaimen enroll'" in machine.said[0]["error"]:
        assert not school.registry.exists()
        return Found(machine, [], (), "", 0, None, (), None)
    assert code == 0 or "made by another encoder" in machine.said[0]["error"], machine.said
    assert school.litter == [], school.litter
    registry = Registry(school.registry, school.vault)
    try:
        registry.recordings.examine()
        points = []
        for student in registry.students():
            numbers, owners = registry.recordings.numbers(student.encoder)
            own = registry.recordings.voiceprints(numbers[owners == student.number])
            points.append((student.name, hashlib.sha256(own.tobytes()).hexdigest()))
        erased = len(registry.erased())
    finally:
        registry.close()
    return Found(
        machine,
        [name for name, _ in points],
        tuple(points),
        school.vault.identity,
        erased,
        _calibration(machine),
        _lines(machine),
        _indexed(machine),
    )


def _calibration(machine: Machine) -> str | None:
    path = calibration_path(machine.school.registry)
    return Calibration.load(path, machine.school.vault).thresholds.source if path.exists() else None


def _lines(machine: Machine) -> tuple[str, ...]:
    """The lines of the log, once a gate goes on with it."""
    folder = machine.school.pieces["audit"]
    if not folder.exists():
        return ()
    key = machine.school.log_key
    with Audit(folder, key) as log:
        log.write({"kind": "door", "event": "started"})
    assert verify(folder, key).problems == []
    *lines, started = export(folder, key)
    assert started["event"] == "started"
    return tuple(f"{line['number']} {line.get('event', line['kind'])}" for line in lines)


def _indexed(machine: Machine) -> int | None:
    """How many recordings are in the index; None where a gate would make it anew."""
    path = index_path(machine.school.registry)
    try:
        return len(Index.load(path, machine.school.vault, _encoder(machine)))
    except GalleryError:
        return None


def _encoder(machine: Machine) -> str:
    registry = Registry(machine.school.registry, machine.school.vault)
    try:
        return next((student.encoder for student in registry.students()), "")
    finally:
        registry.close()
