"""``kaimen bench``: how fast each part is, as ratios within one run."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from edge.commands import common
from edge.errors import EncoderError
from edge.gallery import Gallery
from edge.screen import Screen
from edge.sound import SAMPLE_RATE
from edge.sound.recording import phrases
from edge.voice import features
from edge.voice.encoder import RUNTIMES, Encoder

PHRASE = 1.5  # seconds of the sound that is measured on
SECONDS = 1.0  # that each part is measured for

EXAMPLE = """example:
  kaimen bench
  kaimen bench --students 20000

Times depend on the machine and what else it does; the last columns compare within this
run: how many times as fast as the sound itself, or as an exact scan, a part is."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--students", type=int, default=2_000, help="in the searched gallery")


@dataclass(frozen=True, slots=True)
class Part:
    """One measured part: its median time, and what it is compared with."""

    name: str
    seconds: float
    against: str
    reference: float  # seconds

    @property
    def ratio(self) -> float:
        """How many times as fast as the reference."""
        return self.reference / self.seconds


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Measure and show."""
    settings = common.settings_of(arguments)
    random = np.random.default_rng(0)
    # A phrase-long sound with pauses; what is said does not matter for time.
    loud = np.sin(np.arange(round(PHRASE * SAMPLE_RATE)) * 2 * np.pi * 4 / SAMPLE_RATE) > 0
    sound = (loud * 0.1 * random.standard_normal(len(loud))).astype(np.float32)
    parts = [
        Part("endpointing", _median(lambda: phrases(sound)), "the sound", PHRASE),
        Part("features", _median(lambda: features.log_mel(sound)), "the sound", PHRASE),
    ]
    for runtime in RUNTIMES:
        try:
            encoder = Encoder(settings.encoder.path, runtime=runtime)
        except EncoderError as error:
            screen.say(str(error))
            continue
        taken = _median(lambda encoder=encoder: encoder.embed(sound))  # type: ignore[misc]
        parts.append(Part(f"features and encoder, {runtime}", taken, "the sound", PHRASE))
    parts += _search(arguments.students, random, screen)
    table = Table("part", "median ms", "times as fast", "as", box=None, pad_edge=False)
    for part in parts:
        fields = {"part": part.name, "milliseconds": part.seconds * 1000, "ratio": part.ratio}
        screen.result({**fields, "against": part.against})
        table.add_row(part.name, f"{part.seconds * 1000:.2f}", f"{part.ratio:.1f}", part.against)
    if not screen.as_json:
        screen.out.print(table)
    return 0


def _search(students: int, random: np.random.Generator, screen: Screen) -> list[Part]:
    """Shortlist and scores against a scan of all points; synthetic voiceprints, five a student."""
    dimension = 192
    gallery = Gallery("synthetic", dimension)
    for student in screen.progress(range(students), "drawing students", students):
        centre = random.standard_normal(dimension)
        points = centre + 0.5 * random.standard_normal((5, dimension))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        gallery.enroll(f"s{student:06d}", list(points.astype(np.float32)))
    probe = gallery.voiceprints("s000000")[0]
    screen.say(f"building the index of {gallery.recordings} voiceprints")
    gallery.nearest(probe)
    everybody = np.concatenate([gallery.voiceprints(student) for student in gallery.students])
    scan = _median(lambda: np.argmax(everybody @ probe))
    shortlist = _median(lambda: gallery.nearest(probe))
    return [Part(f"search among {students} students", shortlist, "an exact scan", scan)]


def _median(work: Callable[[], object]) -> float:
    """Median seconds of a piece of work, measured for about SECONDS, at least five times."""
    work()
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < SECONDS:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
