"""``kaimen calibrate``: the threshold that fits this school."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.table import Table

from kaimen.calibration.calibration import Calibration
from kaimen.errors import SettingsError
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen calibrate --fpir 0.01

Every recording, with its own student left out, is a stranger; with only itself left out,
its student. No threshold is copied from another school."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--fpir", type=float, help="share of strangers let in that is aimed at")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Calibrate and keep the result beside the gallery."""
    settings = Settings.read(arguments.config)
    if arguments.fpir is not None and not 0 < arguments.fpir < 1:
        raise SettingsError("--fpir must be between 0 and 1, for example 0.01")
    with Installation.open(settings, screen) as installation:
        gallery = installation.gallery
        learned = installation.calibrate(arguments.fpir)
        _show(learned, screen)
        if gallery.band.warning:
            screen.note(gallery.band.warning)
        learned.require(gallery)
    return 0


def _show(learned: Calibration, screen: Screen) -> None:
    low, high = learned.interval
    screen.result(
        asdict(learned),
        f"threshold {learned.threshold:.3f} ({low:.3f} to {high:.3f}) for {learned.students} "
        f"students at FPIR {learned.fpir:.1%}: of {learned.recordings} recordings "
        f"{learned.expected_fpir:.1%} would pass as strangers, "
        f"{learned.expected_fnir:.1%} would not as students",
    )
    if not screen.as_json:
        if learned.retry_fnir is not None:
            screen.out.print(
                f"asked once more ([gate] retry), {learned.retry_fnir:.1%} would not pass as "
                "students, at the same FPIR",
                markup=False,
            )
        if learned.phrase_fnmr is not None:
            screen.out.print(
                f"{learned.phrase_fnmr:.1%} of their own phrases would be taken for other words"
            )
        screen.out.print(_forecast(learned))


def _forecast(learned: Calibration) -> Table:
    def percent(share: float | None) -> str:
        return "no evidence" if share is None else f"{share:.2%}"

    table = Table(
        "students", "FPIR at this threshold", "threshold for the same FPIR", "FNIR then",
        box=None, pad_edge=False, title="forecast for other sizes", title_justify="left",
    )  # fmt: skip
    for size in learned.forecast:
        threshold = size["threshold"]
        table.add_row(
            f"{size['students']:.0f}",
            percent(size["fpir"]),
            "no evidence" if threshold is None else f"{threshold:.3f}",
            percent(size["fnir"]),
        )
    return table
