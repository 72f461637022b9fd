"""Plays phrases to the emulated Pi, and says whether its pin went on for whom it should."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from pi import PATIENCE, Pi, PiError, Pulse, Watch
from report import Report

LEASE = 3.0  # seconds, as in kaimen.toml beside this
TOLERANCE = 0.1  # seconds
STARTING = 240.0 * PATIENCE  # seconds until the service listens
SETTLING = 20.0 * PATIENCE  # seconds after a phrase in which it is answered: the emulator is slow
MORE = 4.0 * PATIENCE  # seconds after an answer in which there may be another
EVERY = 0.5  # seconds between two questions
# The same by the Pi's own clock, by which it is not slow; each question costs it instructions.
OWN_SETTLING, OWN_MORE, OWN_EVERY = 6.0, 2.0, 2.0
NOBODY = ("stranger", "noise")  # who may not get in whatever a gate here says

PLAY = "aplay -q -D plughw:Loopback,0,0"
# Both are up and the microphone is open; a gate whose door was killed ends, and begins anew.
LISTENING = (
    "systemctl is-active -q kaimen-door && systemctl is-active -q kaimen-gate"
    " && grep -q RUNNING /proc/asound/Loopback/pcm1c/sub0/status"
)
STEADY = 4.0  # seconds for which it must be so
TRIES = 3  # at a phrase that is heard in pieces: the emulated card drops sound now and then
JOURNAL = "journalctl -q -u kaimen-gate -o cat --cursor-file=/run/answered"
# What the gate tells its watchers; a new one is told at once.
FEED = """/opt/kaimen/bin/python -c '
import socket
feed = socket.socket(socket.AF_UNIX)
feed.settimeout(30)
feed.connect("/run/kaimen-gate/feed")
print(next(line for line in feed.makefile() if "overruns" in line))'"""


def wait_until_it_listens(pi: Pi, report: Report) -> None:
    """The services are up, and the microphone is open."""
    began = since = pi.now()
    while pi.now() - since < STEADY:
        if pi.attempt(LISTENING)[0]:
            since = pi.now()
        if pi.now() - began > STARTING:
            raise PiError("the service does not listen:\n" + pi.run(f"{JOURNAL} | tail -n 20"))
        pi.wait(OWN_EVERY if pi.own_clock else EVERY)
    report.say(f"the service listens, {since - began:.0f} s later")


def play_all(pi: Pi, watch: Watch, report: Report, kind: str, wanted: Sequence[bool]) -> None:
    """Phrases of one kind, one after the other, and whether the pin went on where it should.

    By the Pi's own clock nothing excuses a phrase that came in pieces, so it is played once; how
    long the pin was on is not judged, since it is read by another clock.
    """
    heard = 0
    opened, visits = [], []
    pi.run(JOURNAL)  # what was said before is not asked for again
    for number in range(1, len(wanted) + 1):
        began = time.monotonic()
        for _ in range(1 if pi.own_clock else TRIES):
            pi.run(f"{PLAY} /opt/phrases/{kind}/{number:02}.wav")
            ended = time.monotonic()
            answers = answered(pi)
            if kind == "noise" or len(answers) == 1 or watch.since(began):
                break
        if not watch.wait_until(False, (LEASE + SETTLING) * pi.slower):
            report.check(False, f"{kind} {number}: the pin is off again")
        pulses = watch.since(began)
        visit = {"answers": [[each.get("verdict"), each.get("score")] for each in answers]}
        if not pi.own_clock:
            visit |= _timed(report, f"{kind} {number}", ended, answers, pulses)
        opened.append(bool(pulses))
        heard += bool(answers)
        visits.append(visit)
        report.say(f"   {kind} {number}: {'opened' if pulses else 'shut'} {json.dumps(visit)}")
    report.found[kind] = visits
    # Nobody is turned away by a gate that did not listen.
    listened = heard == len(wanted) or kind == "noise"
    alike = sum(there == ours for there, ours in zip(opened, wanted, strict=True))
    report.check(
        alike == len(wanted) and listened and not (kind in NOBODY and any(opened)),
        f"{kind}: {sum(opened)} of {len(wanted)} opened, {alike} as here; {heard} were heard "
        "as a phrase",
    )


def _timed(
    report: Report,
    name: str,
    ended: float,
    answers: Sequence[dict[str, Any]],
    pulses: Sequence[Pulse],
) -> dict[str, Any]:
    """Require that the pin was on no longer than its lease; return when, in seconds."""
    # A phrase that was heard as two opens twice, and the second begins a new lease.
    most = LEASE * max(1, sum(each["verdict"] == "open" for each in answers)) + TOLERANCE
    if any(pulse.seconds > most for pulse in pulses):
        report.check(False, f"{name}: on no longer than its lease")
    return {
        "after": pulses[0].began - ended if pulses else None,
        "on": [pulse.seconds for pulse in pulses],
    }


def answered(pi: Pi) -> list[dict[str, Any]]:
    """What the service decided since it was last asked, once it has, and has no more to say."""
    settling, more, every = (
        (OWN_SETTLING, OWN_MORE, OWN_EVERY) if pi.own_clock else (SETTLING, MORE, EVERY)
    )
    answers: list[dict[str, Any]] = []
    until = pi.now() + settling
    while pi.now() < until:
        pi.wait(every)
        new = [each for each in objects_in(pi.run(JOURNAL)) if "verdict" in each]
        if new:
            answers += new
            until = pi.now() + more
    return answers


def dropped(pi: Pi) -> int:
    """Return how often sound was dropped since the gate opened its microphone, as it tells."""
    return int(objects_in(pi.run(FEED))[-1]["overruns"])


def objects_in(text: str) -> list[dict[str, Any]]:
    """The JSON objects among the lines; systemd's own lines are left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            found.append(json.loads(line))
    return found
