"""Drawn figures as SVG: the same figure is the same file."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from kaimen.storage import write_whole


def as_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "kaimen"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure as an SVG. Raises StorageError."""
    write_whole(path, as_svg(figure))
