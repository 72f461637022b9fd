"""A candidate listens along: the new bundle scores what is said at the gate, the old one decides.

It hears in a thread of its own, after the answer was given, and whatever it cannot keep up with it
misses: nobody waits for it. When it has heard enough, it becomes the active one or is done with. A
candidate that fails ends its trial and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kaimen.bundle.bundle import Manifest
from kaimen.bundle.slots import Slots, SlotsState
from kaimen.bundle.trial import CRASHES, Trial
from kaimen.closing import Closing
from kaimen.errors import KaimenError
from kaimen.gate.gate import Answer
from kaimen.rollout.candidate import Candidate

WAITING = 8  # phrases, at most; those that a slow machine cannot keep up with are missed
PAUSE = 0.2  # seconds between looks whether it is to end
PATIENCE = 2.0  # seconds that its end is waited for
NICE = 10  # so much lower its thread stands than the gate's own


class _Over(Exception):
    """The trial is no more: it was ended, or another one began."""


class Shadow(Closing):
    """Lets a candidate hear what the gate hears, while a trial lasts; a context manager."""

    def __init__(self, slots: Slots, begin: Callable[[Path], Candidate]) -> None:
        """``begin`` makes the candidate of a slot's folder, in its thread: that takes time, too."""
        self.ended = ""  # how the trial ended, in a sentence
        self._slots = slots
        self._begin = begin
        self._waiting: queue.Queue[Answer] = queue.Queue(WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._asked = False  # whether the next phrase is a word, and no passphrase
        self._let_in: str | None = None  # by the candidate, with the phrase before
        self._began = ""  # when the trial began that is this one's
        self._named = "the new bundle"

    def __enter__(self) -> Shadow:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening along."""
        self._stop.set()
        self._thread.join(PATIENCE)

    def hear(self, answer: Answer) -> None:
        """Take in a phrase that was answered. Returns at once."""
        word, self._asked = self._asked, bool(answer.decision.ask)
        # Who was not looked for, or said a word of a challenge, is nothing to compare by.
        if answer.decision.nearest and not word and self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(answer)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # where a service may not, all are alike
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            self._listen()
        except _Over:
            return
        except Exception as error:  # whatever it was: the gate goes on
            said = str(error) or type(error).__name__
            self._conclude(f"it failed ({said})")

    def _listen(self) -> None:
        state = self._slots.change(_begun)
        trial = state.trial
        if trial is None:
            return
        self._began = trial.began
        if trial.begun > CRASHES:
            self._conclude(f"the gate ended {CRASHES} times while it listened along")
            return
        bundle = self._slots.opened(trial.slot, state)
        self._named = f"{bundle.manifest.name} (version {bundle.manifest.version})"
        candidate = self._begin(bundle.path)
        try:
            while not trial.over:
                if self._stop.is_set():
                    self._change(lambda state, trial: replace(state, trial=replace(trial, begun=0)))
                    return
                with contextlib.suppress(queue.Empty):
                    trial = self._compare(candidate, self._waiting.get(timeout=PAUSE))
            refusal = candidate.refusal(trial) if trial.passed else trial.told
            self._conclude(refusal, trial, bundle.manifest)
        finally:
            candidate.close()

    def _compare(self, candidate: Candidate, answer: Answer) -> Trial:
        decision = answer.decision
        # Who is asked for words was let in as far as the passphrase goes.
        active = decision.nearest[0].student if decision.opens or decision.ask else None
        new = candidate.decide(answer.phrase.samples, decision.claim).student
        before, self._let_in = self._let_in, new
        if decision.pooled is not None and new is None and before == active:
            new = before  # the candidate had let them in by the first of the two tries

        def count(state: SlotsState, trial: Trial) -> SlotsState:
            heard = replace(trial.after(active, new), begun=min(1, trial.begun))
            return replace(state, trial=heard)

        trial = self._change(count).trial
        assert trial is not None
        return trial

    def _change(self, how: Callable[[SlotsState, Trial], SlotsState]) -> SlotsState:
        """Change the state while the trial is this one's. Raises _Over, and KaimenError."""

        def change(state: SlotsState) -> SlotsState:
            if state.trial is None or state.trial.began != self._began:
                raise _Over
            return how(state, state.trial)

        return self._slots.change(change)

    def _conclude(
        self, refusal: str, trial: Trial | None = None, manifest: Manifest | None = None
    ) -> None:
        """Make the candidate the active one, unless there is a reason why not."""

        def end(state: SlotsState, _: Trial) -> SlotsState:
            if refusal or trial is None or manifest is None:
                said = f"{self._named} is not taken over: {refusal}; what was active stays"
                return replace(state, trial=None, said=said)
            said = f"{self._named} is active from now on: {trial.told}"
            return state.switched(trial.slot, manifest.version, said)

        try:
            self.ended = self._change(end).said
        except _Over:
            return
        except KaimenError as error:
            self.ended = f"the trial of {self._named} could not be ended: {error}"


def _begun(state: SlotsState) -> SlotsState:
    trial = state.trial
    return state if trial is None else replace(state, trial=replace(trial, begun=trial.begun + 1))
