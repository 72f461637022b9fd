"""Figures as tables in a terminal: what each command of the workshop shows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kaimen.screen import WIDTH

if TYPE_CHECKING:  # some load TensorFlow, which takes seconds
    from kaimen_train.encoder.ladder import Step

Figures = Mapping[str, Any]
BESIDE = {
    "beside": "beside recordings that enrolled their speakers",
    "alone": "with nothing beside them",
}


def show(tables: Iterable[Table], *, as_markdown: bool = False) -> None:
    """Print them; in a file at a width that holds them."""
    if as_markdown:
        sys.stdout.writelines(markdown(table) for table in tables)
        return
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for table in tables:
        console.print(table)


def markdown(table: Table) -> str:
    """Return a table as the docs have them."""
    head, rows = head_and_rows(table)
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"{table.title}\n", *lines]) + "\n\n"


def head_and_rows(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return what is in a table, to be shown otherwise."""
    columns = ([str(cell) for cell in column.cells] for column in table.columns)
    rows = [list(row) for row in zip(*columns, strict=True)]
    return [str(column.header) for column in table.columns], rows


def percent(share: float) -> str:
    """Return a share, to be read."""
    return f"{100 * share:.2f}"


def with_interval(value: float, interval: Sequence[float]) -> str:
    """Return a share and its interval, to be read."""
    low, high = interval
    return f"{percent(value)} ({percent(low)} to {percent(high)})"


def titled(title: str, *names: str) -> Table:
    """Return an empty table."""
    return Table(*names, title=title, box=SIMPLE_HEAD)


def evaluated(name: str, figures: Figures) -> Iterator[Table]:
    """Yield what ``kaimen_train.evaluation.evaluate.evaluate`` found of an encoder."""
    table = titled(name, "protocol", "on", "figure", "%", "trials")
    rates = [("pair", corpus, pair) for corpus, pair in figures["pair"].items()]
    if figures["phrase"]:
        rates.append(("phrase", "mandarin20", figures["phrase"]))
    for corpus, conditions in figures.get("conditions", {}).items():
        rates += [(condition, corpus, found) for condition, found in conditions.items()]
    rates += _sentences_and_days(figures.get("gate", {}))
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


def _sentences_and_days(gate: Figures) -> Iterator[tuple[str, str, Figures]]:
    for group, found in gate.get("sentences", {}).items():
        yield "sentences", group, found
    for group, lengths in gate.get("by_corpus", {}).get("calls", {}).items():
        if group.endswith(("day", "phone")):
            for length, what in (("1", "words"), ("sentence", "sentences")):
                if length in lengths:
                    yield f"days, {what}", group, lengths[length]


def gate(name: str, figures: Figures) -> Iterator[Table]:
    """Yield what ``kaimen_train.evaluation.gate_protocol.evaluate`` found of an encoder."""
    every = list(_gates(figures))
    if not every:
        return
    fmrs = list(every[0][2]["fnir"])
    title = f"{name}: FNIR in % (95 % interval) at an FMR of; ~ by a fitted tail"
    table = titled(title, "on", "words", "EER, %", *(f"{float(fmr):.0e}" for fmr in fmrs))
    for on, length, found in every:
        cells = (_fnir(found["fnir"][fmr], interval=True) for fmr in fmrs)
        table.add_row(on, length, percent(found["eer"]), *cells)
    yield table


def gate_trials(figures: Figures) -> Iterator[Table]:
    """Behind how many trials the figures of the gate are; no table of nothing."""
    table = titled("trials", "on", "words", "speakers", "of students", "of strangers")
    for on, length, found in _gates(figures):
        counts = (found[each] for each in ("speakers", "targets", "strangers"))
        table.add_row(on, length, *(f"{count:,}" for count in counts))
    if table.rows:
        yield table


def gates(every: Mapping[str, Figures], fmr: str = "0.0001") -> Iterator[Table]:
    """Several encoders side by side, and what is left of one word's FNIR by four words."""
    title = f"FNIR in % at an FMR of {float(fmr):.0e}; ~ by a fitted tail"
    table = titled(title, "on", "speakers", "words", *every)
    rows: dict[tuple[str, ...], list[str]] = {}
    for figures in every.values():
        shares: dict[tuple[str, ...], dict[str, str]] = {}
        for on, length, found in _gates(figures):
            if not on.endswith(("phone", "four")):
                key = (on, str(found["speakers"]), "sentence" if length == "sentence" else "words")
                shares.setdefault(key, {})[length] = _fnir(found["fnir"][fmr])
        for (on, speakers, kind), cells in shares.items():
            length = kind if kind == "sentence" else " / ".join(cells)
            rows.setdefault((on, speakers, length), []).append(" / ".join(cells.values()))
        left = figures["left_by_four_words"]
        if left:
            shown = f"{100 * left['mean']:.0f}"
            rows.setdefault(("left by four words, % of one's", "", ""), []).append(shown)
    for names, row in rows.items():
        table.add_row(*names, *row)
    if rows:
        yield table


def _gates(figures: Figures) -> Iterator[tuple[str, str, Figures]]:
    """Yield what it is measured on, the length, and the figures."""
    for corpus, groups in figures["by_corpus"].items():
        for group, lengths in groups.items():
            for length, found in lengths.items():
                yield (corpus if group == "everybody" else f"{corpus}, {group}"), length, found


def _fnir(found: Figures, *, interval: bool = False) -> str:
    low, high = (_whole(edge) for edge in found["interval"])
    beside = f" ({low}–{high})" if interval else ""
    return f"{'' if found['counted'] else '~'}{_whole(found['share'])}{beside}"


def _whole(share: float) -> str:
    """Return two digits of a share in %: no more can be known of so few speakers."""
    return f"{100 * share:.0f}" if share >= 0.0995 or not share else f"{100 * share:.1f}"


def _trials(figures: Figures) -> str:
    return f"{figures.get('targets', figures.get('students'))} / {figures['strangers']}"


def cost_of_int8(cost: Mapping[str, Figures]) -> Iterator[Table]:
    """Yield what ``kaimen_train.evaluation.evaluate.cost_of_int8`` found; no table of nothing."""
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
    """Yield the rungs, from 39 numbers to the deep encoder."""
    names = ("rung", "what it is", "layers", "parameters", "kB", "ms")
    table = titled("EER, %", *names, *steps[0].pair, "phrase", "FNIR")
    for step in steps:
        size = (f"{step.parameters:,}", f"{step.bytes / 1000:.0f}", f"{step.milliseconds:.2f}")
        errors = map(percent, (*step.pair.values(), step.phrase, step.fnir))
        table.add_row(step.name, step.what, str(step.layers), *size, *errors)
    yield table


def endpointing(found: Mapping[str, Mapping[str, Figures]]) -> Iterator[Table]:
    """Yield what ``kaimen_train.evaluation.endpointing.measure`` found."""
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


def recorded(
    impairments: Sequence[Figures], gain_steps: Sequence[Figures], formats: Sequence[Figures]
) -> Iterator[Table]:
    """Yield what ``kaimen_train.evaluation.recorded`` found; a table of each that was measured."""
    if impairments:
        table = titled(
            "loss of score",
            "corpus", "probes", "impairment", "loss", "of one in ten", "FNIR, %", "named, %",
        )  # fmt: skip
        for each in impairments:
            losses = (f"{each[key]:.2f}" for key in ("loss", "loss_of_one_in_ten"))
            said = (each["corpus"], str(each["probes"]), each["impairment"])
            table.add_row(*said, *losses, percent(each["fnir"]), percent(each["named"]))
        yield table
    if gain_steps:
        steps = [name for name in gain_steps[0] if name not in ("corpus", "recordings")]
        table = titled("said to have a gain that jumps, %", "corpus", "recordings", *steps)
        for each in gain_steps:
            shares = (percent(each[name]) for name in steps)
            table.add_row(each["corpus"], str(each["recordings"]), *shares)
        yield table
    if formats:
        names = (
            "enrolled at", "as", "channels", "heard as", "threshold", "own score", "at 16 kHz",
            "at 48 kHz",
        )  # fmt: skip
        table = titled("FNIR, %", "corpus", "probes", *names)
        for each in formats:
            band = "wide" if each["band"] is None else f"{each['band'] / 1000:g} kHz"
            table.add_row(
                each["corpus"],
                str(each["probes"]),
                f"{each['rate'] / 1000:g} kHz",
                each["form"],
                str(each["channels"]),
                band,
                f"{each['threshold']:.2f}",
                f"{each['own_score_16000']:.2f}",
                percent(each["fnir_16000"]),
                percent(each["fnir_48000"]),
            )
        yield table


def claims(found: Iterable[Figures]) -> Iterator[Table]:
    """Yield what a claim turns away and lets in, by corpus, threshold and rule."""
    names = ("of", "students", "FMR", "threshold", "another", "true refused", "false opened")
    table = titled("claims, %", *names)
    for each in found:
        rule = each["rule"] if isinstance(each["rule"], str) else f"higher by {each['rule']:g}"
        table.add_row(
            each["corpus"],
            str(each["students"]),
            f"{each['fmr']:.0%}",
            f"{each['threshold']:.3f}",
            rule,
            f"{percent(each['fnmr'])} of {each['true_claims']:,}",
            f"{percent(each['false'])} of {each['false_claims']:,}",
        )
    yield table


def promises(found: Iterable[Figures]) -> Iterator[Table]:
    """Yield what calibrations promised of schools, and what came true."""
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
    """Yield how alike recordings of one speaker are, and of two."""
    table = titled("cosines of pairs", "voices", "same speaker", "another", "EER, %")
    for each in found:
        spreads = [
            f"{each[f'{kind}_mean']:.3f} ± {each[f'{kind}_deviation']:.3f}"
            for kind in ("same", "other")
        ]
        table.add_row(each["voices"], *spreads, percent(each["eer"]))
    yield table


def speed(taken: Mapping[str, float]) -> Iterator[Table]:
    """Yield milliseconds by what took them; the first is the measure."""
    first = next(iter(taken.values()))
    table = titled("1.5 s of sound", "what", "median ms", "times the first")
    for name, milliseconds in taken.items():
        table.add_row(name, f"{milliseconds:.2f}", f"{milliseconds / first:.2f}")
    yield table


def loudspeaker(found: Figures) -> Iterator[Table]:
    """Yield errors of the detector of loudspeakers."""
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
