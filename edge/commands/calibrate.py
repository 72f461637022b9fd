"""``kaimen calibrate``: the threshold that fits this school."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from edge.commands import common
from edge.errors import SettingsError
from edge.screen import Screen

EXAMPLE = """example:
  kaimen calibrate --fpir 0.01

Every recording, with its own student left out, is a stranger; with only itself left out,
its student. No threshold is copied from another school."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--fpir", type=float, help="share of strangers let in that is aimed at")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Calibrate and keep the result beside the gallery."""
    settings = common.settings_of(arguments)
    if arguments.fpir is not None and not 0 < arguments.fpir < 1:
        raise SettingsError("--fpir must be between 0 and 1, for example 0.01")
    encoder = common.load_encoder(settings)
    gallery = common.load_gallery(settings, encoder)
    learned = common.calibrate_anew(settings, gallery, encoder, arguments.fpir)
    screen.result(
        asdict(learned),
        f"threshold {learned.threshold:.3f} for {learned.students} students "
        f"at FPIR {learned.fpir:.1%}: "
        f"of {learned.strangers} strangers' scores {learned.expected_fpir:.1%} pass, "
        f"of the students' own {learned.expected_fnir:.1%} do not",
    )
    return 0
