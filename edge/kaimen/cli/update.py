"""``kaimen update``: a newer Kaimen, by apt, from the source that the gate was told of."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from kaimen.cli.options import add_flag
from kaimen.errors import UpdateError
from kaimen.screen import Screen
from kaimen.terminal import GOOD, styled
from kaimen.update import apt

if TYPE_CHECKING:
    from rich.text import Text

EXAMPLE = """example:
  kaimen update --check         only looks
  sudo kaimen update            looks, asks, and installs
  sudo kaimen update --yes      installs without asking, for a timer

apt checks who signed it. While it is installed the relay is at rest; then the gate starts again.
School, key, settings and log stay as they are. Nothing else of the machine is updated."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_flag(parser, "--check", "only say whether there is a newer one")
    add_flag(parser, "--yes", "install it without asking")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Look for a newer version, and install it if that is wanted."""
    version = apt.require_package()
    apt.require_root()
    screen.say("asking the source")
    found = apt.look(version)
    wanted = found.newer and not arguments.check and (arguments.yes or _asked(found, screen))
    if wanted:
        screen.say(f"installing {found.candidate}: a minute or two, the relay at rest meanwhile")
        apt.install(found.candidate)
        now = apt.installed()
        if now != found.candidate:
            raise UpdateError(
                f"apt ended, and {now or 'no Kaimen'} is installed, not {found.candidate}; "
                "see 'apt-cache policy kaimen'"
            )
    screen.result(
        {
            "installed": found.candidate if wanted else found.installed,
            "candidate": found.candidate,
            "updated": wanted,
        },
        _line(found, wanted),
    )
    return 0


def _asked(found: apt.Versions, screen: Screen) -> bool:
    """Ask a person; nobody else said yes."""
    if screen.as_json or not sys.stdin.isatty():
        return False
    screen.say(f"{found.installed} is installed, {found.candidate} is there; install it? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _line(found: apt.Versions, updated: bool) -> str | Text:
    if updated:
        return styled(GOOD, f" {found.candidate} is installed; it was {found.installed}")
    if found.newer:
        return f"{found.installed} is installed, {found.candidate} is there: 'kaimen update --yes'"
    return styled(GOOD, f" {found.installed} is the newest there is")
