"""The commands of a command line: all are named, and only the chosen one is loaded."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Collection, Generator, Mapping, Sequence
from importlib import import_module

from kaimen.names import printable

LONGEST_LINE = 100  # columns of what is read


class CommandHelp(argparse.HelpFormatter):
    """Wraps what is said, and leaves each line of an example as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = re.findall(r"(?m)(?:^(?! ).+\n?)+|(?:^ .+\n?)+|^\n", text)
        return "".join(
            _example(block, width) if block[0] == " " else _prose(block, width) for block in blocks
        )


def _prose(block: str, width: int) -> str:
    return textwrap.fill(block, min(width, LONGEST_LINE), break_on_hyphens=False) + "\n"


def _example(block: str, width: int) -> str:
    """Put what is said of a command below it, where both do not fit."""
    lines = block.splitlines()
    return "".join(
        (line if len(line) <= width else re.sub(r"(?<=\S) {2,}(?=\()", "\n      ", line)) + "\n"
        for line in lines
    )


class CommandsHelp(argparse.HelpFormatter):
    """Lists commands as far left as options: argparse forgets their indent, and breaks a line."""

    def _iter_indented_subactions(
        self, action: argparse.Action
    ) -> Generator[argparse.Action, None, None]:
        yield from getattr(action, "_get_subactions", list)()


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
    top.formatter_class = CommandsHelp
    top.epilog = f"'{top.prog} COMMAND --help' has the options of a command, and examples."
    subs = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, summary in commands.items():
        sub = subs.add_parser(
            name,
            parents=parents,
            help=summary,
            description=summary,
            formatter_class=CommandHelp,
        )
        if name == chosen:
            module = import_module(f"{package}.{name}")
            sub.epilog = module.EXAMPLE
            sub.set_defaults(run=module.run, parser=sub)
            module.add(sub)


def parse(
    top: argparse.ArgumentParser, given: Sequence[str], commands: Collection[str]
) -> argparse.Namespace:
    """Return what was given, or end with the help, or with what was probably meant."""
    if not given:
        top.print_help(sys.stderr)
        top.exit(2)
    if not given[0].startswith("-") and given[0] not in commands:
        known = f"the commands are {', '.join(commands)}"
        top.error(f"there is no command '{printable(given[0])}'{_meant(given[0], commands, known)}")
    chosen, unknown = top.parse_known_args(given)
    if unknown:
        sub: argparse.ArgumentParser = chosen.parser
        options = set(re.findall(r"--[a-z][a-z-]*", sub.format_help()))
        first = unknown[0].partition("=")[0]
        known = "see --help"
        meant = _meant(first, options, known) if first.startswith("-") else f"; {known}"
        sub.error(f"'{printable(first)}' is not understood{meant}")
    return chosen


def _meant(given: str, known: Collection[str], otherwise: str) -> str:
    from difflib import get_close_matches  # takes 5 ms, which only mistakes need wait

    close = get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; {otherwise}"
