"""``kaimen run``: the gate at a microphone, for years."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from types import FrameType

from kaimen.access.lockout import Lockout
from kaimen.access.policy import AccessPolicy
from kaimen.audit import Audit, record_of
from kaimen.bundle.slots import SlotsState
from kaimen.calibration.calibration import Calibration
from kaimen.cli import answers
from kaimen.door.client import Door
from kaimen.errors import GalleryError, KaimenError, StorageError
from kaimen.gate.card_reader import read_claims
from kaimen.gate.daemon import Daemon, Listener, Reloaded
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.heartbeat import Heartbeat
from kaimen.gate.watcher import Watcher
from kaimen.installation import Installation
from kaimen.rollout.takeover import Takeover
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.sound.microphone import Microphone
from kaimen.sound.played import Played
from kaimen.systemd import notify, watchdog_interval

EXAMPLE = """example:
  kaimen run
  kaimen run --config /etc/kaimen/kaimen.toml --json --wait
  kaimen run --play day.mp3        (a recording in the microphone's place, in its own time)

SIGHUP reads the settings again, SIGTERM ends it with the relay off first."""


LOOK = 2.0  # seconds between looks for a gallery that is not there


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--microphone", help="a part of its name; the default one without")
    parser.add_argument(
        "--play", type=Path, metavar="FILE", help="a recording instead of a microphone"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for a gallery and its calibration"
    )
    parser.add_argument(
        "--reader", type=Path, help="a file, pipe or terminal with a claimed student a line"
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """What a gate needs, read and found to fit together."""

    installation: Installation
    calibration: Calibration
    calibrated: Path  # where that is kept
    state: SlotsState  # of the bundles, before anything was read


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Listen until SIGINT or SIGTERM; the relay is off before the program ends."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background ignores the latter
        signal.signal(number, _stop)
    try:
        ready = _as_soon_as_ready(arguments, screen)
    except KeyboardInterrupt:
        return 0  # nothing was begun
    try:
        while True:
            try:
                _serve(ready, arguments, screen)
                return 0
            except Reloaded:
                notify("RELOADING=1")
            before = ready.installation
            try:
                ready = _ready(arguments, screen)
            except KaimenError as error:
                screen.note(f"{error}; the old settings stay")
                ready = replace(ready, state=before.state)
            else:
                before.close()
    finally:
        ready.installation.close()


def _ready(arguments: argparse.Namespace, screen: Screen) -> Ready:
    with ExitStack() as stack:
        installation = Installation.open(Settings.read(arguments.config), screen)
        stack.enter_context(installation)
        state, _ = installation.state, installation.gallery
        kept = installation.calibration_path
        ready = Ready(installation, installation.calibration, kept, state)
        stack.pop_all()  # it stays open
        return ready


def _as_soon_as_ready(arguments: argparse.Namespace, screen: Screen) -> Ready:
    """Return the same; with ``--wait``, wait until a school is enrolled and calibrated."""
    said = ""
    while True:
        try:
            return _ready(arguments, screen)
        except GalleryError as error:
            if not arguments.wait:
                raise
            if str(error) != said:
                said = str(error)
                screen.note(f"{error}; the door stays shut until then")
        seen = _changed(arguments)
        while True:
            notify("READY=1", "WATCHDOG=1")  # it does all that can be done
            sleep(LOOK)
            if _changed(arguments) != seen:
                break


def _changed(arguments: argparse.Namespace) -> dict[Path, int]:
    """When files of the school were last written: no model is loaded to find nothing new."""
    settings = Settings.read(arguments.config)
    places = (settings.gallery.file.parent, settings.gallery.key_file.parent)
    files = [each for place in places if place.is_dir() for each in place.iterdir()]
    found = {}
    for each in files:
        with suppress(OSError):
            found[each] = each.stat().st_mtime_ns
    return found


def _serve(ready: Ready, arguments: argparse.Namespace, screen: Screen) -> None:
    """Serve by these settings. Raises Reloaded when they are to be read again."""
    installation, settings = ready.installation, ready.installation.settings
    gallery = installation.gallery
    with ExitStack() as stack:
        # Models and gallery stay open for the next time; what is opened here does not.
        stack.callback(installation.close, "door", "audit", "checks")
        door, audit, checks = installation.door, installation.audit, installation.checks
        policy = AccessPolicy(
            gallery,
            ready.calibration.thresholds,
            roster=settings.roster,
            lockout=Lockout(free=settings.gate.free_tries, first=settings.gate.lockout),
            checks=checks,
            policy=settings.gate.policy,
            retry=settings.gate.retry,
        )
        gate = Gate(installation.encoder, policy, door, say=screen.note)
        if settings.gate.policy != "voice" and not arguments.reader:
            screen.note("nobody can say who they are: this door's policy needs --reader")
        if arguments.reader:
            read_claims(arguments.reader, policy.claim)
        screen.say(f"{len(gallery)} students; Ctrl-C stops")
        written = _Written(gate, audit, screen)
        stack.enter_context(Watcher(policy, ready.calibrated, screen.note))
        takeover = stack.enter_context(
            Takeover(installation, ready.state, checks.models, written.bundle)
        )
        heart = Heartbeat(gate.rehearse, lambda: _beat(door), every=watchdog_interval())

        def alive() -> None:
            for event in door.events():
                written.event(str(event))
            heart()
            if not gate.speaking and takeover.is_due():
                service.reload.set()

        def tell(answer: Answer) -> None:
            written.answer(answer)
            takeover.hear(answer)

        service = Daemon(gate, door, alive, tell=tell, say=screen.note)
        signal.signal(signal.SIGHUP, lambda *_: service.reload.set())
        notify("READY=1")
        try:
            service.run(_finder(arguments, settings))
        except KeyboardInterrupt:
            notify("STOPPING=1")
            door.rest()
            screen.note("stopped; the relay is off")


def _finder(arguments: argparse.Namespace, settings: Settings) -> Callable[[], Listener]:
    if arguments.play:
        played = Played.open(arguments.play)
        return lambda: played
    name = arguments.microphone or settings.sound.microphone or None
    return lambda: Microphone(name)


def _beat(door: Door) -> None:
    door.alive()
    notify("WATCHDOG=1")


class _Written:
    """Shows and writes down what happens; a full disk keeps nobody outside."""

    def __init__(self, gate: Gate, audit: Audit, screen: Screen) -> None:
        self._gate = gate
        self._audit = audit
        self._screen = screen
        self._failed = False

    def answer(self, answer: Answer) -> None:
        """One answer of the gate."""
        self._screen.result(answers.as_fields(answer), answers.as_line(answer))
        self._write(
            record_of(
                answer,
                key=self._audit.key,
                encoder=self._gate.encoder.identity,
                gallery=self._gate.policy.gallery.hash,
                calibration=self._gate.policy.thresholds.source,
            )
        )

    def event(self, text: str) -> None:
        """One of the door's."""
        self._screen.result({"door": text})
        self._write({"kind": "door", "event": text})

    def bundle(self, text: str) -> None:
        """How the trial of a bundle ended."""
        self._screen.note(text)
        self._write({"kind": "bundle", "event": text})

    def _write(self, record: dict[str, object]) -> None:
        # An older registry put in its place is told by what the log knew of it.
        registry = str(self._gate.policy.gallery.state)
        try:
            self._audit.write({**record, "registry": registry})
            self._failed = False
        except StorageError as error:
            if not self._failed:
                self._screen.note(f"{error}; the gate goes on without its log")
            self._failed = True


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
