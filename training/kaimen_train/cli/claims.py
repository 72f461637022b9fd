"""``kaimen-train claims``: when a claim is refused since the voice is another's."""

from __future__ import annotations

import argparse

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables

EXAMPLE = """example:
  kaimen-train claims speech/manifest.csv"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.encoder(parser)
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare the rules and show what each lets in and turns away."""
    from kaimen_train.evaluation.claims import compare

    found = compare(read_manifest(arguments.manifest), arguments.folder, arguments.encoder)
    return options.answer(arguments, found, tables.claims(found))
