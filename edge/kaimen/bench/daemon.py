"""The whole daemon in its own time: from the last speech sample to the relay's pin.

A recording of students' phrases plays in the microphone's place; the door is a process of its
own with simulated pins, whose trace says when the relay was switched. Both read one clock.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.access.decision import Thresholds
from kaimen.access.policy import AccessPolicy
from kaimen.bench.timing import percentiles
from kaimen.door.client import Door
from kaimen.gallery.gallery import Gallery
from kaimen.gate.daemon import Daemon
from kaimen.gate.gate import Answer, Gate
from kaimen.gate.heartbeat import Heartbeat
from kaimen.settings import DoorSettings
from kaimen.settings.door import PIN
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.played import Played
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder

LEASE = 0.3  # seconds: over before the next phrase ends
IDLE = 60.0  # seconds in which nobody comes
PAUSE = 1.0  # seconds between phrases
ROOM = -70.0  # dB, of the noise between


def measure(
    encoder: Encoder, files: Sequence[Path], phrases: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Milliseconds to the pin of ``phrases`` phrases of these recordings, one after another."""
    sounds = [read(file) for file in files[:: max(1, len(files) // phrases)][:phrases]]
    gallery = Gallery(encoder.identity, encoder.card.dimension)
    for number, sound in enumerate(sounds):
        gallery.enroll(f"s{number}", [encoder.embed(main_phrase(sound).samples)])
    played = Played(_stream([sounds[number % len(sounds)] for number in range(phrases)]))
    say(f"{phrases} phrases in their own time: {played.seconds / 60:.1f} minutes")
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as folder:
        trace = Path(folder) / "trace"
        with Door.start(DoorSettings(mock=True, lease=LEASE), trace=trace) as door:
            gate = Gate(encoder, AccessPolicy(gallery, Thresholds(0.5, 0.5)), door)
            heartbeat = Heartbeat(gate.rehearse, door.alive)
            service = Daemon(gate, door, heartbeat, tell=answers.append, say=say)
            service.run(lambda: played)
            door.wait_for_rest()
            say(f"{IDLE / 60:.0f} minute of an empty room")
            room = Played(_stream([np.zeros(round(IDLE * SAMPLE_RATE), np.float32)]))
            before = _processor_seconds()
            service.run(lambda: room)
            idle = (_processor_seconds() - before) / room.seconds
        switched = _switched_on(trace)
    opened = [answer.phrase for answer in answers if answer.decision.opens]
    begun = [on - played.began for on in switched]
    pairs = list(zip(begun, opened, strict=True))
    whole = [on - phrase.end / SAMPLE_RATE for on, phrase in pairs]
    after = [on - phrase.heard / SAMPLE_RATE for on, phrase in pairs]
    return {
        "part": "daemon",
        "phrases": phrases,
        "opened": len(opened),
        "idle_of_one_core": idle,
        **{f"relay_{name}": value for name, value in percentiles(whole).items()},
        **{f"but_listening_{name}": value for name, value in percentiles(after).items()},
    }


def _stream(sounds: Sequence[Samples]) -> Samples:
    pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
    dry = np.concatenate([pause, pause, *(part for sound in sounds for part in (sound, pause))])
    room = np.random.default_rng(0).standard_normal(len(dry)) * 10 ** (ROOM / 20)
    stream: Samples = dry + room.astype(np.float32)
    return stream


def _processor_seconds() -> float:
    """Return what this process and its door have used so far."""
    numbers = [os.getpid(), *map(int, Path("/proc/thread-self/children").read_text().split())]
    # Times are the 14th and 15th field; the second may hold anything, but ends with a bracket.
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in numbers]
    ticks: int = os.sysconf("SC_CLK_TCK")
    return sum(int(each[11]) + int(each[12]) for each in fields) / ticks


def _switched_on(trace: Path) -> list[float]:
    """Return when the relay went on, in monotonic seconds."""
    changes = [line.split() for line in trace.read_text().splitlines()]
    return [float(at) for at, pin, level in changes if int(pin) == PIN and level == "1"]
