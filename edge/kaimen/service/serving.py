"""One gate by one reading of the settings: its parts, and what each block of sound does to them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from kaimen import systemd
from kaimen.access.decision import Thresholds
from kaimen.access.growing import Growing
from kaimen.access.pin_entry import PinEntry
from kaimen.access.pin_lockout import PinLockout
from kaimen.access.policy import AccessPolicy
from kaimen.door.seen import DoorSeen
from kaimen.gate.daemon import Daemon
from kaimen.gate.feed import Feed
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.heartbeat import Heartbeat
from kaimen.gate.supervisor import Supervisor
from kaimen.language import text
from kaimen.review.keeping import PhraseKeeping
from kaimen.rollout.takeover import Takeover
from kaimen.screen import Screen
from kaimen.service import threads
from kaimen.service.card_and_pin import CardAndPin
from kaimen.service.microphone import finder, lender
from kaimen.service.opening import Ready
from kaimen.service.options import ServiceOptions
from kaimen.service.reporter import Reporter


def serve(ready: Ready, options: ServiceOptions, screen: Screen) -> None:
    """Serve by these settings. Raises Reloaded when they are to be read again."""
    with ExitStack() as stack:
        # Models, gallery and door stay open for the next time; what else is opened here does not.
        stack.callback(ready.installation.close, "audit", "checks")
        service = _Service(ready, options, screen, stack)
        signal.signal(signal.SIGHUP, lambda *_: service.daemon.reload.set())
        systemd.notify("READY=1")
        try:
            service.daemon.run(finder(options, ready.installation.settings.sound))
        except KeyboardInterrupt:
            systemd.notify("STOPPING=1")
            service.rest()
        finally:
            service.end_threads()


class _Service:
    """The parts of a serving gate; all its methods are called in the gate's own thread."""

    def __init__(
        self, ready: Ready, options: ServiceOptions, screen: Screen, stack: ExitStack
    ) -> None:
        """Put the parts together; the ``stack`` closes what is opened here."""
        installation, settings = ready.installation, ready.installation.settings
        self._settings = settings
        self._screen = screen
        self._door, audit, checks = installation.door, installation.audit, installation.checks
        self._door_seen = DoorSeen()
        self._supervisor = stack.enter_context(Supervisor())
        self._drift = threads.drift_watch_of(installation, ready.calibrated, self._supervisor)
        growing = Growing(installation.gallery) if settings.gate.grow else None
        policy = AccessPolicy(
            installation.gallery,
            Thresholds(),  # until the watcher arms it
            roster=settings.roster,
            lockout=ready.lockout,
            checks=checks,
            policy=settings.gate.policy,
            retry=settings.gate.retry,
            unwell=lambda: self._supervisor.unwell() or self._drift.shut,
            growing=growing,
        )
        self._gate = gate = Gate(installation.encoder, policy, self._door, say=screen.note)
        screen.say(text("Ctrl-C stops"))
        self._feed = stack.enter_context(Feed.listening(settings.console.feed_path, screen.note))
        events = installation.registry.events
        self._report = Reporter(gate, audit, events, screen, self._feed, nearest=options.nearest)
        threads.watch(self._supervisor, policy, ready.calibrated, settings.roster)
        threads.count_drift(self._supervisor, self._drift)
        self._grower = (
            None if growing is None else threads.grow(self._supervisor, growing, installation)
        )
        self._pins = self._read_cards(ready, options, policy)
        self._keeping = PhraseKeeping(installation.kept_phrases, settings.review, screen.note)
        self._takeover = stack.enter_context(
            Takeover(installation, ready.state, checks.models, self._report.bundle)
        )
        self._heartbeat = Heartbeat(gate.rehearse, self._beat, every=systemd.watchdog_interval())
        self.daemon = Daemon(
            gate,
            self._door,
            self._alive,
            tell=self._tell,
            say=screen.note,
            lender=lender(stack, installation, screen),
            feed=self._feed,
        )

    def rest(self) -> None:
        """Put the relay at rest, where no door goes on without this gate."""
        if self._settings.door.socket:  # whoever is on the way through is not shut out
            self._screen.note("stopped; the door ends its lease by itself")
        else:
            self._door.rest()
            self._screen.note("stopped; the relay is off")

    def end_threads(self) -> None:
        """End every thread; what waits is taken in, and said."""
        self._supervisor.close()
        self._note_grown()

    def _read_cards(
        self, ready: Ready, options: ServiceOptions, policy: AccessPolicy
    ) -> CardAndPin | None:
        """Read cards where there is a reader; return what opens for a PIN, if one is needed."""
        installation, settings = ready.installation, self._settings
        claim: Callable[[str], None] = policy.claim
        pins = None
        if settings.reader.pin:
            entry = PinEntry(
                installation.registry,
                PinLockout(installation.pin_lockout_path, installation.vault),
                policy.claim,
                roster=settings.roster,
                unwell=self._supervisor.unwell,
            )
            claim, pins = entry.read, CardAndPin(entry, policy, self._door, self._report)
        path = options.reader or settings.reader.path
        if path:
            threads.read_cards(self._supervisor, claim, Path(path), settings.reader.baud)
        elif settings.gate.policy != "voice":
            self._screen.note("nobody can say who they are: this door's policy needs a [reader]")
        return pins

    def _beat(self) -> None:
        """Tell the door and systemd that the gate lives."""
        self._door.alive()
        # A thread that does not work any more is to be ended with all the others.
        fed = [] if self._supervisor.unwell() else ["WATCHDOG=1"]
        systemd.notify(f"STATUS={self.daemon.status}", *fed)

    def _alive(self) -> None:
        """Do what is due between two blocks of sound."""
        for event in self._door.events():
            self._report.door(str(event))
            self._door_seen.hear(event)
        self._feed.state("door", self._door_seen.fields)
        self._feed.state("gate", self._told_of())
        for told in self._supervisor.events():
            self._report.said(told)
        if self._pins is not None:
            self._pins.obey()
        self._report.waiting()
        self._note_grown()
        self._heartbeat()
        self._keeping.beat()
        if not self._gate.speaking and self._takeover.is_due():
            self.daemon.reload.set()

    def _tell(self, answer: Answer) -> None:
        """Pass on one answer to whoever counts, keeps or compares."""
        record = self._report.answer(answer, self.daemon.microphone)
        self._drift.add(record)
        self._keeping.hear(answer, record)
        self._takeover.hear(answer)

    def _told_of(self) -> dict[str, object]:
        """Return how the gate is, for watchers."""
        return {
            "shut": self.daemon.shut,
            "microphone": self.daemon.microphone,
            "overruns": self.daemon.overruns,
        }

    def _note_grown(self) -> None:
        """Write down which voiceprints were taken in."""
        for candidate in [] if self._grower is None else self._grower.taken():
            self._report.grown(candidate)
