"""How a command of ``kaimen-train`` answers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from kaimen_train.evaluation.tables import show


def answer(arguments: argparse.Namespace, found: Iterable[Any], shown: Iterable[Table]) -> int:
    """Print figures for a program, one object a line, or tables for people; return 0."""
    if arguments.json:
        sys.stdout.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
    else:
        show(shown, as_markdown=getattr(arguments, "markdown", False))
    return 0
