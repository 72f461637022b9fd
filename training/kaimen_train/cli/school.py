"""``kaimen-train school``: a synthetic school, drawn from voices as they were measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kaimen.bench import synthetic
from kaimen.bench.synthetic import Population
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen_train.cli import options
from kaimen_train.data.corpus import Row, read_manifest
from kaimen_train.evaluation import tables

Answer = tuple[Iterable[Any], Iterable[Table]]  # for a program, and for people

EXAMPLE = """example:
  kaimen-train school speech/manifest.csv --fit --figure school.svg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    parser.add_argument("--students", type=int, default=20_000, help="default 20000")
    parser.add_argument("--recordings", type=int, default=5, help="of each (default 5)")
    parser.add_argument(
        "--fit", action="store_true", help="measure the training speakers' voices anew"
    )
    parser.add_argument(
        "--model", choices=synthetic.MODELS, help="what draws it (default: diffusion)"
    )
    parser.add_argument(
        "--compare", action="store_true", help="the models against each other and real voices"
    )
    parser.add_argument(
        "--check", action="store_true", help="what calibrations promise against what comes true"
    )
    parser.add_argument(
        "--check-voices", action="store_true", help="the same with the voices of the eval split"
    )
    options.figure(parser, "draw it beside the eval split as an SVG")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the school as an .npz")
    options.as_json(parser, "one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Draw the school, or compare or check what draws it, and show the figures."""
    from kaimen_train.school import school

    needed = arguments.fit or arguments.figure or arguments.check_voices or arguments.compare
    rows = read_manifest(arguments.manifest) if needed else []
    encoder = Encoder()
    if arguments.fit:
        from kaimen_train.autoencoder import generate

        fitted = generate.fit(*school.embed(rows, arguments.folder, encoder), encoder.identity)
        fitted.turned().save(synthetic.SHIPPED)
    population = synthetic.load(synthetic.SHIPPED, arguments.model)
    if population.encoder != encoder.identity:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        said.print("measured of another encoder's voiceprints; measure them anew with --fit")
    if arguments.out:
        school.write(population, arguments.students, arguments.recordings, arguments.out)
    if arguments.compare:
        found, shown = _compared(arguments, rows)
    elif arguments.check or arguments.check_voices:
        found, shown = _checked(arguments, rows, population, encoder)
    else:
        found, shown = _drawn(arguments, rows, population)
    return options.answer(arguments, found, shown)


def _compared(arguments: argparse.Namespace, rows: list[Row]) -> Answer:
    """Hold what draws schools against each other and real voices."""
    from kaimen_train.autoencoder.generate import report as comparison
    from kaimen_train.autoencoder.generate.compare import compare

    compared = compare(rows, arguments.folder)
    if arguments.figure:
        comparison.draw(compared, arguments.figure)
    return comparison.rows(compared), [comparison.table(compared)]


def _checked(
    arguments: argparse.Namespace, rows: list[Row], population: Population, encoder: Encoder
) -> Answer:
    """Hold what calibrations promise against what comes true."""
    from kaimen_train.evaluation.evaluate import embedded, hear, of_encoder
    from kaimen_train.school import forecast

    promises = {}
    if arguments.check:
        promises["synthetic"] = forecast.check(population, encoder.card, arguments.recordings)
    if arguments.check_voices:
        made = embedded(hear(rows), of_encoder(SHIPPED))
        each_of = forecast.check_voices(made, encoder.identity, encoder.card)
        promises |= {corpus: [promise] for corpus, promise in each_of.items()}
    found = [
        {"voices": voices, **promise.fields()}
        for voices, some in promises.items()
        for promise in some
    ]
    return found, tables.promises(found)


def _drawn(arguments: argparse.Namespace, rows: list[Row], population: Population) -> Answer:
    """Measure how alike the voices of a synthetic school are, and real ones where a figure is."""
    from kaimen_train.school import school

    every = {"synthetic": school.synthetic_pairs(population)}
    if arguments.figure:
        real = school.real_pairs(rows)
        school.draw_pairs(every["synthetic"], real, arguments.figure)
        every |= real
    found = [{"voices": name, **pairs.figures()} for name, pairs in every.items()]
    return found, tables.pairs(found)
