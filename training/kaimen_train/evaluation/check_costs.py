"""What the checks cost beside the encoder, on students' phrases beside their own other takes.

A student's own takes are nearer to each other than to what others say, and looked at more closely.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from kaimen.bench.phrase import STORED, checks, voice
from kaimen.screen import Screen
from kaimen.sound import Samples
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import RUNTIMES, Card
from kaimen.voice.features import log_mel
from kaimen_train.evaluation.protocols import Name
from kaimen_train.progress import track

VISITS = 28  # at most


def measure(names: Sequence[Name], phrases: Sequence[Samples]) -> list[dict[str, Any]]:
    """Return median milliseconds by runtime, and the checks' shares of the encoder's time.

    Of phrases that fill one of the encoder's windows at most, and of longer ones, which take it
    twice the time.
    """
    screen = Screen(as_json=True)  # a runtime that is missing has no row, which says enough
    said: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for (text, speaker, _), sound in zip(names, phrases, strict=True):
        said[speaker, text].append(sound)
    visits = []
    for (speaker, text), (sound, *same) in said.items():
        # The same phrase first: it is what would be stored.
        rest = [each for other, own in said.items() if other[0] == speaker for each in own
                if other[1] != text]  # fmt: skip
        if len(same) + len(rest) >= STORED:
            visits.append((sound, [*same, *rest][:STORED]))
    random = np.random.default_rng(0)
    chosen = [visits[at] for at in random.permutation(len(visits))[:VISITS]]
    window = Card.read(SHIPPED.with_suffix(".json")).frames
    taken: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sound, own in track(chosen, "timing the checks"):
        windows = -(-len(log_mel(sound)) // window)
        timed = voice(SHIPPED, sound, screen) | checks(sound, own, screen)
        for name, seconds in timed.items():
            taken[windows][name].append(1000 * seconds)
    rows = []
    for windows, each in sorted(taken.items()):
        medians = {name: float(np.median(values)) for name, values in each.items()}
        phrases_of = len(next(iter(each.values())))
        rows += [
            {"windows": windows, "phrases": phrases_of, **_row(medians, runtime)}
            for runtime in RUNTIMES
            if _encoder(runtime) in medians
        ]
    return rows


def _encoder(runtime: str) -> str:
    return f"features and encoder, {runtime}"


def _row(taken: dict[str, float], runtime: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "runtime": runtime,
        "encoder": taken[_encoder(runtime)],
        "words": taken[f"phrase check, {runtime}"],
        "loudspeaker": taken["loudspeaker detector"],
        "replay_5": taken["replay memory, 5 stored"],
        f"replay_{STORED}": taken[f"replay memory, {STORED} stored"],
    }
    for stored in (5, STORED):
        asked = found["words"] + found["loudspeaker"] + found[f"replay_{stored}"]
        found[f"share_{stored}"] = asked / found["encoder"]
    return found
