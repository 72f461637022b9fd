"""``kaimen log``: who was let in, who was not, and why, in plain words."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator
from itertools import islice

from rich.table import Table

from kaimen.audit import Record, latest, pseudonyms
from kaimen.audit.words import about, told, turned_away
from kaimen.cli.options import add_flag
from kaimen.errors import SettingsError
from kaimen.installation import Installation
from kaimen.language import text
from kaimen.local_time import in_local_time
from kaimen.names import as_kept
from kaimen.screen import Screen
from kaimen.service.answers import MARKS
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen log
  kaimen log --student s0001 --refused    (why was I turned away?)
  kaimen log --since 2026-09-01 --last 200 | less

The times are local. The log holds no names, only keyed hashes: a student's name is shown where you
give it, or ask for all with --names."""

LAST = 20  # lines
SHOWN = 6  # characters of a keyed hash
STYLES = {verdict.value: style for verdict, (_, style) in MARKS.items()}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--student", help="only the lines about this student")
    parser.add_argument(
        "--last", type=int, metavar="N", help=f"so many lines, {LAST} unless --since is given"
    )
    parser.add_argument(
        "--since", type=datetime.date.fromisoformat, metavar="DAY", help="from this day on"
    )
    add_flag(parser, "--refused", "only of those who were not let in")
    add_flag(parser, "--acts", "what people did at the console, instead of the gate")
    add_flag(parser, "--names", "show who is enrolled by name")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show the latest lines, the oldest of them first."""
    if arguments.last is not None and arguments.last < 1:
        raise SettingsError("--last must be at least 1, for example 20")
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        names = _names(installation, arguments)
        folder, key = installation.log_folder, installation.log_key
        if arguments.acts:
            folder, key = installation.acts_folder, installation.acts_key
        found = _chosen(latest(folder, key), arguments, names)
        last = arguments.last or (None if arguments.since else LAST)
        records = list(islice(found, last))
    for record in reversed(records):
        _show(record, names, screen)
    if not records:
        screen.say(text("no such line is in the log"))
    return 0


def _names(installation: Installation, arguments: argparse.Namespace) -> dict[str, str]:
    """Return names by keyed hash: of the student who is asked for, or of everybody."""
    names = {as_kept(arguments.student)} if arguments.student else set()
    if arguments.names and installation.has_registry:
        names |= set(installation.registry.names())
    key = installation.log_key
    return {hashed: name for name in names for hashed in pseudonyms(key, name)}


def _chosen(
    records: Iterator[Record], arguments: argparse.Namespace, names: dict[str, str]
) -> Iterator[Record]:
    asked = as_kept(arguments.student) if arguments.student else None
    wanted = {hashed for hashed, name in names.items() if name == asked}
    for record in records:  # in the order of writing: a clock may have been set back
        if wanted and not wanted & about(record):
            continue
        if arguments.since and in_local_time(record["at"]).date() < arguments.since:
            continue
        if not arguments.refused or turned_away(record):
            yield record


def _show(record: Record, names: dict[str, str], screen: Screen) -> None:
    def named(hashed: str) -> str:
        return names.get(hashed, f"#{hashed[:SHOWN]}")

    said = told(record, named)
    at = in_local_time(record["at"])
    screen.result(
        {
            "number": record["number"],
            "at": at.isoformat(timespec="seconds"),
            "kind": record.get("kind"),
            "verdict": record.get("verdict"),
            "student": [names[each] for each in sorted(about(record)) if each in names],
            "said": said,
        }
    )
    if screen.as_json:
        return
    when = f"{at:%Y-%m-%d %H:%M:%S}"
    if not screen.out.is_terminal:
        screen.out.print(f"{when}  {said}", soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2, 0, 0))  # which wraps by the width of Chinese letters
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(when, said)
    screen.out.print(grid, style=STYLES.get(str(record.get("verdict")), "dim"))
