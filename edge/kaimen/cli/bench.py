"""``kaimen bench``: how fast each part is, as ratios within one run."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from kaimen.bench import daemon, growth, phrase, school, search, synthetic
from kaimen.bench.engines import PEERS
from kaimen.cli.options import add_file
from kaimen.enrollment.entries import recordings_in
from kaimen.errors import EncoderError, SettingsError
from kaimen.installation import Installation
from kaimen.rehearsal import RECORDINGS
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.voice.encoder import Encoder

SIZES = (1_000, 10_000, 100_000, 1_000_000)  # points of the schools
LARGEST = 100_000  # unless somebody asks for more
ENROLLED = 5  # recordings of a student
PROBES = 31_000  # of each school's students: with none missed, a recall of 0.9999 (rule of three)
TAKES = 10  # of a student, at most: more of the same tell little more
STRANGERS = 1_000  # who come, too
CALIBRATED = 100_000  # points above which calibrating takes hours

EXAMPLE = """example:
  kaimen bench
  kaimen bench --daemon 100         (seven minutes)
  kaimen bench --points 10000       (minutes less: no larger school)
  kaimen bench --points 1000000 --peer faiss --figure growth.svg    (half an hour)

The schools are synthetic: drawn from what was measured of real voices. Times depend on the
machine and what else it does; compare within one run, where all parts take turns."""

Figures = dict[str, Any]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--points", type=int, default=LARGEST, help=f"of the largest school (default {LARGEST})"
    )
    parser.add_argument(
        "--probes", type=int, default=PROBES, help=f"for recall, at most (default {PROBES})"
    )
    parser.add_argument(
        "--peer",
        choices=PEERS,
        action="append",
        help="search beside this one, too (default: all of them)",
    )
    parser.add_argument(
        "--daemon",
        type=int,
        metavar="PHRASES",
        help="nothing but the whole daemon, in its own time, four seconds a phrase",
    )
    add_file(parser, "--figure", "draw how search grows, as an SVG")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Measure and show."""
    settings = Settings.read(arguments.config)
    if arguments.points < 2 * ENROLLED or arguments.probes < 1:
        raise SettingsError(f"--points must be at least {2 * ENROLLED}, --probes at least 1")
    encoder = Installation.open(settings, screen).encoder
    population = _population(encoder, screen)
    files = sorted(file for files in recordings_in(RECORDINGS).values() for file in files)
    if arguments.daemon is not None:
        measured = daemon.measure(encoder, files, arguments.daemon, screen.say)
        _show([measured], _DAEMON, "from the last speech sample to the relay", screen)
        return 0
    parts = phrase.parts(str(encoder.path), files, screen)
    _show(parts, _PARTS, "a phrase", screen)
    bulk = phrase.bulk(encoder, files, screen)
    _show([bulk], _BULK, "recordings, one after another", screen)
    schools, everything = [], []
    for points in _sizes(arguments.points):
        searched, kept = _measure(population, points, arguments, settings, encoder, files, screen)
        _show(searched, _SEARCH, f"search among {points:,} points", screen)
        schools.append(kept)
        everything += searched
    _show(schools, _SCHOOL, "a school", screen)
    if arguments.figure:
        growth.draw(everything, arguments.figure)
    return 0


def _population(encoder: Encoder, screen: Screen) -> synthetic.Population:
    population = synthetic.load()
    if population.dimension != encoder.card.dimension:
        raise EncoderError(
            f"synthetic schools have {population.dimension} dimensions and this encoder "
            f"{encoder.card.dimension}; bench it after 'kaimen-train school --fit'"
        )
    if population.encoder != encoder.identity:
        screen.say(
            "synthetic schools are like another encoder's voiceprints; times hold, recall and "
            "errors may not: run 'kaimen-train school --fit'"
        )
    return population


def _sizes(largest: int) -> list[int]:
    """Return the usual sizes up to the largest, and that one."""
    smaller = [size for size in SIZES if size < largest]
    return [*smaller, largest // ENROLLED * ENROLLED]


def _measure(
    population: synthetic.Population,
    points: int,
    arguments: argparse.Namespace,
    settings: Settings,
    encoder: Encoder,
    files: Sequence[Path],
    screen: Screen,
) -> tuple[list[Figures], Figures]:
    """Measure one school: how it is searched, and what it costs to keep."""
    students = points // ENROLLED
    takes = min(TAKES, -(-arguments.probes // students))
    screen.say(f"a synthetic school of {students:,} students")
    everything = population.draw(students + 1, ENROLLED + takes, seed=points)
    own = np.ascontiguousarray(everything[:-1, :ENROLLED])
    strangers = population.draw(STRANGERS, 1, seed=points + 1)[:, 0]
    probes, newcomer = everything[:-1, ENROLLED:], everything[-1, :ENROLLED]
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as folder:
        kept = school.enroll(own, Path(folder), encoder, screen)
        peers = arguments.peer or list(PEERS)
        searched = search.measure(
            kept.gallery, own, probes, strangers, peers, screen, arguments.probes
        )
        figures = {
            "part": "school",
            "points": points,
            **kept.taken,
            **school.opened(kept, str(encoder.path), settings.encoder.runtime),
            **school.decided(kept, encoder, files, screen),
        }
        if points <= CALIBRATED:
            figures |= school.calibrated(kept, encoder, screen)
        figures |= school.swapped(kept, newcomer, probes[0, 0])
        kept.gallery.registry.close()
    return searched, figures


# What a table shows of the figures: a heading, the figure's name, and how it is written.
_Columns = Sequence[tuple[str, str, str]]
_PARTS: _Columns = (
    ("part", "part", "{}"),
    ("ms", "p50_ms", "{:.2f}"),
    ("times as fast as the sound", "times_as_fast_as_sound", "{:.0f}"),
)
_BULK: _Columns = (
    ("recordings", "recordings", "{}"),
    ("features a second", "features_per_second", "{:.0f}"),
    ("enrolled a second", "enrolled_per_second", "{:.0f}"),
    ("ratio", "enrolled_of_features", "{:.2f}"),
)
_DAEMON: _Columns = (
    ("phrases", "phrases", "{}"),
    ("opened", "opened", "{}"),
    ("p50 ms", "relay_p50_ms", "{:.0f}"),
    ("p99 ms", "relay_p99_ms", "{:.0f}"),
    ("all but listening, p50 ms", "but_listening_p50_ms", "{:.1f}"),
    ("p99 ms", "but_listening_p99_ms", "{:.1f}"),
)
_SEARCH: _Columns = (
    ("by", "by", "{}"),
    ("p50 ms", "p50_ms", "{:.3f}"),
    ("p99 ms", "p99_ms", "{:.3f}"),
    ("of the scan", "of_scan", "{:.3f}"),
    ("recall", "recall", "{:.5f}"),
    ("breadth", "breadth", "{}"),
    ("built in s", "build_seconds", "{:.1f}"),
)
_SCHOOL: _Columns = (
    ("points", "points", "{:,}"),
    ("enroll s", "enroll_seconds", "{:.1f}"),
    ("index s", "index_seconds", "{:.1f}"),
    ("save s", "save_seconds", "{:.2f}"),
    ("breadth", "breadth", "{}"),
    ("load s", "load_gallery_seconds", "{:.2f}"),
    ("MB resident", "resident_megabytes", "{:.0f}"),
    ("calibrate s", "calibrate_seconds", "{:.1f}"),
    ("swap s", "swap_seconds", "{:.2f}"),
    ("decision p50 ms", "decision_p50_ms", "{:.2f}"),
    ("p99", "decision_p99_ms", "{:.2f}"),
)


def _show(
    found: Sequence[Mapping[str, Any]], columns: _Columns, title: str, screen: Screen
) -> None:
    """An object each for a program, one table for a person."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, (heading, _, _) in enumerate(columns):
        table.add_column(heading, justify="right" if number else "left")
    for figures in found:
        screen.result(dict(figures))
        table.add_row(
            *(form.format(figures[name]) if name in figures else "" for _, name, form in columns)
        )
    screen.show(table)
