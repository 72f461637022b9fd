"""``kaimen``: the gate's command line.

Exit codes: 0 done; 1 the demo failed, or something unexpected; 2 wrong usage or settings;
3 a recording could not be used; 4 encoder or gallery missing or damaged; 5 microphone or
pins; 6 something could not be written; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

# A matrix of a few kilobytes is not worth waking a second thread for: answers came late.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from edge import __version__
from edge.commands import (
    audit,
    bench,
    calibrate,
    demo,
    door,
    embed,
    enroll,
    listen,
    run,
    students,
)
from edge.errors import KaimenError
from edge.screen import Screen

COMMANDS: dict[str, ModuleType] = {
    "demo": demo,
    "run": run,
    "door": door,
    "listen": listen,
    "enroll": enroll,
    "students": students,
    "calibrate": calibrate,
    "audit": audit,
    "embed": embed,
    "bench": bench,
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="kaimen", description="A voice gate: say 芝麻开门 and the door opens."
    )
    top.add_argument("--version", action="version", version=f"kaimen {__version__}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")
    shared.add_argument("--json", action="store_true", help="one JSON object a line")
    subs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition(": ")[2].strip().splitlines()[0]
        sub = subs.add_parser(
            name,
            parents=[shared],
            help=summary,
            description=summary,
            epilog=module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add(sub)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    chosen = parser().parse_args(arguments)
    screen = Screen(as_json=chosen.json)
    try:
        return int(COMMANDS[chosen.command].run(chosen, screen))
    except KaimenError as error:
        screen.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has enough
        return 0


if __name__ == "__main__":
    sys.exit(main())
