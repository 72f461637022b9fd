"""How search grows with the school, as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaimen.errors import SettingsError

FROM = 10_000  # points: fewer all lie in the processor's cache


def constant(found: Sequence[Mapping[str, Any]]) -> float:
    """Milliseconds by which no search is above, times the natural logarithm of the points."""
    ours = [each for each in found if each["by"] == "kaimen" and each["points"] >= FROM]
    return max((each["p50_ms"] / math.log(each["points"]) for each in ours), default=math.nan)


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Median times of every search against the points, as an SVG. Raises SettingsError."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise SettingsError(
            "a figure needs matplotlib; pip install 'kaimen[bench]', or leave out --figure"
        ) from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(each["by"] for each in found):
        of_one = [each for each in found if each["by"] == name]
        sizes, times = ([each[what] for each in of_one] for what in ("points", "p50_ms"))
        axes.plot(sizes, times, marker="o", linewidth=3 if name == "kaimen" else 1, label=name)
    within = sorted({each["points"] for each in found if each["points"] >= FROM})
    if within:
        factor = constant(found)
        line = [factor * math.log(points) for points in within]
        axes.plot(within, line, "k:", label=f"{factor:.3f} ms · ln(points)")
    axes.set(xscale="log", yscale="log", xlabel="points", ylabel="p50 of a search, ms")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with rc_context({"svg.hashsalt": "kaimen"}):  # the same figures, the same file
        figure.savefig(path, format="svg", metadata={"Date": None})
