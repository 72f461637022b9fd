"""``kaimen-train checks``: the checks beside the voice, measured on the eval split."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train checks speech/manifest.csv --json"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure every check and show its errors."""
    from kaimen_train.evaluation import check_tables

    found = check_tables.measure(read_manifest(arguments.manifest))
    return options.answer(arguments, [found], check_tables.tables(found))
