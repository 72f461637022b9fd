"""``kaimen run``: the gate at a microphone, for years."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep, time
from types import FrameType

from kaimen.access.decision import Thresholds
from kaimen.access.growing import Growing, GrowthCandidate
from kaimen.access.lockout import Lockout, Tries
from kaimen.access.pin_entry import PinAnswer, PinEntry
from kaimen.access.pin_lockout import PinLockout
from kaimen.access.policy import AccessPolicy
from kaimen.audit import (
    Audit,
    Record,
    files_of,
    grown_record,
    latest,
    pin_record_of,
    record_of,
    write_waiting,
)
from kaimen.bundle.slots import SlotsState
from kaimen.calibration.calibration import Calibration
from kaimen.cli import answers
from kaimen.door.client import Door
from kaimen.door.seen import DoorSeen
from kaimen.errors import (
    DeviceError,
    KaimenError,
    OpeningRefused,
    SettingsError,
    StorageError,
)
from kaimen.gate import card_reader, grower, watcher
from kaimen.gate.card_reader import CardReader
from kaimen.gate.daemon import Daemon, Listener, Reloaded
from kaimen.gate.feed import Feed
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.grower import Grower
from kaimen.gate.heartbeat import Heartbeat
from kaimen.gate.loan import Lender, loan_path
from kaimen.gate.supervisor import Supervisor
from kaimen.gate.watcher import Watcher
from kaimen.installation import Installation
from kaimen.interrupt import uninterrupted
from kaimen.monitoring import drift_watch
from kaimen.monitoring.drift_watch import DriftWatch
from kaimen.output import best_effort
from kaimen.privacy.erasing import go_on
from kaimen.registry.events import Events
from kaimen.review.keeping import PhraseKeeping
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

SIGHUP reads the settings again. SIGTERM ends it, with the relay off first; a door at a socket goes
on, and ends its lease by itself."""


LOOK = 1.0  # seconds between looks at what commands left for the log
AT_ONCE = 5  # of it, so that a phrase never waits long
RETRY = 5.0  # seconds between tries to begin, whatever keeps the gate from it


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    answers.add_nearest(parser)
    parser.add_argument("--microphone", help="a part of its name; the default one without")
    parser.add_argument(
        "--play", type=Path, metavar="FILE", help="a recording instead of a microphone"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for a gallery and its calibration"
    )
    parser.add_argument(
        "--reader",
        type=Path,
        metavar="PATH",
        help="a pipe, a serial line or a keyboard-like card reader: a claimed student a line",
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """What a gate needs, read and found to fit together."""

    installation: Installation
    calibrated: Path  # where that is kept
    state: SlotsState  # of the bundles, before anything was read
    lockout: Lockout


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Listen until SIGINT or SIGTERM; the relay is off before the program ends."""
    with best_effort():
        return _run(arguments, screen)


def _run(arguments: argparse.Namespace, screen: Screen) -> int:
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
            before, tries = ready.installation, ready.lockout.tries
            try:
                ready = _ready(arguments, screen, tries)
            except Exception as error:  # whatever it was: the gate that served goes on
                screen.note(f"{_reason(error)}; the old settings stay")
                ready = replace(ready, state=before.state)
            else:
                _pass_on(before, ready.installation)
                before.close()
    finally:
        ready.installation.close()


def _pass_on(before: Installation, after: Installation) -> None:
    """Keep the door open, so that no lease is cut; one by other settings takes over at rest."""
    if before.settings.door == after.settings.door:
        before.hand_over("door", after)
    else:
        with suppress(DeviceError):
            before.door.wait_for_rest(before.settings.door.lease + 1)


def _ready(arguments: argparse.Namespace, screen: Screen, tries: Tries | None = None) -> Ready:
    """Read and open everything; ``tries`` are those of a lockout before this one."""
    with ExitStack() as stack:
        installation = Installation.open(Settings.read(arguments.config), screen)
        stack.enter_context(installation)
        state, _ = installation.state, installation.gallery
        if not installation.settings.reader.pin:  # a card and a PIN need no calibration
            _ = installation.calibration
        try:
            go_on(installation)
        except KaimenError as error:  # whoever else is enrolled is let in all the same
            screen.note(f"{error}; an erasure is not finished")
        settings = installation.settings.gate
        lockout = Lockout(
            free=settings.free_tries,
            first=settings.lockout,
            tries=tries,
            path=installation.lockout_path,
            say=screen.note,
        )
        ready = Ready(installation, installation.calibration_path, state, lockout)
        stack.pop_all()  # it stays open
        return ready


def _as_soon_as_ready(arguments: argparse.Namespace, screen: Screen) -> Ready:
    """Return the same; with ``--wait``, try until it can be: a school is there, a disk is free.

    Not modification times but a timer says when to try: permissions and full disks have none.
    """
    said = ""
    while True:
        try:
            return _ready(arguments, screen)
        except Exception as error:  # whatever it was: it may be mended
            if not arguments.wait or isinstance(error, SettingsError):
                raise
            reason = _reason(error)
        if reason != said:
            said = reason
            screen.note(f"{reason}; the door stays shut until then")
        # The start is over and each try proves it alive; how it is, the status says.
        notify("READY=1", f"STATUS=the door stays shut: {reason}", "WATCHDOG=1")
        sleep(RETRY)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, KaimenError) else f"{type(error).__name__}: {error}"


def _serve(ready: Ready, arguments: argparse.Namespace, screen: Screen) -> None:
    """Serve by these settings. Raises Reloaded when they are to be read again."""
    installation, settings = ready.installation, ready.installation.settings
    gallery = installation.gallery
    with ExitStack() as stack:
        # Models, gallery and door stay open for the next time; what else is opened here does not.
        stack.callback(installation.close, "audit", "checks")
        door, audit, checks = installation.door, installation.audit, installation.checks
        supervisor = stack.enter_context(Supervisor())
        drift = _drift_watch(ready, supervisor)
        growing = Growing(gallery) if settings.gate.grow else None
        policy = AccessPolicy(
            gallery,
            Thresholds(),  # until the watcher arms it
            roster=settings.roster,
            lockout=ready.lockout,
            checks=checks,
            policy=settings.gate.policy,
            retry=settings.gate.retry,
            unwell=lambda: supervisor.unwell() or drift.shut,
            growing=growing,
        )
        gate = Gate(installation.encoder, policy, door, say=screen.note)
        screen.say("Ctrl-C stops")
        feed = stack.enter_context(Feed.listening(settings.console.feed_path, screen.note))
        events = installation.registry.events
        written = _Written(gate, audit, events, screen, feed, nearest=arguments.nearest)
        _watch(supervisor, policy, ready.calibrated)
        supervisor.start("drift watch", drift.run, patience=drift_watch.PATIENCE)
        taking_in = None if growing is None else _grow(supervisor, growing, installation)
        reader = arguments.reader or settings.reader.path
        pins = None
        if settings.reader.pin:
            lockout = PinLockout(installation.pin_lockout_path, installation.vault)
            pins = PinEntry(
                installation.registry,
                lockout,
                policy.claim,
                roster=settings.roster,
                unwell=supervisor.unwell,
            )
        if reader:
            claim = policy.claim if pins is None else pins.read
            _read(supervisor, claim, Path(reader), settings.reader.baud)
        elif settings.gate.policy != "voice":
            screen.note("nobody can say who they are: this door's policy needs a [reader]")
        keeping = PhraseKeeping(installation.kept_phrases, settings.review, screen.note)
        takeover = stack.enter_context(
            Takeover(installation, ready.state, checks.models, written.bundle)
        )

        seen = DoorSeen()

        def beat() -> None:
            door.alive()
            # A thread that does not work any more is to be ended with all the others.
            fed = [] if supervisor.unwell() else ["WATCHDOG=1"]
            notify(f"STATUS={service.status}", *fed)

        heart = Heartbeat(gate.rehearse, beat, every=watchdog_interval())

        def note_grown() -> None:
            for candidate in [] if taking_in is None else taking_in.taken():
                written.grown(candidate)

        def alive() -> None:
            for event in door.events():
                written.event(str(event))
                seen.hear(event)
            feed.state("door", seen.fields)
            feed.state("gate", _told_of(service))
            for text in supervisor.events():
                written.said(text)
            if pins is not None:
                with uninterrupted():
                    for entered in pins.answers():
                        written.pin(entered, _obey(entered, door))
                        if entered.opens:
                            policy.withdraw_claim(entered.student)
            written.waiting()
            note_grown()
            heart()
            keeping.beat()
            if not gate.speaking and takeover.is_due():
                service.reload.set()

        def tell(answer: Answer) -> None:
            record = written.answer(answer, service.listening_to)
            drift.add(record)
            keeping.hear(answer, record)
            takeover.hear(answer)

        lender = _lender(stack, installation, screen)
        service = Daemon(gate, door, alive, tell=tell, say=screen.note, lender=lender, feed=feed)
        signal.signal(signal.SIGHUP, lambda *_: service.reload.set())
        notify("READY=1")
        try:
            service.run(_finder(arguments, settings))
        except KeyboardInterrupt:
            notify("STOPPING=1")
            if settings.door.socket:  # whoever is on the way through is not shut out
                screen.note("stopped; the door ends its lease by itself")
            else:
                door.rest()
                screen.note("stopped; the relay is off")
        finally:
            supervisor.close()  # what waits is taken in, and said
            note_grown()


def _lender(stack: ExitStack, installation: Installation, screen: Screen) -> Lender | None:
    """Return who lends the microphone; a gate that cannot lend it opens all the same."""
    try:
        path = loan_path(installation.settings.gallery.file)
        return stack.enter_context(Lender(path, installation.door.show))
    except DeviceError as error:
        screen.note(str(error))
        return None


def _told_of(service: Daemon) -> dict[str, object]:
    """Return how the gate is, for watchers."""
    return {
        "shut": service.shut,
        "microphone": service.microphone,
        "overruns": service.overruns,
    }


def _finder(arguments: argparse.Namespace, settings: Settings) -> Callable[[], Listener]:
    if arguments.play:
        played = Played.open(arguments.play)
        return lambda: played
    name = arguments.microphone or settings.sound.microphone or None
    return lambda: Microphone(name)


def _watch(supervisor: Supervisor, policy: AccessPolicy, calibrated: Path) -> None:
    """Arm the policy by registry and calibration, now and whenever they change."""
    watching = Watcher(policy, calibrated, supervisor.say)
    supervisor.start("watcher", watching.run, patience=watcher.PATIENCE)


def _drift_watch(ready: Ready, supervisor: Supervisor) -> DriftWatch:
    """Count whether strangers' scores keep the promise, from the log and from now on."""
    installation, path = ready.installation, ready.calibrated
    folder, key = installation.log_folder, installation.log_key
    return DriftWatch(
        lambda: latest(folder, key) if files_of(folder) else (),
        lambda: Calibration.load(path, installation.vault),
        path,
        supervisor.say,
        stops=installation.settings.gate.stop_on_drift,
    )


def _grow(supervisor: Supervisor, growing: Growing, installation: Installation) -> Grower:
    """Take in what the policy picks."""
    made = Grower(
        growing,
        installation.settings.gallery.file,
        installation.vault,
        installation.encoder.identity,
    )
    supervisor.start("grower", made.run, patience=grower.PATIENCE)
    return made


def _obey(entered: PinAnswer, door: Door) -> str:
    """Open for a card and a PIN, or show that nobody does; return why it did not open."""
    if not entered.opens:
        door.show("refused")
        return ""
    try:
        door.open()
    except OpeningRefused as error:  # to start again would not make it open
        door.show("fault")
        return str(error)
    return ""


def _read(supervisor: Supervisor, claim: Callable[[str], None], path: Path, baud: int) -> None:
    """Let a card reader say who comes."""
    reading = CardReader(path, claim, supervisor.say, baud=baud)
    supervisor.start("card reader", reading.run, patience=card_reader.PATIENCE)


class _Written:
    """Writes down what happens, then shows it; a full disk keeps nobody outside."""

    def __init__(
        self,
        gate: Gate,
        audit: Audit,
        events: Events,
        screen: Screen,
        feed: Feed,
        *,
        nearest: bool,
    ) -> None:
        self._gate = gate
        self._events = events
        self._look_at = 0.0
        self._audit = audit
        self._screen = screen
        self._feed = feed
        self._nearest = nearest
        self._failed = False

    def answer(self, answer: Answer, microphone: str) -> Record:
        """Write down one answer, which watchers see before; return what was written of it."""
        fields = answers.as_fields(answer, nearest=self._nearest)
        self._feed.decision({"at": time(), **fields, **answers.for_watchers(answer)})
        record = record_of(
            answer,
            key=self._audit.key,
            encoder=self._gate.encoder.identity,
            gallery=self._gate.policy.gallery.hash,
            calibration=self._gate.policy.thresholds.source,
            microphone=microphone,
        )
        self._write(record)
        self._screen.result(
            fields,
            answers.as_line(answer, nearest=self._nearest),
        )
        return record

    def event(self, text: str) -> None:
        """One of the door's."""
        self._write({"kind": "door", "event": text})
        self._screen.result({"door": text})

    def pin(self, answer: PinAnswer, not_opened: str = "") -> None:
        """What became of a PIN, which itself is written nowhere."""
        record = pin_record_of(answer, key=self._audit.key, not_opened=not_opened)
        self._write(record)
        verdict, student = record["verdict"], answer.student if answer.opens else ""
        why = f": {answer.why}" if answer.why else f" for {student}"
        why += f"; {not_opened}" if not_opened else ""
        self._screen.result(
            {"pin": verdict, "student": student or None, "why": answer.why or None},
            f"card and PIN: {verdict}{why}",
        )

    def said(self, text: str) -> None:
        """What became of the gate's threads, and what they said."""
        self._write({"kind": "gate", "event": text})
        self._screen.note(text)

    def waiting(self) -> None:
        """What commands left for the log; asked for often, and looked at once a second."""
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK
        with suppress(KaimenError):  # the next look may be luckier; the doctor tells of the rest
            write_waiting(self._audit, self._events, AT_ONCE)

    def grown(self, taken: GrowthCandidate) -> None:
        """A voiceprint that was taken in."""
        self._write(grown_record(taken, self._audit.key))

    def bundle(self, text: str) -> None:
        """How the trial of a bundle ended."""
        self._write({"kind": "bundle", "event": text})
        self._screen.note(text)

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
