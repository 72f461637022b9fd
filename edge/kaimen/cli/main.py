"""``kaimen``: the gate's command line.

Exit codes: 0 done; 1 the demo failed, the doctor found something broken, or something unexpected;
2 wrong usage or settings; 3 a recording could not be used; 4 encoder, gallery or bundle missing
or damaged; 5 microphone or pins; 6 a disk that is full, read-only or busy; 7 no update can be had;
130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# A matrix of a few kilobytes is not worth waking a second thread for: answers came late.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from kaimen import __version__, language
from kaimen.cli.commands import add_commands, parse
from kaimen.cli.parser import CommandParser
from kaimen.errors import KaimenError, StorageError
from kaimen.interrupt import INTERRUPTED, end_in_order
from kaimen.language import text
from kaimen.output import fill_standard_descriptors, let_go, unheard
from kaimen.screen import Screen, show_what_can_be_shown

COMMANDS = {
    "demo": "a day at the gate, without microphone, pins or anybody's data",
    "setup": "the first run: a few questions, each tried, and the settings written",
    "doctor": "whether everything a gate needs is well, and what to do where it is not",
    "run": "the gate at a microphone, for years",
    "door": "the door as a process of its own, until stopped",
    "listen": "recordings through the whole gate",
    "enroll": "recordings become students of the gallery",
    "students": "who is enrolled",
    "erase": "a student is gone for good, with a certificate that others can check",
    "renew": "a new key and new voiceprints out of the old, without new recordings",
    "calibrate": "the threshold that fits this school",
    "update": "a newer Kaimen, by apt, and nothing else of the machine",
    "attack": "attacks rehearsed at a gate, and what stops them",
    "settings": "what the gate goes by, and whether a file of it is right",
    "log": "who was let in, who was not, and why, in plain words",
    "review": "doubtful phrases, where they are kept: listen, say who was right, enroll, erase",
    "map": "all students in two dimensions: who is like whom",
    "backup": "the school in one encrypted file",
    "restore": "a backup becomes the school, or nothing changes",
    "audit": "what the gate decided, and whether anybody changed the log of it",
    "bundle": "what the gate hears with, as one signed file: make, inspect, install, roll back",
    "fleet": "many gates with the students of one desk",
    "embed": "recordings become points in a file, for whoever studies them",
    "bridge": "what the gate says to other systems: panels, Home Assistant, webhooks, Prometheus",
    "console": "the operator's desk in a browser: who was let in, and why not",
    "bench": "how fast each part is, as ratios within one run",
}


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the command line; whole for the command that was chosen.

    Only that one is loaded: a relay that must go off waits for no library of another command.
    """
    top = CommandParser(prog="kaimen", description="A voice gate: say 芝麻开门 and the door opens.")
    top.add_argument("--version", action="version", version=f"kaimen {__version__}")
    shared = CommandParser(add_help=False)
    given = os.environ.get("KAIMEN_CONFIG")
    shared.add_argument(
        "--config",
        type=Path,
        default=Path(given) if given else None,
        metavar="FILE",
        help="settings, a TOML file; $KAIMEN_CONFIG names another default than none",
    )
    shared.add_argument("--json", action="store_true", help="one JSON object a line")
    add_commands(top, COMMANDS, "kaimen.cli", chosen, [shared])
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    fill_standard_descriptors()
    show_what_can_be_shown()
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Only options that end the program stand before a command.
    name = given[0] if given else None
    chosen = parse(parser(name), given, COMMANDS)
    language.choose(language.ENGLISH if chosen.json else language.of_terminal())
    end_in_order()
    try:
        return _run(chosen, Screen(as_json=chosen.json))
    except KeyboardInterrupt:  # while an error is shown, too
        return INTERRUPTED


def _run(chosen: argparse.Namespace, screen: Screen) -> int:
    try:
        return int(chosen.run(chosen, screen))
    except KaimenError as error:
        with unheard():
            screen.error(error)
        return error.exit_code
    except BrokenPipeError:
        let_go()  # whoever read has enough
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        let_go()
        from kaimen.terminal import BAD, styled

        with unheard():
            screen.beside.print(
                styled(BAD, " " + text("the output cannot be written: no space is left"))
            )
        return StorageError.exit_code


if __name__ == "__main__":
    sys.exit(main())
