"""``kaimen calibrate``: the threshold that fits this school."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.table import Table

from kaimen.calibration.calibration import Calibration
from kaimen.errors import GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen calibrate --fpir 0.01
  kaimen calibrate --fpir 0.001 --dry-run    (what it would be; nothing is changed)

Every recording, with its own student left out, is a stranger; with only itself left out,
its student. No threshold is copied from another school."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--fpir", type=float, help="share of strangers let in that is aimed at")
    parser.add_argument("--dry-run", action="store_true", help="show it, and keep nothing")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Calibrate and keep the result beside the gallery."""
    settings = Settings.read(arguments.config)
    if arguments.fpir is not None and not 0 < arguments.fpir < 1:
        raise SettingsError("--fpir must be between 0 and 1, for example 0.01")
    with Installation.open(settings, screen) as installation:
        gallery = installation.gallery
        learned = installation.learn_calibration(arguments.fpir)
        try:
            learned.require(gallery)
        except GalleryError:
            _show(learned, settings.gate.retry, screen)
            raise
        if not arguments.dry_run:
            installation.keep_calibration(learned)
        _show(learned, settings.gate.retry, screen)  # what is shown is on the disk
        if arguments.dry_run:
            screen.say("nothing is changed")
        if gallery.band.warning:
            screen.note(gallery.band.warning)
    return 0


def _show(learned: Calibration, retry: bool, screen: Screen) -> None:
    low, high = learned.interval
    screen.result(
        asdict(learned),
        f"threshold {learned.threshold:.3f} ({low:.3f} to {high:.3f}) for {learned.students} "
        f"students at FPIR {learned.fpir:.1%}: of {learned.recordings} recordings "
        f"{learned.expected_fpir:.1%} would pass as strangers, "
        f"{learned.expected_fnir:.1%} would not as students",
    )
    if not screen.as_json:
        screen.out.print(learned.evidence)
        if learned.retry_fnir is not None:
            screen.out.print(_of_two_tries(learned, retry))
        if learned.phrase_fnmr is not None:
            screen.out.print(
                f"{learned.phrase_fnmr:.1%} of their own phrases would be taken for other words"
            )
        screen.out.print(_forecast(learned))


def _of_two_tries(learned: Calibration, retry: bool) -> str:
    here = "as this gate does" if retry else "which this gate does not"
    return (
        f"a gate that asks once more ([gate] retry), {here}, gives a stranger two chances: it "
        f"opens from {learned.first_threshold:.3f} on in a first try and from "
        f"{learned.both_threshold:.3f} on for two together; {learned.retry_fnir:.1%} would not "
        "pass as students, at the same FPIR"
    )


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
