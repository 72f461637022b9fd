"""``kaimen-train endpointing``: what the gate's endpointing loses."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables
from kaimen_train.processes import one_pool

EXAMPLE = """example:
  kaimen-train endpointing speech/manifest.csv --every 5"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.encoder(parser)
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every Nth text of a corpus"
    )
    options.as_json(parser)


@one_pool()
def run(arguments: argparse.Namespace) -> int:
    """Measure what endpointing loses and show it."""
    from kaimen_train.evaluation.endpointing import measure
    from kaimen_train.evaluation.evaluate import of_encoder

    rows = read_manifest(arguments.manifest)
    found = measure(rows, of_encoder(arguments.encoder), nth=max(1, arguments.every))
    return options.answer(arguments, [found], tables.endpointing(found))
