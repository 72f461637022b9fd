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
    "demo": "play a day at a gate, without microphone, pins or anybody's data",
    "setup": "ask a few questions, try each answer, and write the settings",
    "doctor": "examine everything a gate needs, and say how to mend it",
    "run": "run the gate at its microphone, until stopped",
    "door": "run the door, the process that holds the pins, until stopped",
    "listen": "send recordings through the whole gate",
    "enroll": "enroll students, from recordings or at the microphone",
    "students": "show and change who is enrolled",
    "erase": "erase a student for good, with a certificate that others can check",
    "renew": "give the school a new key and new voiceprints, without new recordings",
    "calibrate": "learn the threshold that fits this school",
    "update": "install a newer Kaimen by apt, and nothing else",
    "attack": "rehearse attacks at a gate, and show what stops them",
    "settings": "show every setting, and check a settings file",
    "log": "show who was let in, who was not, and why, in plain words",
    "review": "show and mark doubtful phrases, where the settings keep them",
    "map": "show all students in two dimensions: who is like whom",
    "backup": "write the school into one encrypted file",
    "restore": "make a backup the school, or change nothing",
    "audit": "verify that nobody changed the log, or export it",
    "bundle": "make, inspect, install and roll back signed models",
    "fleet": "run many gates with the students of one desk",
    "embed": "write the voiceprints of recordings into a file, for study",
    "bridge": "connect panels, Home Assistant, webhooks and Prometheus",
    "console": "serve the operator's desk in a browser: who was let in, and why not",
    "bench": "measure how fast each part is, as ratios within one run",
}
DESCRIPTION = (
    "A voice gate: say 芝麻开门 and the door opens. Begin with 'kaimen demo'. A gate needs setup, "
    "enroll, calibrate, doctor and run, in this order."
)


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the command line; whole for the command that was chosen.

    Only that one is loaded: a relay that must go off waits for no library of another command.
    """
    top = CommandParser(prog="kaimen", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"kaimen {__version__}")
    shared = CommandParser(add_help=False)
    given = os.environ.get("KAIMEN_CONFIG")
    shared.add_argument(
        "--config",
        type=Path,
        default=Path(given) if given else None,
        metavar="FILE",
        help="a TOML file of settings; without it, the one that $KAIMEN_CONFIG names, if any",
    )
    shared.add_argument(
        "--json", action="store_true", help="print one JSON object a line, for programs"
    )
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
