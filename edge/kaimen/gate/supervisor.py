"""Keeps the gate's threads at work: none dies unseen, and none hangs unseen.

A thread that ends is said to have, and is begun again after a while; until it works again, nothing
opens. The daemon asks the same of all of them before it tells systemd that the gate is alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kaimen.closing import Closing
from kaimen.errors import KaimenError

FIRST_PAUSE = 1.0  # seconds before a thread that died is begun again; doubled each time
LONGEST_PAUSE = 8.0
LEAVING = 2.0  # seconds that a thread's end is waited for


@dataclass
class Pulse:
    """What a thread is given: it says how it goes, and learns when to stop."""

    name: str
    work: Callable[[Pulse], None]
    patience: float
    clock: Callable[[], float]
    stop: threading.Event
    tell: Callable[[str], None]
    heard: float  # monotonic seconds
    dead: bool = False
    pause: float = 0.0  # seconds before it is begun again
    said: str = ""  # why it ended last, until it is well again
    thread: threading.Thread = field(init=False)

    def alive(self) -> None:
        """Say that the work goes on."""
        self.heard = self.clock()

    def well(self) -> None:
        """Say that the work goes on and is up to date: a round of it was done."""
        self.heard = self.clock()
        if self.dead:
            self.dead, self.pause, self.said = False, 0.0, ""
            self.tell(f"the {self.name} works again")

    def wait(self, seconds: float) -> bool:
        """Sleep for some seconds, at most until the end; return whether that has come."""
        return self.stop.wait(seconds)

    @property
    def stopped(self) -> bool:
        """Return whether the work is to end."""
        return self.stop.is_set()

    @property
    def hangs(self) -> bool:
        """Return whether nothing was heard of the thread for too long."""
        return self.clock() - self.heard > self.patience


class Supervisor(Closing):
    """Runs threads for years; a context manager, whose end ends them."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        """``stop`` is what threads sleep on; a clock of another pace brings one of its own."""
        self._clock = clock
        self._stop = threading.Event() if stop is None else stop
        self._threads: list[Pulse] = []
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._hanging: set[str] = set()

    def start(self, name: str, work: Callable[[Pulse], None], *, patience: float) -> None:
        """Run ``work`` in a thread of its own until it is told to stop.

        ``work`` must say at least every ``patience`` seconds that it goes on. It is called anew
        whenever it raises, or returns before it was told to.
        """
        made = Pulse(name, work, patience, self._clock, self._stop, self.say, self._clock())
        made.thread = threading.Thread(target=self._run, args=[made], name=name, daemon=True)
        self._threads.append(made)
        made.thread.start()

    def close(self) -> None:
        """Tell all to stop, and wait for them a moment."""
        self._stop.set()
        for each in self._threads:
            each.thread.join(LEAVING)

    def unwell(self) -> str:
        """Return which threads do not work just now, in words; empty while all do."""
        found = []
        for each in self._threads:
            if each.dead or not each.thread.is_alive():
                found.append(f"the {each.name} ended")
            elif each.hangs:
                found.append(f"the {each.name} hangs")
        return ", ".join(found)

    def say(self, text: str) -> None:
        """Leave something for whoever asks for ``events``; from any thread."""
        self._events.put(text)

    def events(self) -> list[str]:
        """Return what was left, and what became of threads, since the last call; in its order."""
        for each in self._threads:
            if each.hangs != (each.name in self._hanging):
                self._hanging ^= {each.name}
                how = "hangs" if each.hangs else "works again"
                self._events.put(f"the {each.name} {how}")
        return [self._events.get() for _ in range(self._events.qsize())]

    def _run(self, thread: Pulse) -> None:
        while not thread.stopped:
            reason = self._work(thread)
            if thread.stopped:
                return
            thread.dead = True
            thread.alive()
            if reason != thread.said:
                thread.said = reason
                self._events.put(f"the {thread.name} ended ({reason}); it is begun again")
            thread.pause = min(LONGEST_PAUSE, 2 * thread.pause) or FIRST_PAUSE
            if thread.wait(thread.pause):
                return

    def _work(self, thread: Pulse) -> str:
        """Work until the thread ends; return why it did."""
        try:
            thread.work(thread)
        except KaimenError as error:
            return str(error)
        except BaseException as error:  # whatever it was, it must not pass unseen
            return f"{type(error).__name__}: {error}"
        return "without a reason"
