"""``kaimen-train coach``: the chance of being turned away, predicted and measured."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train coach speech/manifest.csv --figure docs/figures/coach.svg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.encoder(parser)
    options.figure(parser, "draw predicted against measured chances as an SVG")
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the takes, fit, and show what is predicted and what came of it."""
    from kaimen.voice.encoder import Encoder
    from kaimen_train.evaluation import coach_report
    from kaimen_train.evaluation.coach_protocol import evaluate
    from kaimen_train.evaluation.coach_takes import takes_of

    others = Encoder(arguments.encoder).card.strangers
    table = takes_of(read_manifest(arguments.manifest), arguments.folder, arguments.encoder)
    found = evaluate(table, others)
    if arguments.figure:
        coach_report.draw(found, arguments.figure)
    return options.answer(arguments, [found], coach_report.tables(found))
