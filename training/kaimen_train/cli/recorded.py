"""``kaimen-train recorded``: what gain, gaps, sampling rates and formats of recordings cost."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train recorded speech/manifest.csv --impairments
  kaimen-train recorded speech/manifest.csv --formats      (needs ffmpeg)"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.encoder(parser)
    parser.add_argument("--impairments", action="store_true", help="only gain and gaps")
    parser.add_argument("--formats", action="store_true", help="only rates and formats")
    options.as_json(parser, "one JSON object a line")
    parser.add_argument("--markdown", action="store_true", help="print tables for the docs")


def run(arguments: argparse.Namespace) -> int:
    """Measure and show it."""
    from kaimen.voice.encoder import Encoder
    from kaimen_train.evaluation import recorded

    encoder = Encoder(arguments.encoder)
    rows = read_manifest(arguments.manifest)
    schools = recorded.schools(rows)
    impairments, gain_steps, formats = [], [], []
    both = arguments.impairments == arguments.formats
    if both or arguments.impairments:
        impairments = [each for one in schools for each in recorded.impairments(one, encoder)]
        gain_steps = list(recorded.gain_steps(rows))
    if both or arguments.formats:
        formats = [each for one in schools for each in recorded.formats(one, encoder)]
    tables_of_all = tables.recorded(impairments, gain_steps, formats)
    return options.answer(arguments, impairments + gain_steps + formats, tables_of_all)
