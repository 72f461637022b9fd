"""``kaimen-train speed``: how long a phrase takes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from kaimen.voice.encoder import Encoder
from kaimen_train.cli import options
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train speed --peer ge2e"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.encoder(parser)
    options.weights(parser)
    parser.add_argument(
        "--peer", choices=("ge2e", "campplus"), action="append", default=[], help="a peer, too"
    )
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Time the phrase everywhere and show the milliseconds."""
    from kaimen_train.encoder.export import from_weights
    from kaimen_train.encoder.speed import measure

    card = Encoder(arguments.encoder).card
    with tempfile.TemporaryDirectory() as scratch:
        float32 = from_weights(arguments.weights, card, Path(scratch, "float32.tflite"))
        taken = measure(arguments.encoder, float32, arguments.peer)
    return options.answer(arguments, [taken], tables.speed(taken))
