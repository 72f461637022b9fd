"""Figures as tables in a terminal: what each command of the workshop shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edge.screen import WIDTH

if TYPE_CHECKING:  # some load TensorFlow, which takes seconds
    from training.curve import Point
    from training.ladder import Step

Figures = Mapping[str, Any]
BESIDE = {
    "beside": "beside recordings that enrolled their speakers",
    "alone": "with nothing beside them",
}


def show(tables: Iterable[Table]) -> None:
    """Print them; in a file at a width that holds them."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for table in tables:
        console.print(table)


def percent(share: float) -> str:
    """A share, to be read."""
    return f"{100 * share:.2f}"


def with_interval(value: float, interval: Sequence[float]) -> str:
    """A share and its interval, to be read."""
    low, high = interval
    return f"{percent(value)} ({percent(low)} to {percent(high)})"


def titled(title: str, *names: str) -> Table:
    """An empty table."""
    return Table(*names, title=title, box=SIMPLE_HEAD)


def evaluated(name: str, figures: Figures) -> Iterator[Table]:
    """What ``training.evaluate.evaluate`` found of an encoder."""
    table = titled(name, "protocol", "on", "figure", "%", "trials")
    rates = [("pair", corpus, pair) for corpus, pair in figures["pair"].items()]
    if figures["phrase"]:
        rates.append(("phrase", "mandarin20", figures["phrase"]))
    for corpus, conditions in figures.get("conditions", {}).items():
        rates += [(condition, corpus, found) for condition, found in conditions.items()]
    for protocol, corpus, found in rates:
        shown = with_interval(found["eer"], found["interval"])
        table.add_row(protocol, corpus, "EER", shown, _trials(found))
    for corpus, openly in figures["open_set"].items():
        for key, value in openly.items():
            if key.startswith("fnir_at_fpir_"):
                fpir = key.removeprefix("fnir_at_fpir_")
                shown = with_interval(value, openly[f"interval_at_fpir_{fpir}"])
                figure = f"FNIR at FPIR {float(fpir):.0%}"
                table.add_row("open set", corpus, figure, shown, _trials(openly))
    wrong = figures["wrong_phrase"]
    for key, figure in (("opened", "opened"), ("opened_near_alike", "opened, near-alike")):
        if key in wrong:
            trials = str(wrong[key.replace("opened", "trials")])
            table.add_row("wrong phrase", "mandarin20", figure, percent(wrong[key]), trials)
    yield table


def _trials(figures: Figures) -> str:
    return f"{figures.get('targets', figures.get('students'))} / {figures['strangers']}"


def cost_of_int8(cost: Mapping[str, Figures]) -> Iterator[Table]:
    """What ``training.evaluate.cost_of_int8`` found; no table of nothing."""
    if not cost:
        return
    names = ("trials", "EER int8, %", "float, %", "ratio", "flipped, %", "mean cosine")
    table = titled("what int8 costs", *names)
    for trials, found in cost.items():
        both = (found["eer"], found["eer_float"])
        ratio = f"{both[0] / both[1]:.3f}" if both[1] else ""
        cosine = f"{found['mean_cosine']:.4f}" if "mean_cosine" in found else ""
        table.add_row(trials, *map(percent, both), ratio, percent(found["flipped"]), cosine)
    yield table


def ladder(steps: Sequence[Step]) -> Iterator[Table]:
    """The rungs, from 39 numbers to the deep encoder."""
    names = ("rung", "what it is", "layers", "parameters", "kB", "ms")
    table = titled("EER, %", *names, *steps[0].pair, "phrase", "FNIR")
    for step in steps:
        size = (f"{step.parameters:,}", f"{step.bytes / 1000:.0f}", f"{step.milliseconds:.2f}")
        errors = map(percent, (*step.pair.values(), step.phrase, step.fnir))
        table.add_row(step.name, step.what, str(step.layers), *size, *errors)
    yield table


def curve(points: Sequence[Point]) -> Iterator[Table]:
    """Errors by how many speakers there were to learn from."""
    table = titled("EER, %", "speakers", *points[0].pair, "phrase")
    for point in points:
        table.add_row(str(point.speakers), *map(percent, (*point.pair.values(), point.phrase)))
    yield table


def endpointing(found: Mapping[str, Mapping[str, Figures]]) -> Iterator[Table]:
    """What ``training.endpointing.measure`` found."""
    names = ("recordings", "a phrase", "long pause", "< 80 % kept", "kept", "EER")
    table = titled("what endpointing loses, %", "corpus", "heard", *names, "EER, energy trim")
    for corpus, conditions in found.items():
        for name, figures in conditions.items():
            shares = (figures[key] for key in ("phrases", "with_pauses", "cut_off", "kept"))
            errors = (figures.get(f"eer_{name}") for name in ("by_gate", "by_energy"))
            shown = ("" if error is None else percent(error) for error in errors)
            recordings = str(figures["recordings"])
            table.add_row(corpus, name, recordings, *map(percent, shares), *shown)
    yield table


def scoring(found: Mapping[str, Mapping[str, float]]) -> Iterator[Table]:
    """Errors of rules for a student's score, by corpus."""
    corpora = list(next(iter(found.values())))
    table = titled("EER, %", "score", *corpora, "mean")
    for name, errors in found.items():
        mean = sum(errors.values()) / len(errors)
        table.add_row(name, *(percent(errors[corpus]) for corpus in corpora), percent(mean))
    yield table


def promises(found: Iterable[Figures]) -> Iterator[Table]:
    """What calibrations promised of schools, and what came true."""
    names = ("error", "calibrated with", "at", "threshold", "predicted", "measured", "schools")
    table = titled("what calibrations promise, %", *names)
    for each in found:
        sizes = (f"{each['calibrated']:,}, {each['voices']}", f"{each['students']:,}")
        threshold = f"{each['threshold']:.3f}, {each['at']}"
        measured = with_interval(each["measured"], (each["least"], each["most"]))
        errors = (percent(each["predicted"]), measured, str(each["schools"]))
        table.add_row(each["error"], *sizes, threshold, *errors)
    yield table


def pairs(found: Iterable[Figures]) -> Iterator[Table]:
    """How alike recordings of one speaker are, and of two."""
    table = titled("cosines of pairs", "voices", "same speaker", "another", "EER, %")
    for each in found:
        spreads = [
            f"{each[f'{kind}_mean']:.3f} ± {each[f'{kind}_deviation']:.3f}"
            for kind in ("same", "other")
        ]
        table.add_row(each["voices"], *spreads, percent(each["eer"]))
    yield table


def speed(taken: Mapping[str, float]) -> Iterator[Table]:
    """Milliseconds by what took them; the first is the measure."""
    first = next(iter(taken.values()))
    table = titled("1.5 s of sound", "what", "median ms", "times the first")
    for name, milliseconds in taken.items():
        table.add_row(name, f"{milliseconds:.2f}", f"{milliseconds / first:.2f}")
    yield table


def loudspeaker(found: Figures) -> Iterator[Table]:
    """Errors of the detector of loudspeakers."""
    for beside, figures in found.items():
        title = "simulated replays, " + BESIDE[beside]
        table = titled(title, "figure", "%, 95 % interval", "of")
        for name, figure in figures.items():
            if name.startswith("eer"):
                table.add_row(name, percent(figure), "")
            elif isinstance(figure, dict):
                shown = with_interval(figure["share"], (figure["low"], figure["high"]))
                table.add_row(name, shown, str(figure["of"]))
        yield table
