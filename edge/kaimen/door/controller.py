"""The door's loop: what is asked and what is wired move its state, which moves relay and lights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from gpiozero import Factory

from kaimen.closing import Closing, close_all
from kaimen.door.bound import Bound
from kaimen.door.by_hand import HandServer
from kaimen.door.hand_openings import HandOpenings
from kaimen.door.panel import Panel
from kaimen.door.patterns import PATTERNS, chosen
from kaimen.door.protocol import (
    LATE,
    TOO_LATE,
    Alive,
    DoorState,
    FaultStatus,
    Message,
    NotOpened,
    Open,
    Opened,
    RelayStatus,
    Rest,
    Show,
    in_time,
    request_from_bytes,
)
from kaimen.door.relay import Relay
from kaimen.door.server import MOST, Server
from kaimen.door.states import LEASED, Event, Fault, Machine, State
from kaimen.errors import DeviceError
from kaimen.settings.door import DoorSettings
from kaimen.systemd import notify, watchdog_interval

TICK = 0.01  # seconds between two looks at the inputs
PATIENCE = 10.0  # seconds without a word from the voice until it counts as lost


class DoorController(Closing):
    """A door: its relay, what else is wired to it, its state, and a voice that may ask."""

    def __init__(
        self,
        settings: DoorSettings,
        server: Server,
        *,
        pins: Factory,
        by_hand: HandServer | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """Claim the pins, the relay first. Raises DeviceError."""
        self._clock, self._patience, self._log = clock, patience, log
        self.server = server
        self.by_hand = HandOpenings(
            HandServer() if by_hand is None else by_hand,
            Bound(settings.longest, settings.lease),
            opens=self._open_by_hand,
            shows=self._begin,
            gate_runs=lambda: server.connected,
        )
        self.ignored = 0  # packets that meant nothing
        now = self._turned = self._heard = self._beat = clock()
        self.relay = Relay(
            settings.pin,
            pins=pins,
            lease=settings.pulse or settings.lease,
            active_high=settings.active_high,
        )
        try:
            self.panel = Panel(settings, pins=pins)
        except BaseException:
            self.relay.close()
            raise
        self.machine = Machine(
            now,
            lease=settings.lease,
            held=settings.held,
            pulse=settings.pulse,
            open=self.panel.stands_open,
        )
        self.machine.handle(Event.VOICE_LOST, now)  # until one has come
        if self.panel.tampered:
            self.machine.handle(Event.TAMPER_OPENED, now)
        self._asked, self._asked_at = "idle", now
        self._on = self._late = self._behind = False
        self._bound = Bound(settings.longest, settings.lease)
        self._watchdog = watchdog_interval()
        self._stopping = False

    def run(self) -> None:
        """Turn until told to stop, or until the process that started this one is gone."""
        notify("READY=1")
        while not self._stopping and not self.server.ended:
            self.turn()

    def stop(self) -> None:
        """End after this turn. From a signal handler, too."""
        self._stopping = True

    def turn(self) -> None:
        """Listen for one tick, then look at everything once."""
        packets = self.server.read(TICK)
        now = self._clock()
        # What waited while this process was stopped may take several turns to read.
        self._late = self._behind or now - self._turned > LATE
        self._behind = self._late and len(packets) == MOST
        self._turned = now
        if self.server.came:
            self.server.came = False
            self._greet(now)
        for packet in packets:
            self._obey(packet, now)
        self.by_hand.obey(now)
        self._miss_voice(now)
        self._look(now)
        self._enter(self.machine.tick(now))
        self._follow()
        for bound in (self._bound, self.by_hand.bound):
            bound.look(now, self.machine.state in LEASED)
        if Fault.RESENT in self.machine.faults and not self._bound.refuses(now):
            self._fault(Event.RESTED, now)
        self._show(now)
        if self._watchdog is not None and now - self._beat >= self._watchdog:
            self._beat = now
            notify("WATCHDOG=1")

    def close(self) -> None:
        """Switch the relay off first, then close everything else."""
        close_all(
            self.relay.rest,
            lambda: notify("STOPPING=1"),
            self.panel.close,
            self.server.close,
            self.by_hand.close,
            self.relay.close,
        )

    def _greet(self, now: float) -> None:
        """Greet a voice that came: nothing that an earlier one said holds any more."""
        self._heard, self._asked = now, "idle"
        self._fault(Event.MICROPHONE_FOUND, now)
        self._fault(Event.VOICE_FOUND, now)
        self.server.say(RelayStatus(self._on))
        for fault in self.machine.faults:
            self.server.say(FaultStatus(fault.value, True))
        self.server.say(DoorState(self.machine.state.value))

    def _obey(self, packet: bytes, now: float) -> None:
        """Do what a packet asks for; one that is no request is counted and opens nothing."""
        try:
            request = request_from_bytes(packet)
        except ValueError:
            self.ignored += 1
            return
        match request:
            case Open(until):
                self._open_for_voice(until, now)
            case Rest():
                self._enter(self.machine.rest(now))
            case Alive():
                self.server.say(request)
            case Show(what):
                self._ask(what, now)
        self._heard = now
        self._fault(Event.VOICE_FOUND, now)

    def _open_for_voice(self, until: float | None, now: float) -> None:
        """Begin a lease, if it is wanted still and the voice has not held the relay too long."""
        if self._late if until is None else not in_time(until, now):
            self._say(NotOpened(TOO_LATE))
        elif not self._bound.allows(now):
            self._fault(Event.TOO_OFTEN, now)
            self._say(
                NotOpened("the voice has held the relay for too long, which now rests; look at it")
            )
        else:
            self._open(Event.VOICE, "voice", now)

    def _open_by_hand(self, now: float) -> Opened | NotOpened:
        """Open as the exit button does: the voice cannot end this lease."""
        return self._open(Event.BUTTON, "hand", now)

    def _open(self, event: Event, who: str, now: float) -> Opened | NotOpened:
        try:
            self.relay.open()
        except DeviceError as error:
            refused = NotOpened(str(error))
            self._say(refused)
            return refused
        entered = self.machine.handle(event, now)
        self._tell_relay()
        opened = Opened(who)
        self._say(opened)
        self._enter(entered)
        self.panel.restart("open")
        return opened

    def _ask(self, what: str, now: float) -> None:
        """Show what the voice asks for, which tells whether it has a microphone."""
        self._fault(Event.MICROPHONE_LOST if what == "fault" else Event.MICROPHONE_FOUND, now)
        self._begin(what, now)

    def _begin(self, what: str, now: float) -> None:
        """Show what a voice or a panel asks for; begin a pattern anew that ends by itself."""
        if math.isfinite(PATTERNS[what].lasts):
            self.panel.restart(what)
        self._asked, self._asked_at = what, now

    def _miss_voice(self, now: float) -> None:
        if not self.server.connected or now - self._heard > self._patience:
            self._asked = "idle"
            self._fault(Event.VOICE_LOST, now)

    def _look(self, now: float) -> None:
        """Look at the inputs; each is optional."""
        panel = self.panel
        if panel.button is not None and panel.button.changed(now) and panel.button.low:
            self._open(Event.BUTTON, "button", now)
        if panel.contact is not None and panel.contact.changed(now):
            event = Event.OPENED if panel.stands_open else Event.CLOSED
            self._enter(self.machine.handle(event, now))
        if panel.tamper is not None and panel.tamper.changed(now):
            self._fault(Event.TAMPER_OPENED if panel.tampered else Event.TAMPER_CLOSED, now)

    def _follow(self) -> None:
        """The relay goes off where the state says so; only an opening switches it on."""
        if not self.machine.relay and self.relay.is_on:
            self.relay.rest()
        self._tell_relay()

    def _tell_relay(self) -> None:
        if self.relay.is_on != self._on:
            self._on = not self._on
            self._say(RelayStatus(self._on))

    def _show(self, now: float) -> None:
        if now - self._asked_at >= PATTERNS[self._asked].lasts:
            self._asked = "idle"
        self.panel.play(chosen(self.machine.state, self._asked, self.machine.faults), now)

    def _fault(self, event: Event, now: float) -> None:
        before = set(self.machine.faults)
        self._enter(self.machine.handle(event, now))
        for fault in Fault:
            if (fault in before) != (fault in self.machine.faults):
                self._say(FaultStatus(fault.value, fault in self.machine.faults))

    def _enter(self, states: Sequence[State]) -> None:
        for state in states:
            self._say(DoorState(state.value))

    def _say(self, message: Message) -> None:
        self.server.say(message)
        if self._log is not None:
            self._log(str(message))
