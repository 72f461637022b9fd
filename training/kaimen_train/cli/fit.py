"""``kaimen-train fit``: an encoder is trained."""

from __future__ import annotations

import argparse
from dataclasses import replace

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train fit speech/manifest.csv --model large"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.model(parser)
    parser.add_argument("--steps", type=int, metavar="N", help="batches (default: as it shipped)")


def run(arguments: argparse.Namespace) -> int:
    """Train it, or go on with a run that was interrupted."""
    rows = read_manifest(arguments.manifest)
    if arguments.model == "large":
        from kaimen_train.encoder.transfer import TUNINGS, fit_large

        steps = arguments.steps
        tunings = [replace(each, steps=steps or each.steps) for each in TUNINGS]
        fit_large(rows, arguments.folder, tunings)
    else:
        from kaimen_train.encoder.fit import EncoderPlan, fit
        from kaimen_train.networks import RUNGS

        plan = EncoderPlan()
        plan = replace(plan, steps=arguments.steps or plan.steps)
        fit(rows, arguments.folder, plan, RUNGS["deep"])
    return 0
