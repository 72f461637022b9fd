"""The option that names names."""

from __future__ import annotations

import argparse


def add_nearest(parser: argparse.ArgumentParser) -> None:
    """Add ``--nearest``."""
    parser.add_argument(
        "--nearest", action="store_true", help="say whom a voice is like that is turned away"
    )
