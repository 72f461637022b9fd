"""``kaimen-train export``: a trained encoder becomes the file that a gate loads."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from kaimen.voice import SHIPPED, SMALL
from kaimen.voice.encoder import Card
from kaimen_train import cards
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train export speech/manifest.csv --out edge/kaimen/models/encoder.tflite"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.model(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the one that ships")


def run(arguments: argparse.Namespace) -> int:
    """Quantize the encoder, write it with its card, measure it on the eval split."""
    from kaimen_train.encoder.export import export
    from kaimen_train.evaluation.evaluate import embedded, evaluate, hear, of_encoder
    from kaimen_train.networks import LARGE, RUNGS

    rows = read_manifest(arguments.manifest)
    large = arguments.model == "large"
    out = arguments.out or (SHIPPED if large else SMALL)
    export(rows, arguments.folder, LARGE if large else RUNGS["deep"], out)
    figures = evaluate(embedded(hear(rows), of_encoder(out)))
    card = Card.read(out.with_suffix(".json"))
    card = cards.add_measured(card, out, without_curves(figures))
    Console().print_json(data=asdict(card))
    return 0


def without_curves(figures: Any) -> Any:
    """Return figures less the points of the DET curves: a card is for reading."""
    if not isinstance(figures, dict):
        return figures
    return {key: without_curves(value) for key, value in figures.items() if key != "det"}
