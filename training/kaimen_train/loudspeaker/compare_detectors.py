"""Which detector hears a one-second word? Levels against two well-kept libraries.

``python -m kaimen_train.loudspeaker.compare_detectors [MANIFEST]`` prints, by corpus, the share of
recordings in which each detector finds at least 0.12 s of speech: it should be all of the words,
and none of the noise. Needs the extra ``bench``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.endpoint import SHORTEST
from kaimen.sound.recording import phrases, read
from kaimen_train.data.corpus import MANIFEST, NOISE, Row, read_manifest

EACH = 150  # recordings of a corpus
ROOM = 1e-4  # noise before and after, half a second each: a detector needs a start
FRAME = 160  # samples: 10 ms


def levels(samples: Samples) -> bool:
    """The gate's own endpointing."""
    return bool(phrases(samples))


def micro_vad(samples: Samples) -> bool:
    """pymicro-vad, a small network, at its usual threshold."""
    from pymicro_vad import MicroVad

    detector = MicroVad()
    return _enough([detector.process_10ms(frame) > 0.5 for frame in _frames(samples)])


def webrtc(samples: Samples) -> bool:
    """WebRTC's Gaussian mixtures, at their strictest."""
    import webrtcvad

    detector = webrtcvad.Vad(3)
    return _enough([detector.is_speech(frame, SAMPLE_RATE) for frame in _frames(samples)])


def _frames(samples: Samples) -> list[bytes]:
    whole = (samples * 32767).astype("<i2")[: len(samples) // FRAME * FRAME]
    return [frame.tobytes() for frame in whole.reshape(-1, FRAME)]


def _enough(speech: list[bool]) -> bool:
    return sum(speech) * FRAME >= SHORTEST * SAMPLE_RATE


def _heard(row: Row, random: np.random.Generator) -> Samples:
    samples = read(row.file, longest=None)[: 6 * SAMPLE_RATE]
    padded = np.pad(samples, SAMPLE_RATE // 2)
    heard: Samples = (padded + ROOM * random.standard_normal(len(padded))).astype(np.float32)
    return heard


def main() -> None:
    """Compare the detectors on words and on noise."""
    rows = read_manifest(Path(sys.argv[1]) if len(sys.argv) > 1 else MANIFEST)
    detectors: list[Callable[[Samples], bool]] = [levels, micro_vad, webrtc]
    table = Table("corpus", "recordings", *(d.__name__ for d in detectors), box=None)
    taken = dict.fromkeys(detectors, 0.0)
    seconds = 0.0
    random = np.random.default_rng(0)
    for corpus in ("mandarin20", "arabic40", "commands", NOISE):
        split = "train" if corpus == NOISE else "eval"
        chosen = [row for row in rows if (row.corpus, row.split) == (corpus, split)]
        picked = random.choice(len(chosen), min(EACH, len(chosen)), replace=False)
        found = dict.fromkeys(detectors, 0)
        for index in picked:
            samples = _heard(chosen[index], random)
            seconds += len(samples) / SAMPLE_RATE
            for detector in detectors:
                began = time.perf_counter()
                found[detector] += detector(samples)
                taken[detector] += time.perf_counter() - began
        shares = [f"{found[detector] / len(picked):.1%}" for detector in detectors]
        table.add_row(corpus, str(len(picked)), *shares)
    cost = [f"{1000 * taken[detector] / seconds:.1f}" for detector in detectors]
    table.add_row("ms a second", "", *cost)
    Console().print(table)


if __name__ == "__main__":
    main()
