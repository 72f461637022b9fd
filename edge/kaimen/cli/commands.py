"""The commands of a command line: all are named, and only the chosen one is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module


def add_commands(
    top: argparse.ArgumentParser,
    commands: Mapping[str, str],
    package: str,
    chosen: str | None,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> None:
    """Add commands, summaries by name, to a parser; whole for the one that was chosen.

    Each is a module of ``package`` that has ``EXAMPLE``, ``add`` and ``run``.
    """
    subs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in commands.items():
        sub = subs.add_parser(
            name,
            parents=parents,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            module = import_module(f"{package}.{name}")
            sub.epilog = module.EXAMPLE
            sub.set_defaults(run=module.run)
            module.add(sub)
