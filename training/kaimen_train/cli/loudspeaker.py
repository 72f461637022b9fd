"""``kaimen-train loudspeaker``: the detector of loudspeakers, trained and measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen.voice import LOUDSPEAKER
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train loudspeaker speech/manifest.csv --evaluate"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    parser.add_argument("--detector", type=Path, default=LOUDSPEAKER, help="its .npz")
    options.encoder(parser, what="whose points it is to know")
    parser.add_argument(
        "--evaluate", action="store_true", help="only measure the detector as it is"
    )
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train the detector, unless it is only to be measured; show its errors."""
    from kaimen_train.loudspeaker.fit import fit
    from kaimen_train.loudspeaker.protocol import evaluate

    rows, encoder = read_manifest(arguments.manifest), arguments.encoder
    if not arguments.evaluate:
        fit(rows, arguments.folder, arguments.detector, encoder=encoder)
    keep = not arguments.evaluate
    found = evaluate(rows, arguments.folder, arguments.detector, keep=keep, encoder=encoder)
    return options.answer(arguments, [found], tables.loudspeaker(found))
