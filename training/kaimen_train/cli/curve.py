"""``kaimen-train curve``: what more voices would buy."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from kaimen_train.cli import options
from kaimen_train.cli.answer import answer
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train curve speech/manifest.csv --figure curve.svg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.figure(parser)
    options.as_json(parser, "one JSON object a run")


def run(arguments: argparse.Namespace) -> int:
    """Train on shares of the voices and show the errors."""
    from kaimen_train.evaluation.curve import curve
    from kaimen_train.evaluation.report import draw_curve

    points = curve(read_manifest(arguments.manifest), arguments.folder)
    if arguments.figure:
        draw_curve(points, arguments.figure)
    return answer(arguments, [asdict(point) for point in points], tables.curve(points))
