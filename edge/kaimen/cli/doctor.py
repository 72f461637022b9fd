"""``kaimen doctor``: whether everything a gate needs is well, and what to do where it is not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kaimen.cli.options import add_file
from kaimen.doctor.chinese import told
from kaimen.doctor.examination import GATE, MACHINE, examine
from kaimen.doctor.finding import Finding, Health, Patient, of_error, ok
from kaimen.doctor.report import parts, report
from kaimen.errors import SettingsError
from kaimen.installation import Installation
from kaimen.language import is_chinese, later, text
from kaimen.screen import Screen
from kaimen.settings import SYSTEM, Settings
from kaimen.storage import require_folder, write_whole
from kaimen.terminal import styled

SECONDS = 3.0  # of listening

EXAMPLE = """example:
  kaimen doctor
  sudo kaimen doctor        (a Pi: with the services' settings)
  kaimen doctor --json | jq 'select(.state != "ok")'
  sudo kaimen doctor --report gate.json        (a file worth sending; read it first)

It looks, and moves nothing: no relay is switched, no file written but the report that is asked for.
That holds no names, no voices, no paths and no host name. The exit code is 1 where something is
broken, and 0 where all is ok or only wants attention."""

MARKS = {
    Health.OK: (later("✓ ok"), "green"),
    Health.ATTENTION: (later("! attention"), "yellow"),
    Health.BROKEN: (later("✗ broken"), "red"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"how long to listen, in seconds (default {SECONDS:g})",
    )
    add_file(parser, "--play", "a recording in the microphone's place")
    add_file(
        parser,
        "--report",
        "also write a report to send to whoever looks for a fault: no names, no voices",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="FOLDER",
        help="where the machine's /proc, /sys, /dev and programs are",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Examine everything; 1 where something is broken."""
    if arguments.report is not None:
        require_folder(arguments.report)
    checks = [*GATE.items(), *MACHINE.items()]
    chosen: Settings | None
    path = arguments.config or (SYSTEM if SYSTEM.exists() else None)
    try:
        settings = chosen = Settings.read(path)
        found = [ok("settings", str(path or "defaults: no --config, and no " + str(SYSTEM)))]
    except SettingsError as error:
        # Checks of the defaults would tell of a gate that nobody has.
        found = [of_error("settings", error)]
        settings, chosen, checks = Settings(), None, list(MACHINE.items())
    with Installation.open(settings, screen) as installation:
        seconds = max(0.1, arguments.seconds)
        patient = Patient(installation, arguments.root, seconds, arguments.play)
        found += examine(patient, screen.progress(checks, "examining", len(checks)))
        if arguments.report is not None:
            asked = parts(patient, chosen, found, screen)
            made = report(screen.progress(asked, "measuring", len(asked)))
            content = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
            write_whole(arguments.report, content.encode())
    for each in found:
        screen.result(
            {
                "name": each.name,
                "state": each.state.value,
                "found": each.found,
                "mend": each.mend or None,
                "measured": dict(each.measured),
            }
        )
    screen.show(_table(found))
    if arguments.report is not None:
        screen.result(
            {"report": str(arguments.report), "bytes": len(content.encode())},
            f"{arguments.report}: read it, then send it; it holds no names, voices, paths or keys",
        )
    return 1 if any(each.state is Health.BROKEN for each in found) else 0


def _table(found: Sequence[Finding]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # a path is shown whole
    for each in found:
        shown = (each.name, each.found, each.mend)
        name, said, mend = told(*shown) if is_chinese() else shown
        mark, style = MARKS[each.state]
        todo = [("\n→ " + mend, "bold")] if mend else []
        table.add_row(styled((text(mark), style)), name, styled(said, *todo))
    return table
