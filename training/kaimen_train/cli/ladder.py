"""``kaimen-train ladder``: every rung, trained, exported and measured."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train ladder speech/manifest.csv --figure ladder.svg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.encoder(parser, SMALL, "the deep encoder, made by 'fit' and 'export'")
    options.figure(parser)
    options.as_json(parser, "one JSON object a rung")


def run(arguments: argparse.Namespace) -> int:
    """Climb the ladder and show every rung."""
    from kaimen_train.encoder.ladder import climb
    from kaimen_train.evaluation.report import draw_ladder

    Encoder(arguments.encoder)
    steps = climb(read_manifest(arguments.manifest), arguments.folder, arguments.encoder)
    if arguments.figure:
        draw_ladder(steps, arguments.figure)
    return options.answer(arguments, [asdict(step) for step in steps], tables.ladder(steps))
