"""The daemon: a gate at a microphone that comes and goes, for years.

The microphone's sound waits in a queue while a decision is made, so a slow one drops nothing.
What is said, shown, written down and proven alive happens here; what is decided does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from kaimen.access.decision import Verdict
from kaimen.door.client import Door
from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.gate.feed import Feed
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.loan import Lender
from kaimen.interrupt import uninterrupted
from kaimen.language import sentence, text
from kaimen.sound import Samples
from kaimen.sound.meter import Meter

SHOWN = {
    Verdict.RETRY: "again",
    Verdict.UNKNOWN: "unknown",
    Verdict.REFUSED: "refused",
}
RETRY = 1.0  # seconds between looks for a microphone that is not there


class Reloaded(Exception):
    """The settings are to be read again."""


class Listener(Protocol):
    """A microphone, or what stands in for one."""

    floor: float | None
    overruns: int  # times sound was dropped

    @property
    def name(self) -> str:
        """Return what is listened to, with its channel where there are several."""

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks as they are heard. Raises MicrophoneLost; ends if there is no more."""


class Daemon:
    """Keeps a gate listening."""

    def __init__(
        self,
        gate: Gate,
        door: Door,
        heartbeat: Callable[[], None],
        *,
        tell: Callable[[Answer], None],
        say: Callable[[str], None],
        lender: Lender | None = None,
        feed: Feed | None = None,
    ) -> None:
        """``heartbeat`` is called for every block, and while a microphone is waited for.

        ``tell`` gets every answer, ``say`` what an operator should know, ``feed`` what watchers
        are told of the sound. While the ``lender`` has lent the microphone, nothing is decided.
        """
        self._gate = gate
        self._door = door
        self._heartbeat = heartbeat
        self._tell = tell
        self._say = say
        self._lender = lender
        self._lent = False
        self._feed = Feed() if feed is None else feed
        self._listener: Listener | None = None
        self._lacking = False  # a microphone
        self._speaking = False
        self.reload = threading.Event()  # set: ``run`` ends with Reloaded at the next moment

    @property
    def status(self) -> str:
        """Return how it is, in words."""
        if self._gate.policy.shut:
            return f"the door stays shut: {self._gate.policy.shut}"
        if self._lacking:
            return "waits for its microphone"
        return "somebody is being enrolled" if self._lent else "listening"

    @property
    def shut(self) -> str:
        """Return why the door opens for nobody, in words; empty where it may."""
        return self._gate.policy.shut

    @property
    def microphone(self) -> str:
        """Return what is listened to; empty while there is nothing."""
        return self._listener.name if self._listener is not None and not self._lacking else ""

    @property
    def overruns(self) -> int:
        """Return how often sound was dropped since the microphone was found."""
        return self._listener.overruns if self._listener is not None else 0

    def run(self, find: Callable[[], Listener]) -> None:
        """Listen to what ``find`` finds, as long as there is sound, and find it anew when lost.

        Ends with a source that ends; raises what ``find`` raises but MicrophoneLost.
        """
        while True:
            listener = self._found(find)
            try:
                self._listen(listener)
                return
            except MicrophoneLost as error:
                self._lost(error)

    def _found(self, find: Callable[[], Listener]) -> Listener:
        while True:
            try:
                return find()
            except MicrophoneLost as error:
                self._lost(error)
                self._pause()

    def _lost(self, error: DeviceError) -> None:
        if not self._lacking:
            self._say(text("{error}; the gate waits for it", error=sentence(str(error))))
            self._door.show("fault")
        self._lacking = True
        if self._lender is not None:
            self._lender.end(str(error))

    def _pause(self) -> None:
        # A gate that waits for its microphone is alive: starting it again would find none either.
        self._heartbeat()
        self._feed.look()
        if self.reload.wait(RETRY):
            raise Reloaded

    def _listen(self, listener: Listener) -> None:
        self._gate.begin(listener.floor)
        self._listener = listener
        meter = Meter()
        told = ""
        for block in listener.blocks():
            if listener.name != told:  # another channel, too
                first, told = not told, listener.name
                self._say(text("listening to {microphone}", microphone=told))
                if first:
                    self._lacking = False
                    self._door.show("idle")
            if not self._is_lent(block, listener):
                self._hear(block)
            self._feed.hear(block, speaking=self._speaking)
            found = meter.hear(block, listener.overruns)
            if found:
                self._say(found)
            self._heartbeat()
            if self.reload.is_set():
                raise Reloaded

    def _is_lent(self, block: Samples, listener: Listener) -> bool:
        """Return whether a block is somebody else's; what was half said before or after is lost."""
        lent = self._lender is not None and self._lender.take(block, listener.name)
        if lent != self._lent:
            self._lent, self._speaking = lent, False
            self._gate.begin(listener.floor)
            self._say("the microphone is " + ("lent to an enrollment" if lent else "back"))
        return lent

    def _hear(self, block: Samples) -> None:
        answered = False
        with uninterrupted():  # what opened is written down before a signal ends the program
            for answer in self._gate.hear(block):
                answered = True
                self._tell(answer)
                if answer.not_opened:
                    self._say(answer.not_opened)
                    self._door.show("fault")
                elif not answer.decision.opens:  # that it is open the door shows by itself
                    self._door.show(SHOWN[answer.decision.verdict])
        if self._gate.speaking != self._speaking:
            self._speaking = self._gate.speaking
            if self._speaking:
                self._door.show("listening")
            elif not answered:
                self._door.show("idle")
