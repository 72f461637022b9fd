"""The comparison of the models as a table, as objects for a program, and as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from kaimen_train.autoencoder.generate.compare import Compared
from kaimen_train.autoencoder.generate.judge import TAKES
from kaimen_train.drawing import save_svg
from kaimen_train.evaluation.tables import titled

COLORS = {
    "real": "#2c3e50",
    "gaussian": "#95a5a6",
    "population": "#2980b9",
    "diffusion": "#c0392b",
    "gan": "#27ae60",
}


def rows(compared: Compared) -> list[dict[str, Any]]:
    """One object a model, and the real voices' growth in each."""
    return [
        {"model": model, **figures, "growth_real": compared.growth["real"]}
        for model, figures in compared.figures.items()
    ]


def table(compared: Compared) -> Table:
    """Return figures down, models across: for reading."""
    found = titled("synthetic schools", "figure", *compared.figures)
    add = found.add_row
    every = list(compared.figures.values())
    for place, first in enumerate(every[0]["forecast"]):
        each = [figures["forecast"][place] for figures in every]
        asked = f"FPIR {first['fpir']:.0%}"
        add(f"{asked}: measured, %", *(f"{100 * one['measured']:.1f}" for one in each))
        add("  forecast over measured", *(f"{one['ratio']:.2f}" for one in each))
        add(
            "  95 % interval",
            *(f"{one['interval'][0]:.2f}-{one['interval'][1]:.2f}" for one in each),
        )
    for size in every[0]["growth"]:
        real = compared.growth["real"][size]
        name = f"FPIR at N = {size}, % (real {100 * real:.1f})"
        add(name, *(f"{100 * figures['growth'][size]:.1f}" for figures in every))
    for size in every[0]["growth_large"]:
        name = f"N = {size:,}, {TAKES} recordings"
        add(name, *(f"{100 * figures['growth_large'][size]:.1f}" for figures in every))
    add("pairs, same: distance", *(f"{figures['same_distance']:.3f}" for figures in every))
    add("pairs, another: distance", *(f"{figures['other_distance']:.3f}" for figures in every))
    further = [figures.get("further_distance") for figures in every]
    add("further recording: distance", *("" if one is None else f"{one:.3f}" for one in further))
    medians = [(figures["nearest_median"], figures["nearest_median_real"]) for figures in every]
    add("nearest speaker, median", *(f"{drawn:.2f}" for drawn, _ in medians))
    add("  of unseen people", *(f"{real:.2f}" for _, real in medians))
    add("too near, %", *(f"{100 * figures['too_near']:.1f}" for figures in every))
    for way, attacks in every[0]["membership"].items():
        for attack in attacks:
            each = [figures["membership"][way][attack] for figures in every]
            add(f"member? by {attack}, {way}: AUC", *(f"{one[0]:.2f}" for one in each))
            add("  95 % interval", *(f"{one[1]:.2f}-{one[2]:.2f}" for one in each))
    return found


def draw(compared: Compared, path: Path) -> None:
    """Draw growth, pairs and nearness, as an SVG. Raises StorageError."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    growing, paired, near = figure.subplots(1, 3)
    for name, sizes in compared.growth.items():
        model, several, _ = name.partition(",")
        growing.plot(
            list(sizes),
            [100 * share for share in sizes.values()],
            "--" if several else "o-",
            color=COLORS[model],
            label=None if several else model,
            linewidth=3 if model == "real" else 1.5,
        )
    growing.set(xscale="log", yscale="log", xlabel="students", ylabel="%")
    growing.set_title(f"FPIR at one threshold (dashed: {TAKES} recordings)")
    every = {model: pairs.other for model, pairs in compared.pairs.items()}
    _histograms(every, np.linspace(-0.4, 1, 71), paired, log=True)
    paired.set_title("cosines of two people")
    _histograms(compared.nearness, np.linspace(0, 1, 51), near, log=False)
    near.set_title("cosine to the nearest training speaker")
    figure.legend(*growing.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    save_svg(figure, path)


def _histograms(
    values: Mapping[str, NDArray[Any]], bins: NDArray[np.float64], axes: Axes, *, log: bool
) -> None:
    for name, each in values.items():
        kind: dict[str, Any] = {"alpha": 0.3} if name == "real" else {"histtype": "step"}
        axes.hist(each, bins.tolist(), density=True, log=log, color=COLORS[name], **kind)
    axes.set(xlabel="cosine", yticks=[] if not log else axes.get_yticks())
