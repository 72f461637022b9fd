"""How a command of ``kaimen-train`` looks: its summary, and an example below its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Add = Callable[..., argparse.ArgumentParser]


def adding(commands: Any) -> Add:
    """What adds a command, given its name, its summary, an example and parents, to ``commands``."""

    def add(
        name: str, summary: str, example: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name,
            parents=parents,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        return parser

    return add
