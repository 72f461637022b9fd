"""``kaimen calibrate``: the threshold that fits this school."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from kaimen.calibration.calibration import Calibration
from kaimen.calibration.intervals import Share
from kaimen.calibration.school_scores import WhatIf
from kaimen.cli.options import add_file, add_flag
from kaimen.errors import GalleryError, SettingsError
from kaimen.installation import Installation
from kaimen.language import sentence, text
from kaimen.monitoring.calibration_report import (
    REGISTERED,
    CalibrationReport,
    read_groups,
    report_of,
    what_if_fields,
)
from kaimen.monitoring.drift import DriftRow
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder, write_whole

EXAMPLE = """example:
  kaimen calibrate --fpir 0.01
  kaimen calibrate --fpir 0.001 --dry-run    (what it would be; nothing is changed)
  kaimen calibrate --what-if 0.7             (what that threshold would do; nothing is changed)
  kaimen calibrate --report figures.json --groups languages.csv
  kaimen calibrate --drift-mended

Every recording, with its own student left out, is a stranger; with only itself left out,
its student. No threshold is copied from another school."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--fpir", type=float, help="the share of strangers that you accept, such as 0.01"
    )
    add_flag(parser, "--dry-run", "show it, and keep nothing")
    parser.add_argument(
        "--what-if", type=float, metavar="THRESHOLD", action="append", default=[],
        help="what this threshold would do here; may be repeated",
    )  # fmt: skip
    add_file(
        parser,
        "--report",
        "write the figures of the calibration in use: curve, groups, drift (JSON)",
    )
    add_file(
        parser,
        "--groups",
        "compare these groups, too: a CSV file of student,... that is kept nowhere",
    )
    add_flag(
        parser, "--drift-mended", "count drift from now on: what made the scores drift is mended"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Calibrate and keep the result beside the gallery, or tell of the one in use."""
    settings = Settings.read(arguments.config)
    if arguments.fpir is not None and not 0 < arguments.fpir < 1:
        raise SettingsError("--fpir must be between 0 and 1, for example 0.01")
    if arguments.what_if or arguments.report or arguments.groups or arguments.drift_mended:
        return _tell(arguments, settings, screen)
    with Installation.open(settings, screen) as installation:
        gallery = installation.gallery
        learned = installation.arming.learn(arguments.fpir)
        at_door = learned.at_door(settings.roster, gallery)
        try:
            learned.require(gallery)
        except GalleryError:
            _show(at_door, settings.gate.retry, screen)
            raise
        if not arguments.dry_run:
            installation.arming.keep(learned)
        _show(at_door, settings.gate.retry, screen)  # what is shown is on the disk
        if arguments.dry_run:
            screen.say("nothing is changed")
        if gallery.band.warning:
            screen.note(gallery.band.warning)
    return 0


def _tell(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Tell of the calibration in use; nothing is learned."""
    if arguments.fpir is not None or arguments.dry_run:
        raise SettingsError(
            "--what-if, --report, --groups and --drift-mended tell of the calibration in use; "
            "leave --fpir and --dry-run out"
        )
    if arguments.report:
        require_folder(arguments.report)
    groups = read_groups(arguments.groups) if arguments.groups else None
    with Installation.open(settings, screen) as installation:
        if arguments.drift_mended:
            installation.arming.count_drift_anew(datetime.datetime.now(datetime.UTC))
            screen.result({"drift_mended": True}, text("drift is counted from now on"))
        for threshold in arguments.what_if:
            found = installation.arming.scores.at(threshold)
            in_use = installation.arming.calibration
            screen.result(
                {**what_if_fields(found), "students": in_use.at_once or in_use.students},
                _what_it_does(found, in_use),
            )
        if arguments.report or arguments.groups:
            report = report_of(installation, groups=groups)
            if arguments.report:
                written = json.dumps(report.fields, ensure_ascii=False, indent=1) + "\n"
                path = arguments.report
                write_whole(path, written.encode(), private=True)
            _show_report(report, screen)
    return 0


def _what_it_does(found: WhatIf, in_use: Calibration) -> str:
    return text(
        "threshold {threshold} for {whom}: FPIR {fpir}, FNIR {fnir}",
        threshold=f"{found.threshold:.3f}",
        whom=in_use.for_whom,
        fpir=told(found.fpir),
        fnir=told(found.fnir),
    )


def _show_report(report: CalibrationReport, screen: Screen) -> None:
    screen.result(report.fields, _what_it_does(report.now, report.calibration))
    for name, card in report.cards.items():
        what = text("group") if name == REGISTERED else name
        screen.show(text("by {what}: {found}", what=what, found=sentence(card.sentence)))
    screen.show(text("drift: {found}", found=sentence(report.drift.sentence)))
    for what, found in (
        (text("week"), report.weeks),
        (text("group"), report.groups),
        (text("microphone"), report.microphones),
    ):
        if found:
            screen.show(_drift(what, found))


def told(share: Share) -> str:
    """Return a share with its interval."""
    if share.value is None:
        return text("no evidence")
    return text(
        "{share} ({low} to {high})",
        share=f"{share.value:.2%}",
        low=f"{share.low:.2%}",
        high=f"{share.high:.2%}",
    )


def _drift(what: str, found: Sequence[DriftRow]) -> Table:
    table = Table(
        what, text("phrases"), text("opened"), text("score that opened"),
        text("strangers' score"), text("above the threshold"),
        box=None, pad_edge=False, title=text("by {what}", what=what), title_justify="left",
    )  # fmt: skip
    for row in found:
        opened = row.verdicts.get("open", 0) / row.phrases
        table.add_row(
            row.name, str(row.phrases), f"{opened:.1%}",
            "" if row.accepted is None else f"{row.accepted[1]:.3f}",
            "" if row.strangers is None else f"{row.strangers[1]:.3f}",
            told(row.above),
        )  # fmt: skip
    return table


def _show(learned: Calibration, retry: bool, screen: Screen) -> None:
    low, high = learned.interval
    screen.result(
        asdict(learned),
        text(
            "threshold {threshold} ({low} to {high}) for {whom} at FPIR {fpir}: of {count} "
            "recordings {strangers} would pass as strangers, {students} would not as students",
            threshold=f"{learned.threshold:.3f}",
            low=f"{low:.3f}",
            high=f"{high:.3f}",
            whom=learned.for_whom,
            fpir=f"{learned.fpir:.1%}",
            count=learned.recordings,
            strangers=f"{learned.expected_fpir:.1%}",
            students=f"{learned.expected_fnir:.1%}",
        ),
    )
    for more in _more_of(learned, retry):
        screen.show(more)
    screen.show(_forecast(learned))


def _more_of(learned: Calibration, retry: bool) -> Iterator[str]:
    """Yield what else a person should know of a calibration."""
    if learned.everybody is not None:
        yield text(
            "a door for all {students} students would open from {threshold} on",
            students=learned.students,
            threshold=f"{learned.everybody:.3f}",
        )
    if learned.raised:
        yield text(
            "it is {raised} higher than by the recordings: so near did strangers come at "
            "this door in the last four weeks",
            raised=f"{learned.raised:.3f}",
        )
    yield sentence(learned.evidence)
    if learned.retry_fnir is not None:
        yield text(
            "a gate that asks once more ([gate] retry), {here}, gives a stranger two chances: it "
            "opens from {first} on in a first try and from {both} on for two together; {fnir} "
            "would not pass as students, at the same FPIR",
            here=text("as this gate does") if retry else text("which this gate does not"),
            first=f"{learned.first_threshold:.3f}",
            both=f"{learned.both_threshold:.3f}",
            fnir=f"{learned.retry_fnir:.1%}",
        )
    if learned.phrase_fnmr is not None:
        yield text(
            "{share} of their own phrases would be taken for other words",
            share=f"{learned.phrase_fnmr:.1%}",
        )


def _forecast(learned: Calibration) -> Table:
    def percent(share: float | None) -> str:
        return text("no evidence") if share is None else f"{share:.2%}"

    table = Table(
        text("students"), text("FPIR at this threshold"), text("threshold for the same FPIR"),
        text("FNIR then"),
        box=None, pad_edge=False, title=text("forecast for other sizes"), title_justify="left",
    )  # fmt: skip
    for size in learned.forecast:
        threshold = size["threshold"]
        table.add_row(
            f"{size['students']:.0f}",
            percent(size["fpir"]),
            text("no evidence") if threshold is None else f"{threshold:.3f}",
            percent(size["fnir"]),
        )
    return table
