"""``kaimen-train phrase``: the phrase encoder, trained, exported and measured."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from kaimen.voice import PHRASE
from kaimen.voice.encoder import Encoder
from kaimen_train import cards
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train phrase speech/manifest.csv --steps 9000"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    parser.add_argument("--steps", type=int, default=9_000, help="batches (default 9000)")
    parser.add_argument("--out", type=Path, default=PHRASE, help="the .tflite to write")


def run(arguments: argparse.Namespace) -> int:
    """Train it, or go on with a run that was interrupted; write it with its card."""
    from kaimen.voice.phrase import PhraseEncoder
    from kaimen_train.phrase.fit import PhrasePlan, export, fit
    from kaimen_train.phrase.protocol import cost, evaluate

    rows = read_manifest(arguments.manifest)
    fit(rows, arguments.folder, PhrasePlan(steps=arguments.steps))
    export(rows, arguments.folder, arguments.out)
    encoder = PhraseEncoder(arguments.out)
    figures = {**evaluate(rows, encoder), "adds_of_time": cost(encoder, Encoder())}
    card = cards.add_measured(encoder.card, arguments.out, {"eval": figures})
    Console().print_json(data=asdict(card))
    return 0
