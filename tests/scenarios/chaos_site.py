"""A school on a small disk of its own, and everything that may happen around its gate.

A disturbance is a context: it begins, and its cause is gone at its end.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kaimen.access.policy import AccessPolicy
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.calibration.learning import calibrate
from kaimen.enrollment.entries import recordings_in
from kaimen.enrollment.judging import recorded
from kaimen.gallery.gallery import Gallery
from kaimen.gate.watcher import Watcher
from kaimen.installation import Installation
from kaimen.registry.replay_memory import KEPT
from kaimen.rehearsal import RECORDINGS
from kaimen.rehearsal.visitors import Kind, plan
from kaimen.settings import Settings
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.fingerprint import Fingerprint, coherences, fingerprint
from kaimen.voice.utterance import Utterance
from tests.scenarios.chaos_clock import START, Clock

DISK = "16m"
SPARE = 4 << 20  # bytes of memory that are left when it is short
# How certain a verdict of the rehearsal is to be: the gate hears a room's noise, and looks early.
KNOWN, STRANGE = 0.02, 0.1  # of score
PASSED = 0.1  # of a check's threshold
ALIKE = 0.08  # coherence with an earlier phrase, at most: the gate hears 0.1 as a recording
LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)
# What keeps others from being made, or ended: it comes last, and is over first.
BLIND = {"killed_watcher", "odd_consent"}
LAST = {
    "odd_consent", "full_disk", "read_only", "no_descriptors", "no_longer_files", "no_memory",
    "busy_registry", "locked_registry", "unplugged",
}  # fmt: skip
HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.05)
database.execute("PRAGMA locking_mode = EXCLUSIVE")
while not database.in_transaction:
    try:
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        pass  # the gate is not at its end yet
sys.stdin.read()
"""


class Site:
    """The school, its students and strangers, and what it lacks just now."""

    def __init__(self, folder: Path, clock: Clock, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.folder)]
        self.is_disk = not subprocess.run(mount, capture_output=True, check=False).returncode
        self.config = folder / "kaimen.toml"
        self.clock = clock
        self.away: set[str] = set()
        self.forgotten: Callable[[str], object] = lambda name: None  # is told who was removed
        self.lacks = False  # whether files cannot be written
        self.ends = False  # whether the gate's process is to end
        self.output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._outside = folder
        self._said: dict[str, list[Fingerprint]] = {}  # by whom, the latest last
        self._patch = patch
        self._refusal: int | None = None  # what opening a file for writing is answered with

    def enroll(self) -> None:
        """Enroll two thirds of the demo's class, and rehearse who of them is known for certain."""
        os.mkfifo(self.folder / "cards")
        self.good = (
            f'[gallery]\npath = "{self.folder}/gallery.sqlite"\nkey = "{self.folder}/key"\n'
            "[door]\nmock = true\nlease = 0.01\n[gate]\nretry = false\n"
            f'[reader]\npath = "{self.folder}/cards"\n'
            '[[roster]]\ngroups = ["class"]\n'
        )
        self.config.write_text(self.good)
        day = plan(recordings_in(RECORDINGS), replays=False)
        enrolled = {name for place, name in enumerate(day.enrolling, start=1) if place % 3}
        with Installation.open(Settings.read(self.config)) as installation:
            gallery, models = installation.gallery_or_new, installation.models
            self.known = {
                name: [recorded(models, main_phrase(read(file)).samples) for file in files]
                for name, files in day.enrolling.items()
                if name in enrolled
            }
            self.vault, self.encoder = installation.vault, installation.encoder
            self.log_key = installation.log_key
            for name in self.known:
                self._enroll(gallery, name)
            gallery.save()
            learned = calibrate(gallery, self.encoder.card)
            learned.save(calibration_path(self.folder / "gallery.sqlite"), self.vault)
        self._rehearse(learned)
        come = [v for v in day.sessions[0].visitors if v.kind is Kind.STUDENT]
        students = [(v.name, main_phrase(v.samples).samples) for v in come if v.name in enrolled]
        self.students = [each for each in students if self.would_open(*each)]
        self.guest = self.students[0][0]  # who is removed and enrolled again
        self.strangers = [
            (name, main_phrase(read(file)).samples)
            for name, files in day.enrolling.items()
            if name not in enrolled
            for file in files[:2]
        ]
        self._answer_writing()

    def _enroll(self, gallery: Gallery, name: str) -> None:
        points = [each.voiceprint for each in self.known[name]]
        evidence = [each.evidence for each in self.known[name]]
        gallery.enroll(name, points, group="class", evidence=evidence)

    def _rehearse(self, learned: Calibration) -> None:
        """Open the same school elsewhere, with a replay memory of its own."""
        elsewhere = self._outside / "rehearsal"
        elsewhere.mkdir()
        for name in ("gallery.sqlite", "key"):
            (elsewhere / name).write_bytes((self.folder / name).read_bytes())
        settings = self._outside / "rehearsal.toml"
        settings.write_text(
            f'[gallery]\npath = "{elsewhere}/gallery.sqlite"\nkey = "{elsewhere}/key"\n'
        )
        self._rehearsal = Installation.open(Settings.read(settings))
        policy = AccessPolicy(
            self._rehearsal.gallery, learned.thresholds, checks=self._rehearsal.checks
        )
        self._policy: AccessPolicy = policy

    def would_open(self, name: str, phrase: Samples) -> bool:
        """Return whether a student who says this for the first time is known by far."""
        utterance = Utterance(phrase, self.encoder, self._policy.gallery.band.band)
        decision = self._policy.decide(utterance).decision
        if not decision.opens or decision.student != name:
            return False
        if decision.score < decision.threshold + KNOWN:
            return False
        if any(c.score < c.threshold + PASSED * abs(c.threshold) for c in decision.checks):
            return False
        # The gate remembers the last that opened; which those are depends on what goes wrong.
        said = self._said.setdefault(name, [])
        if max(coherences(phrase, said), default=0) > ALIKE:
            return False
        said[:] = [*said, fingerprint(phrase)][-2 * KEPT :]
        return True

    def would_not_open(self, phrase: Samples) -> bool:
        """Return whether a stranger's phrase is far from everybody: one in a hundred is not."""
        utterance = Utterance(phrase, self.encoder, self._policy.gallery.band.band)
        decision = self._policy.decide(utterance).decision
        return decision.score is not None and decision.score < decision.threshold - STRANGE

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Lift what the process lacks, for what is no part of the gate."""
        before = [resource.getrlimit(each) for each in LIMITS]
        for each, (_, most) in zip(LIMITS, before, strict=True):
            resource.setrlimit(each, (most, most))
        try:
            yield
        finally:
            for each, limits in zip(LIMITS, before, strict=True):
                resource.setrlimit(each, limits)

    def disturbances(self) -> list[Callable[[], AbstractContextManager[None]]]:
        return [
            self.full_disk, self.read_only, self.no_longer_files, self.no_descriptors,
            self.no_memory, self.full_output, self.output_without_a_reader, self.stuck_output,
            self.killed_watcher, self.odd_consent, self.busy_registry, self.locked_registry,
            self.broken_reader, self.bad_settings, self.another_zone, self.clock_of_1970,
            self.clock_of_next_week, self.lost_calibration, self.unplugged, self.removed_student,
        ]  # fmt: skip

    # What the machine lacks.

    @contextmanager
    def _lacking(self) -> Iterator[None]:
        self.lacks = True
        yield
        self.lacks = False

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the school's own disk to the last byte, where it has one."""
        with self._lacking():
            if not self.is_disk:
                with self._refused(errno.ENOSPC):
                    yield
                return
            ballast = self.folder / "ballast"
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
            yield
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        with self._lacking(), self._refused(errno.EROFS):
            yield

    @contextmanager
    def _refused(self, number: int) -> Iterator[None]:
        self._refusal = number
        yield
        self._refusal = None

    def _answer_writing(self) -> None:
        """Answer opening for writing and fsync by the refusal, while there is one."""
        real_open, real_sync = os.open, os.fsync

        def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
            writes = flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
            if self._refusal and writes and str(path).startswith(str(self.folder)):
                raise OSError(self._refusal, os.strerror(self._refusal), str(path))
            return real_open(path, flags, *more, **named)

        def sync(descriptor: int) -> None:
            if self._refusal:
                raise OSError(self._refusal, os.strerror(self._refusal))
            real_sync(descriptor)

        self._patch.setattr(os, "open", opened)
        self._patch.setattr(os, "fsync", sync)

    @contextmanager
    def _limited(self, which: int, value: int) -> Iterator[None]:
        before = resource.getrlimit(which)
        with self._lacking():
            resource.setrlimit(which, (value, before[1]))
            yield
            resource.setrlimit(which, before)

    def no_descriptors(self) -> AbstractContextManager[None]:
        return self._limited(resource.RLIMIT_NOFILE, 3)

    def no_longer_files(self) -> AbstractContextManager[None]:
        """No write of the process to a file succeeds, SQLite's own no more than others."""
        return self._limited(resource.RLIMIT_FSIZE, 0)

    def no_memory(self) -> AbstractContextManager[None]:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return self._limited(resource.RLIMIT_AS, pages * resource.getpagesize() + SPARE)

    # What reads its output.

    @contextmanager
    def _writing_to(self, descriptor: int) -> Iterator[None]:
        before = os.dup(self.output)
        os.dup2(descriptor, self.output)
        yield
        os.dup2(before, self.output)
        os.close(before)
        os.close(descriptor)

    def full_output(self) -> AbstractContextManager[None]:
        return self._writing_to(os.open("/dev/full", os.O_WRONLY))

    def output_without_a_reader(self) -> AbstractContextManager[None]:
        there, here = os.pipe()
        os.close(there)
        return self._writing_to(here)

    @contextmanager
    def stuck_output(self) -> Iterator[None]:
        there, here = os.pipe()
        os.set_blocking(here, False)
        with suppress(BlockingIOError):
            while True:
                os.write(here, bytes(4096))
        os.set_blocking(here, True)
        with self._writing_to(here):
            yield
        os.close(there)

    # What the gate reads.

    @contextmanager
    def killed_watcher(self) -> Iterator[None]:
        def killed(watcher: Watcher) -> None:
            raise SystemExit(1)

        look = Watcher.look
        self._patch.setattr(Watcher, "look", killed)
        yield
        self._patch.setattr(Watcher, "look", look)

    @contextmanager
    def odd_consent(self) -> Iterator[None]:
        self.sql("UPDATE students SET consent = 'soon' WHERE number = 3")
        yield
        self.sql("UPDATE students SET consent = NULL WHERE number = 3")

    @contextmanager
    def busy_registry(self) -> Iterator[None]:
        database = sqlite3.connect(self.folder / "gallery.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")
        database.close()

    @contextmanager
    def locked_registry(self) -> Iterator[None]:
        """The gate begins while another program lets nobody even read; that is killed at last."""
        command = [sys.executable, "-c", HOLD, str(self.folder / "gallery.sqlite")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
            self.ends = True
            yield
            other.kill()

    def sql(self, statement: str) -> None:
        database = sqlite3.connect(self.folder / "gallery.sqlite", isolation_level=None)
        database.execute(statement)
        database.close()

    @contextmanager
    def broken_reader(self) -> Iterator[None]:
        pipe = self.folder / "cards"
        writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        os.write(writer, b"\0\xff" * 1000 + b"nobody\n[red]\n")
        os.close(writer)
        pipe.unlink()
        yield
        os.mkfifo(pipe)

    @contextmanager
    def bad_settings(self) -> Iterator[None]:
        self.config.write_text('[[roster]]\ngroups = ["class"]\nopens = "07:00Z"\n')
        signal.raise_signal(signal.SIGHUP)
        yield
        self.config.write_text(self.good)
        signal.raise_signal(signal.SIGHUP)

    @contextmanager
    def another_zone(self) -> Iterator[None]:
        self._patch.setenv("TZ", "Pacific/Kiritimati")
        yield
        self._patch.delenv("TZ")

    @contextmanager
    def clock_of_1970(self) -> Iterator[None]:
        self.clock.step = datetime(1970, 1, 1) - START
        yield
        self.clock.step = timedelta()

    @contextmanager
    def clock_of_next_week(self) -> Iterator[None]:
        self.clock.step = timedelta(days=7)
        yield
        self.clock.step = timedelta(days=-7)

    @contextmanager
    def lost_calibration(self) -> Iterator[None]:
        path = calibration_path(self.folder / "gallery.sqlite")
        kept = path.read_bytes()
        path.write_bytes(kept[:-20])
        yield
        path.write_bytes(kept)

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """The gate is ended as a process is, and begun again."""
        self.ends = True
        yield

    @contextmanager
    def removed_student(self) -> Iterator[None]:
        with closing(self._gallery()) as gallery:
            gallery.remove(self.guest)
        self.forgotten(self.guest)  # nothing of them is kept, their phrases no more than others
        self.away.add(self.guest)
        yield
        with closing(self._gallery()) as gallery:
            self._enroll(gallery, self.guest)
        self.away.discard(self.guest)

    def _gallery(self) -> Gallery:
        """Open the school as another command does."""
        encoder, path = self.encoder, self.folder / "gallery.sqlite"
        return Gallery.open(path, self.vault, encoder.identity, encoder.card.dimension)
