"""``kaimen-train growing``: what voiceprints gain that grow with their students, and risk."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train growing
  kaimen-train growing --campaigns 100 --json"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.encoder(parser)
    parser.add_argument("--campaigns", type=int, default=1_000, metavar="N", help="of each kind")
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and show it."""
    from kaimen.voice.encoder import Encoder
    from kaimen_train.adapt.many_voices import points_by
    from kaimen_train.evaluation import growing

    rows = read_manifest(arguments.manifest)
    encoder = Encoder(arguments.encoder)
    found = {
        "days": growing.across_days(rows, encoder),
        "campaigns": growing.attacked(
            points_by(encoder, rows, arguments.folder), arguments.campaigns
        ),
    }
    return options.answer(arguments, [found], growing.tables(found))
