"""``kaimen audit``: what the gate decided, and whether anybody changed the log of it."""

from __future__ import annotations

import argparse
import datetime
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kaimen.audit import Record, Report, export, pseudonyms, verify
from kaimen.cli.options import add_file, add_flag
from kaimen.installation import Installation
from kaimen.local_time import begin_of, local
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.spreadsheet import ENCODING, write_table
from kaimen.storage import require_folder, write_whole
from kaimen.terminal import BAD, GOOD, WARNING, styled

EXAMPLE = """example:
  kaimen audit verify
  kaimen audit verify --noted 1042:9f3c...    (what an earlier 'verify' ended with)
  kaimen audit export --since 2026-09-01 --csv autumn.csv
  kaimen audit export --student s0001

The log calls students by a keyed hash; --student finds somebody's lines."""

CHANGED = 1  # exit code of a log that is not as it was written
COLUMNS = (  # those of a decision, then of what the door said, then of a gap
    *("number", "at", "kind", "verdict", "student", "claim", "score", "threshold"),
    *("above_threshold", "above_next", "seconds", "peak", "clipped", "latency", "computed"),
    *("encoder", "gallery", "calibration", "event", "lost", "who", "did", "address"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", choices=("verify", "export"), help="check it, or print its lines")
    add_flag(parser, "--acts", "the log of what people did at the console")
    parser.add_argument("--noted", default="", metavar="END", help="an end that must be in it")
    add_file(parser, "--csv", "export a table, not JSON lines")
    parser.add_argument("--student", help="export only the lines that name this student")
    parser.add_argument(
        "--since", type=datetime.date.fromisoformat, metavar="DAY", help="export from this day on"
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Verify or export."""
    installation = Installation.open(Settings.read(arguments.config), screen)
    if arguments.what == "verify":
        report = verify(*_log(installation, arguments), arguments.noted)
        return _tell(report, screen)
    records = _chosen(installation, arguments)
    if arguments.csv:
        require_folder(arguments.csv)
        _as_table(records, arguments.csv, screen)
    else:
        lines = Screen(as_json=True)
        for record in records:
            lines.result(record)
    return 0


def _log(installation: Installation, arguments: argparse.Namespace) -> tuple[Path, bytes]:
    """Return folder and key of the log that is asked for."""
    if arguments.acts:
        return installation.acts_folder, installation.acts_key
    return installation.log_folder, installation.log_key


def _tell(report: Report, screen: Screen) -> int:
    screen.result(
        {
            "lines": report.lines,
            "first": report.first or None,
            "last": report.last or None,
            "end": report.end or None,
            "lost": report.lost,
            "problems": [{"place": each.place, "what": each.what} for each in report.problems],
        }
    )
    for each in report.problems:
        screen.show(styled(BAD, f" {each.place}: {each.what}"))
    if report.lost:
        missing = f" {report.lost} lines are missing: they could not be written"
        screen.show(styled(WARNING, missing))
    kept = "empty"
    if report.lines:
        kept = f"{report.lines} lines, from {local(report.first)} to {local(report.last)}"
    if report.problems:
        screen.show(f"the log is not as it was written: {kept}")
        return CHANGED
    screen.show(styled(GOOD, f" the log is as it was written: {kept}"))
    if report.end:
        screen.show(f"  it ends with {report.end}")
    return 0


def _chosen(installation: Installation, arguments: argparse.Namespace) -> Iterator[Record]:
    key = installation.log_key
    named = set(pseudonyms(key, arguments.student)) if arguments.student else None
    since = begin_of(arguments.since) if arguments.since else ""
    for record in export(*_log(installation, arguments)):
        if record["at"] >= since and (named is None or named & _everybody(record)):
            yield record


def _everybody(record: Record) -> set[str | None]:
    nearest = [each["student"] for each in record.get("nearest", ())]
    return {record.get("student"), record.get("claim"), *nearest}


def _as_table(records: Iterator[Record], path: Path, screen: Screen) -> None:
    """Write one row a line of the log, in a file that appears whole."""

    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, encoding=ENCODING, newline="")
        write_table(text, COLUMNS, ([each.get(name, "") for name in COLUMNS] for each in records))
        text.flush()
        text.detach()

    write_whole(path, write)
    screen.say(f"{path!s} is written")
