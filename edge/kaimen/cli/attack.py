"""``kaimen attack``: attacks rehearsed at a gate, and what stops them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kaimen.access.checks import Checks
from kaimen.cli.options import add_file
from kaimen.installation import Installation
from kaimen.rehearsal.attack import LIVING, AttackedGate, Count
from kaimen.rehearsal.people import people_in
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.terminal import styled

EXAMPLE = """example:
  kaimen attack --speech class/ --phrase 芝麻开门 --figure attacks.svg
  kaimen attack --speech ../shared/speech/mandarin20/eval --phrase 语音+识别

Recordings are named STUDENT/TEXT-TAKE.flac. Every third person stays a stranger, the first five
takes of the others' passphrase enroll. All attacks are played twice: at a gate that knows voices
only, and with the checks of the settings. Replays are simulated. Nothing of it is kept."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--speech", type=Path, required=True, metavar="FOLDER", help="recordings")
    parser.add_argument("--phrase", required=True, help="the passphrase's text, or TEXT+TEXT")
    parser.add_argument("--devices", type=int, default=16, help="that play back (default 16)")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    add_file(parser, "--figure", "draw the table as an SVG")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Play every attack and show what became of it."""
    settings = Settings.read(arguments.config)
    models = Installation.open(settings, screen).models
    if arguments.figure:
        screen.remember()
    people = people_in(arguments.speech, arguments.phrase)
    place = AttackedGate(people, models, count=arguments.devices, seed=arguments.seed)
    attempts = list(place.attempts())
    checks = Checks(models, place.gallery.registry, None, replay=settings.checks.replay)
    count = len(attempts)
    alone = place.played(None, screen.progress(attempts, "voice alone", count))
    checked = place.played(checks, screen.progress(attempts, "with checks", count))
    for kind in alone:
        screen.result(_fields(alone[kind], checked[kind]))
    screen.result(
        {"students": len(place.students), "strangers": len(place.strangers)},
        _table(alone, checked, f"{arguments.phrase}: {len(place.students)} students"),
    )
    if arguments.figure:
        screen.picture(arguments.figure, "kaimen attack")
    return 0


def _fields(alone: Count, checked: Count) -> dict[str, Any]:
    return {
        "kind": checked.kind,
        "attempts": checked.attempts,
        "opened_by_voice_alone": alone.opened,
        "opened": checked.opened,
        "share": checked.share,
        "interval": checked.interval,
        "stopped_by": dict(checked.stopped),
    }


def _table(alone: Mapping[str, Count], checked: Mapping[str, Count], title: str) -> Table:
    table = Table(title=title, title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("at the gate", no_wrap=True)
    for name in ("tries", "voice alone", "with checks", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kept outside by")
    for kind, count in checked.items():
        low, high = count.interval
        good = count.share if kind == LIVING else 1 - count.share
        colour = "green" if good > 0.97 else "yellow" if good > 0.8 else "red"
        table.add_row(
            kind,
            str(count.attempts),
            f"{alone[kind].share:.1%}",
            styled((f"{count.share:.1%}", colour)),
            f"{low:.1%} – {high:.1%}",
            ", ".join(f"{name} {times}" for name, times in count.stopped.most_common()),
        )
    return table
