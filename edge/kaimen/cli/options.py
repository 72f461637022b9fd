"""Options as many commands have them; ``options`` is a parser, or a group of its options."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_flag(options: argparse._ActionsContainer, name: str, what: str) -> None:
    """Add an option that is given or not."""
    options.add_argument(name, action="store_true", help=what)


def add_file(options: argparse._ActionsContainer, name: str, what: str) -> None:
    """Add an option that names a file."""
    options.add_argument(name, type=Path, metavar="FILE", help=what)


def add_nearest(options: argparse._ActionsContainer) -> None:
    """Add ``--nearest``, which tells whom a stranger sounds like."""
    add_flag(options, "--nearest", "when a voice is turned away, say whom it is like")
