"""Options that several commands of ``kaimen-train`` share, and the answer that they ask for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from kaimen.voice import SHIPPED
from kaimen_train.data.corpus import MANIFEST
from kaimen_train.evaluation.tables import show

FOLDER = Path("build")
WEIGHTS = Path(__file__).parents[1] / "weights" / "large.weights.h5"


def manifest(parser: argparse.ArgumentParser) -> None:
    """Add the manifest of the recordings."""
    parser.add_argument(
        "manifest", type=Path, nargs="?", default=MANIFEST, help=f"default {MANIFEST}"
    )


def folder(parser: argparse.ArgumentParser) -> None:
    """Add the folder that a run keeps its work in."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for checkpoints and caches")


def model(parser: argparse.ArgumentParser) -> None:
    """Add the choice between the two encoders that ship."""
    parser.add_argument(
        "--model", choices=("large", "small"), default="large", help="which of the two that ship"
    )


def encoder(
    parser: argparse.ArgumentParser, default: Path = SHIPPED, what: str = "an encoder.tflite"
) -> None:
    """Add the encoder's file."""
    parser.add_argument("--encoder", type=Path, default=default, help=what)


def weights(parser: argparse.ArgumentParser) -> None:
    """Add the float network of which the encoder was quantized."""
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, metavar="FILE", help="its float network"
    )


def figure(parser: argparse.ArgumentParser, what: str = "draw the errors as an SVG") -> None:
    """Add the file that a figure is drawn to."""
    parser.add_argument("--figure", type=Path, metavar="FILE", help=what)


def as_json(parser: Any, what: str = "one JSON object") -> None:
    """Add the choice of an answer for programs."""
    parser.add_argument("--json", action="store_true", help=what)


def answer(arguments: argparse.Namespace, found: Iterable[Any], shown: Iterable[Table]) -> int:
    """Print figures for a program, one object a line, or tables for people; return 0."""
    if arguments.json:
        sys.stdout.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
    else:
        show(shown, as_markdown=getattr(arguments, "markdown", False))
    return 0
