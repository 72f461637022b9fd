"""One self-contained HTML page: figures as curves and bars, and as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kaimen.storage import write_whole
from kaimen_train.drawing import as_svg, save_svg
from kaimen_train.evaluation.protocols import DET, FPIRS
from kaimen_train.evaluation.tables import gates, head_and_rows

if TYPE_CHECKING:
    from kaimen_train.encoder.ladder import Step

TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
"""
LIMITS = (
    "But for calls, a speaker's takes are mostly from one session and one microphone; nobody walks "
    "up to a door, there is no replayed speech, and children only read sentences of a foreign "
    "language. A figure is a lower bound of the error at a real gate. Noises were heard in "
    "training, rooms (simulated) and babbling voices were not."
)

Figures = Mapping[str, Mapping[str, Any]]  # by encoder


def write(every: Figures, path: Path) -> None:
    """Write the page of several encoders' figures. Raises StorageError."""
    parts = [
        "<h1>How well voices are told apart</h1>",
        f"<p>{LIMITS}</p>",
        "<h2>Equal error rates, % (95 % interval by bootstrap over speakers)</h2>",
        _rates(every),
        "<h2>Detection error trade-off</h2>",
        _drawn(lambda axes: _curves(every, axes), len(_tasks(every))),
        "<h2>Open set: students turned away, %</h2>",
        _gate(every),
    ]
    if all("gate" in figures for figures in every.values()):
        parts += [
            "<h2>As a gate: students turned away where one stranger in 10,000 gets in, %</h2>",
            _phrases(every),
        ]
    if all("conditions" in figures for figures in every.values()):
        kinds = list(next(iter(every.values()))["conditions"])
        parts += [
            "<h2>Noise, rooms, short phrases</h2>",
            _drawn(lambda axes: _bars(every, kinds, axes), len(kinds)),
        ]
    page = "\n".join(parts)
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Kaimen: accuracy</title>"
        f"<style>{STYLE}</style>{page}</html>\n"
    )
    write_whole(path, text.encode())


def draw_ladder(steps: Sequence[Step], path: Path) -> None:
    """Draw the rungs' errors against depth, size and time, as an SVG. Raises StorageError."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    against: tuple[tuple[str, list[float], str], ...] = (
        ("layers with learned weights", [step.layers for step in steps], "linear"),
        ("file, kB", [step.bytes / 1000 for step in steps], "log"),
        ("sound to point, ms", [step.milliseconds for step in steps], "linear"),
    )
    for place, (name, values, scale) in zip(figure.subplots(1, 3), against, strict=True):
        errors = [100 * step.phrase for step in steps]
        place.plot(values, errors, "o", color="#c0392b")
        for step, value, error in zip(steps, values, errors, strict=True):
            place.annotate(
                step.name, (value, error), xytext=(5, 4), textcoords="offset points", fontsize=8
            )
        place.set(xlabel=name, ylabel="phrase EER, %", xscale=scale)
        place.set_ylim(bottom=0)
        place.margins(x=0.15)
        place.grid(alpha=0.3)
    save_svg(figure, path)


def _tasks(every: Figures) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return figures with an EER by task and encoder."""
    tasks: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, figures in every.items():
        for corpus, pair in figures["pair"].items():
            tasks.setdefault(f"pair, {corpus}", {})[name] = pair
        if figures["phrase"]:
            tasks.setdefault("phrase", {})[name] = figures["phrase"]
    return tasks


def _rates(every: Figures) -> str:
    rows = [
        [task, *(_percent(found["eer"], found["interval"]) for found in by_name.values())]
        for task, by_name in _tasks(every).items()
    ]
    return _table(["", *every], rows)


def _gate(every: Figures) -> str:
    rows = []
    for task in next(iter(every.values()))["open_set"]:
        for fpir in FPIRS:
            cells = [f"{task}, {fpir:.0%} of strangers let in"]
            for figures in every.values():
                found = figures["open_set"][task]
                interval = found[f"interval_at_fpir_{fpir:g}"]
                cells.append(_percent(found[f"fnir_at_fpir_{fpir:g}"], interval))
            rows.append(cells)
    return _table(["", *every], rows)


def _phrases(every: Figures) -> str:
    tables = gates({name: figures["gate"] for name, figures in every.items()})
    return "".join(_table(*head_and_rows(table)) for table in tables)


def _curves(every: Figures, axes: list[Axes]) -> None:
    probit = NormalDist().inv_cdf
    for place, (task, by_name) in zip(axes, _tasks(every).items(), strict=True):
        for name, found in by_name.items():
            drawn = [(a, m) for a, m in zip(DET, found["det"], strict=True) if 0 < m < 1]
            place.plot([probit(a) for a, _ in drawn], [probit(m) for _, m in drawn], label=name)
        ticks = [probit(tick) for tick in TICKS]
        for set_ticks in (place.set_xticks, place.set_yticks):
            set_ticks(ticks, [f"{100 * tick:g}" for tick in TICKS])
        place.set(title=task, xlabel="others let in, %", ylabel="own turned away, %")
        place.set(xlim=(ticks[0], ticks[-1]), ylim=(ticks[0], ticks[-1]))
        place.plot(ticks, ticks, color="#bbb", linewidth=0.7)
        place.grid(alpha=0.3)
        place.legend()


def _bars(every: Figures, kinds: list[str], axes: list[Axes]) -> None:
    width = 0.8 / len(every)
    for place, kind in zip(axes, kinds, strict=True):
        for number, (name, figures) in enumerate(every.items()):
            found = figures["conditions"][kind]
            rates = [100 * each["eer"] for each in found.values()]
            places = [at + number * width for at in range(len(found))]
            place.bar(places, rates, width, label=name)
            place.set_xticks(range(len(found)), list(found), rotation=45, ha="right")
        place.set(title=kind, ylabel="EER, %")
        place.legend()


def _drawn(draw: Callable[[list[Axes]], None], panels: int) -> str:
    """Return an inline SVG with panels two in a row."""
    rows = -(-panels // 2)
    figure = Figure(figsize=(10, 4.2 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.remove()
    draw(axes[:panels])
    text = as_svg(figure).decode()
    return text[text.index("<svg") :]


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table>{line(head, 'th')}{body}</table>"


def _percent(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * value:.2f} ({100 * low:.1f} to {100 * high:.1f})"
