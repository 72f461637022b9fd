"""An hour at the gate in which everything around it goes wrong, by one seed, in a minute.

The whole of ``kaimen run`` serves, its door in a process of its own, started again whenever it ends
as systemd does. Sound, the clock on the wall, and the clock that the gate's threads sleep by are
simulated; ``KAIMEN_CHAOS_HOURS`` and ``KAIMEN_CHAOS_SEED`` choose another run.

Not yet among the disturbances: a closed standard output, and a registry that others lock so that
nobody can read it. Both wait for how output and "busy" are told apart from damage.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.access.lockout import Lockout
from kaimen.access.policy import AccessPolicy
from kaimen.audit import export, verify
from kaimen.calibration.calibration import beside, calibrate
from kaimen.cli.main import main
from kaimen.door.client import Door
from kaimen.enrollment.entries import recordings_in
from kaimen.gallery.gallery import Gallery
from kaimen.gate.gate import Answer
from kaimen.gate.heartbeat import Heartbeat
from kaimen.gate.supervisor import Supervisor
from kaimen.gate.watcher import Watcher
from kaimen.installation import Installation
from kaimen.rehearsal import RECORDINGS
from kaimen.rehearsal.visitors import Kind, plan
from kaimen.settings import Settings
from kaimen.settings.door import PIN
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.played import Played
from kaimen.sound.recording import main_phrase, read
from tests.sounds import noise

HOURS = float(os.environ.get("KAIMEN_CHAOS_HOURS", "1"))
SEED = int(os.environ.get("KAIMEN_CHAOS_SEED", "24"))
WITHIN = 15.0  # seconds after the cause is gone, in which a student opens again
RESTART = 2.0  # seconds until systemd begins it again
# What keeps others from being made, or ended: it comes last, and is over first.
BLIND = {"killed_watcher", "odd_consent"}
LAST = {"odd_consent", "full_disk", "read_only", "no_descriptors", "busy_registry", "unplugged"}
START = datetime(datetime.now().year + 1, 3, 1, 8)

pytestmark = pytest.mark.slow


class Clock:
    """Simulated seconds, on which threads sleep; the watcher keeps step with it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = timedelta()  # of the clock on the wall
        self._changed = threading.Condition()
        self._sleeping: dict[str, float] = {}  # until when, by the names of threads

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now) + self.step

    def advance(self, seconds: float) -> None:
        with self._changed:
            self.now += seconds
            due = self._sleeping.get("watcher", np.inf) <= self.now
            self._changed.notify_all()
            # Whoever is woken works as long as that takes, in no time.
            if due:
                self._changed.wait_for(
                    lambda: self._sleeping.get("watcher", -np.inf) > self.now, timeout=30
                )

    def sleep(self, seconds: float, over: Callable[[], bool]) -> bool:
        name = threading.current_thread().name
        with self._changed:
            until = self.now + seconds
            self._sleeping[name] = until
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.now >= until or over(), timeout=60)
            if over():
                self._sleeping.pop(name, None)
                self._changed.notify_all()
            return over()

    def expect(self) -> None:
        """A watcher is about to begin."""
        with self._changed:
            self._sleeping["watcher"] = self.now

    def end(self) -> None:
        """It is to end."""
        with self._changed:
            self._sleeping.clear()
            self._changed.notify_all()


class Stop(threading.Event):
    """What supervised threads sleep on, by that clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        clock.expect()

    def wait(self, timeout: float | None = None) -> bool:
        return self._clock.sleep(np.inf if timeout is None else timeout, self.is_set)

    def set(self) -> None:
        super().set()
        self._clock.end()


@dataclass(frozen=True)
class Visit:
    """Somebody who said something."""

    at: float
    name: str
    enrolled: bool
    calm: float  # seconds since the last cause was gone; negative: one was there
    opened: str | None
    reason: str


@dataclass
class World:
    """What happens at the gate, and when; in the place of a recording that is played."""

    clock: Clock
    voices: list[tuple[str, Samples, bool]]  # names, phrases, and whether they are enrolled
    disturbances: list[Callable[[], AbstractContextManager[None]]]
    away: set[str] = field(default_factory=set)  # who is removed just now
    visits: list[Visit] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # which disturbances there were
    speaking: tuple[str, bool] = ("", False)
    calm_since: float = 0.0
    name: str = "simulated"
    floor: float | None = None
    overruns: int = 0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        self._room = noise(60, -70.0)
        self._now = ExitStack()
        self._deck: list[Callable[[], AbstractContextManager[None]]] = []
        self._until = 30.0  # when the disturbance, or the calm, ends
        self.disturbed = False

    @property
    def over(self) -> bool:
        return self.clock.now >= HOURS * 3600

    def blocks(self) -> Iterator[Samples]:
        yield from self._silence(2.5)
        while not self.over:
            # Quiet times pass by a block a second.
            for _ in range(int(self.random.integers(1, 12))):
                self._pass(1.0)
                yield from self._silence(BLOCK / SAMPLE_RATE)
            place = int(self.random.integers(len(self.voices)))
            away = [at for at, (name, _, _) in enumerate(self.voices) if name in self.away]
            if away and self.random.random() < 0.5:
                place = away[0]
            name, phrase, enrolled = self.voices[place]
            self.speaking = name, enrolled and name not in self.away
            yield from self._silence(1.0)
            yield from self._sound(phrase)
            yield from self._silence(1.0)
        self._now.close()

    def heard(self, answer: Answer) -> None:
        calm = -1.0 if self.disturbed else self.clock.now - self.calm_since
        decision = answer.decision
        name, enrolled = self.speaking
        self.visits.append(
            Visit(self.clock.now, name, enrolled, calm, decision.student, decision.reason)
        )

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.clock.now < self._until:
            return
        if self.disturbed:
            self._now.close()
            self.disturbed, self.calm_since = False, self.clock.now
            self._until = self.clock.now + self.random.uniform(20, 60)
        else:
            self.disturbed = True
            self._until = self.clock.now + self.random.uniform(3, 60)
            for chosen in self._drawn():
                self.seen.append(chosen.__name__)
                self._now.enter_context(chosen())

    def _drawn(self) -> list[Callable[[], AbstractContextManager[None]]]:
        """Draw one or two that can go together."""
        if len(self._deck) < 2:
            order = self.random.permutation(len(self.disturbances))
            self._deck += [self.disturbances[at] for at in order]
            self._deck.sort(key=lambda each: each.__name__ in BLIND)  # soon, in a short run too
        drawn = [self._deck.pop(), self._deck.pop()]
        if drawn[0].__name__ in BLIND:  # somebody is removed, and nobody is there to notice
            drawn[1] = next(d for d in self.disturbances if d.__name__ == "removed_student")
        drawn.sort(key=lambda each: each.__name__ in LAST)
        if drawn[0].__name__ in LAST:
            self._deck.insert(0, drawn.pop())
        return drawn

    def _silence(self, seconds: float) -> Iterator[Samples]:
        for number in range(round(seconds * SAMPLE_RATE / BLOCK)):
            self.clock.advance(BLOCK / SAMPLE_RATE)
            yield self._room[number * BLOCK :][:BLOCK]

    def _sound(self, phrase: Samples) -> Iterator[Samples]:
        whole = np.pad(phrase, (0, -len(phrase) % BLOCK))
        for block in (whole + self._room[: len(whole)]).reshape(-1, BLOCK):
            self.clock.advance(BLOCK / SAMPLE_RATE)
            yield block


@dataclass
class Site:
    """A school on disk, and everything that may happen to it."""

    folder: Path
    clock: Clock
    patch: pytest.MonkeyPatch
    config: Path = field(init=False)
    away: set[str] = field(default_factory=set)
    guest: str = ""  # who is removed and enrolled again
    refusal: int | None = None  # what writing into the folder is answered with

    def enroll(self) -> list[tuple[str, Samples, bool]]:
        """Enroll two thirds of the demo's class; everybody's phrases, with certain verdicts."""
        os.mkfifo(self.folder / "cards")
        self.config = self.folder / "kaimen.toml"
        self.good = (
            f'[gallery]\npath = "{self.folder}/gallery.sqlite"\nkey = "{self.folder}/key"\n'
            "[door]\nmock = true\nlease = 0.01\n[gate]\nretry = false\nlockout = 0.0\n"
            "[checks]\nphrase = false\nreplay = false\nloudspeaker = false\n"
            f'[reader]\npath = "{self.folder}/cards"\n'
            '[[roster]]\ngroups = ["class"]\n'
        )
        self.config.write_text(self.good)
        day = plan(recordings_in(RECORDINGS), replays=False)
        enrolled = {name for place, name in enumerate(day.enrolling, start=1) if place % 3}
        with Installation.open(Settings.read(self.config)) as installation:
            encoder, gallery = installation.encoder, installation.gallery_or_new
            self.points = {
                name: [encoder.embed(main_phrase(read(file)).samples) for file in files]
                for name, files in day.enrolling.items()
                if name in enrolled
            }
            for name, points in self.points.items():
                gallery.enroll(name, points, group="class")
            gallery.save()
            learned = calibrate(gallery, encoder.card)
            learned.save(beside(self.folder / "gallery.sqlite"), installation.vault)
            self.vault, self.encoder = installation.vault, encoder
            self.log_key = installation.log_key
        first, *others = day.sessions
        come = [v for v in first.visitors if v.kind is Kind.STUDENT and v.name in enrolled]
        self.guest = come[0].name
        strangers = [v for s in others if s.without not in enrolled for v in s.visitors[:2]]
        come += [v for v in strangers if v.kind is not Kind.STUDENT]
        return [(v.name, v.samples, v.kind is Kind.STUDENT) for v in come]

    def disturbances(self) -> list[Callable[[], AbstractContextManager[None]]]:
        return [
            self.full_disk, self.read_only, self.no_descriptors, self.killed_watcher,
            self.odd_consent, self.busy_registry, self.broken_reader, self.bad_settings,
            self.another_zone, self.clock_of_1970, self.clock_of_next_week, self.lost_calibration,
            self.unplugged, self.removed_student,
        ]  # fmt: skip

    def refuse(self) -> None:
        """From now on writing is answered by ``refusal``, while there is one."""
        real_open, real_sync = os.open, os.fsync

        def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
            writes = flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
            if self.refusal and writes and str(path).startswith(str(self.folder)):
                raise OSError(self.refusal, os.strerror(self.refusal), str(path))
            return real_open(path, flags, *more, **named)

        def sync(descriptor: int) -> None:
            if self.refusal:
                raise OSError(self.refusal, os.strerror(self.refusal))
            real_sync(descriptor)

        self.patch.setattr(os, "open", opened)
        self.patch.setattr(os, "fsync", sync)

    @contextmanager
    def full_disk(self, number: int = errno.ENOSPC) -> Iterator[None]:
        self.refusal = number
        yield
        self.refusal = None

    @contextmanager
    def read_only(self) -> Iterator[None]:
        with self.full_disk(errno.EROFS):
            yield

    @contextmanager
    def no_descriptors(self) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    @contextmanager
    def killed_watcher(self) -> Iterator[None]:
        def killed(watcher: Watcher) -> None:
            raise SystemExit(1)

        look = Watcher.look
        self.patch.setattr(Watcher, "look", killed)
        yield
        self.patch.setattr(Watcher, "look", look)

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
        self.patch.setenv("TZ", "Pacific/Kiritimati")
        yield
        self.patch.delenv("TZ")

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
        path = beside(self.folder / "gallery.sqlite")
        kept = path.read_bytes()
        path.write_bytes(kept[:-20])
        yield
        path.write_bytes(kept)

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """The gate is killed as a process is, and begun again."""
        signal.raise_signal(signal.SIGTERM)
        yield

    @contextmanager
    def removed_student(self) -> Iterator[None]:
        with closing(self.gallery()) as gallery:
            gallery.remove(self.guest)
        self.away.add(self.guest)
        yield
        with closing(self.gallery()) as gallery:
            gallery.enroll(self.guest, self.points[self.guest], group="class")
        self.away.discard(self.guest)

    def gallery(self) -> Gallery:
        """Open the school as another command does."""
        encoder, path = self.encoder, self.folder / "gallery.sqlite"
        return Gallery.open(path, self.vault, encoder.identity, encoder.card.dimension)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A daemon's signals, zone and descriptors are its own."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    time.tzset()


def test_an_hour_of_disturbances_opens_for_students_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = Clock()
    site = Site(tmp_path, clock, monkeypatch)
    world = World(clock, site.enroll(), site.disturbances(), away=site.away)
    site.refuse()
    simulated = {
        "serving.Supervisor": lambda: Supervisor(clock=lambda: clock.now, stop=Stop(clock)),
        "serving.AccessPolicy": partial(AccessPolicy, now=clock.wall, clock=lambda: clock.now),
        "opening.Lockout": partial(Lockout, clock=lambda: clock.now),
        "serving.Heartbeat": partial(Heartbeat, clock=lambda: clock.now),
        "opening.sleep": world._pass,
    }
    for name, instead in simulated.items():
        monkeypatch.setattr(f"kaimen.service.{name}", instead)
    # Cards come in real time, which is a hundred times slower.
    monkeypatch.setattr("kaimen.gate.card_reader.PATIENCE", np.inf)
    monkeypatch.setattr(Door, "start", partial(Door.start, trace=tmp_path / "trace"))
    monkeypatch.setattr(Played, "open", lambda path: world)

    def heard(answer: Answer, **_: object) -> dict[str, Any]:
        world.heard(answer)
        return {}

    monkeypatch.setattr("kaimen.service.answers.as_fields", heard)
    codes: list[int] = []
    while not world.over:
        arguments = ["run", "--config", str(site.config), "--json", "--wait", "--play", "world"]
        codes.append(main(arguments))
        with suppress(KeyboardInterrupt):  # a signal for a gate that has ended already
            world._pass(RESTART)
    world._now.close()
    out = capsys.readouterr().out

    wrong = [v for v in world.visits if v.opened and not (v.enrolled and v.opened == v.name)]
    assert wrong == []
    outside = [v for v in world.visits if v.enrolled and v.calm >= WITHIN and not v.opened]
    assert outside == []
    opened = [v for v in world.visits if v.opened]
    assert verify(tmp_path / "audit", site.log_key).problems == []
    logged = list(export(tmp_path / "audit", site.log_key))
    lines = sum(each.get("verdict") == "open" for each in logged)
    lost = sum(each["lost"] for each in logged if each["kind"] == "gap")
    assert lines <= len(opened) <= lines + lost
    levels = [line.split()[1:] for line in (tmp_path / "trace").read_text().splitlines()]
    assert sum(level == "1" for pin, level in levels if int(pin) == PIN) == len(opened)
    assert set(world.seen) == {each.__name__ for each in world.disturbances} or HOURS < 1
    sys.stderr.write(
        f"\n{len(world.visits)} visits, {len(opened)} openings, {len(world.seen)} disturbances, "
        f"{len(codes)} starts, {lost} lines lost; ended by {json.dumps(sorted(set(codes)))}\n"
        f"{out.count('ended (')} threads ended\n"
    )
