"""``kaimen-train``: the workshop's command line.

Exit codes as of ``kaimen``: 0 done; 2 wrong usage or manifest; 4 an encoder that is missing
or damaged; 130 interrupted, and a run that was interrupted goes on when asked again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge.errors import KaimenError
from edge.gallery.synthetic import MODELS
from edge.screen import WIDTH
from edge.voice import LOUDSPEAKER, PHRASE, SHIPPED
from edge.voice.encoder import Encoder
from training import latent_commands
from training.corpus import read_manifest
from training.evaluate import PEERS
from training.parts import adding

MANIFEST = Path("../shared/speech/manifest.csv")
FOLDER = Path("build")
WEIGHTS = Path(__file__).parent / "weights" / "deep.weights.h5"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="kaimen-train", description="Recordings become an encoder.")
    subs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    manifest = argparse.ArgumentParser(add_help=False)
    manifest.add_argument(
        "manifest", type=Path, nargs="?", default=MANIFEST, help=f"default {MANIFEST}"
    )
    work = argparse.ArgumentParser(add_help=False)
    work.add_argument("--folder", type=Path, default=FOLDER, help="for checkpoints and caches")
    add = adding(subs)
    fitting = add(
        "fit",
        "train the deep encoder; goes on where it was interrupted",
        "kaimen-train fit speech/manifest.csv --steps 9000",
        manifest,
        work,
    )
    fitting.add_argument("--steps", type=int, default=9_000, help="batches (default 9000)")
    exporting = add(
        "export",
        "quantize the trained encoder, compare both runtimes, write it with its card",
        "kaimen-train export speech/manifest.csv --out edge/models/encoder.tflite",
        manifest,
        work,
    )
    exporting.add_argument("--out", type=Path, default=SHIPPED, help="the .tflite to write")
    climbing = add(
        "ladder",
        "train, export and measure every rung from the 39 features to the deep encoder",
        "kaimen-train ladder speech/manifest.csv --figure ladder.svg",
        manifest,
        work,
    )
    climbing.add_argument(
        "--encoder", type=Path, default=SHIPPED, help="the deep encoder, made by 'fit' and 'export'"
    )
    climbing.add_argument("--figure", type=Path, metavar="FILE", help="draw the errors as an SVG")
    climbing.add_argument("--json", action="store_true", help="one JSON object a rung")
    learning = add(
        "curve",
        "train briefly on shares of the voices: what more of them would buy",
        "kaimen-train curve speech/manifest.csv --figure curve.svg",
        manifest,
        work,
    )
    learning.add_argument("--figure", type=Path, metavar="FILE", help="draw the errors as an SVG")
    learning.add_argument("--json", action="store_true", help="one JSON object a run")
    scoring = add(
        "scoring",
        "compare rules for a student's score, on speakers held out of training",
        "kaimen-train scoring speech/manifest.csv",
        manifest,
        work,
    )
    scoring.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    scoring.add_argument("--json", action="store_true", help="one JSON object")
    schooling = add(
        "school",
        "draw a synthetic school from voices as they were measured",
        "kaimen-train school speech/manifest.csv --fit --figure school.svg",
        manifest,
        work,
    )
    schooling.add_argument("--students", type=int, default=20_000, help="default 20000")
    schooling.add_argument("--recordings", type=int, default=5, help="of each (default 5)")
    schooling.add_argument(
        "--fit", action="store_true", help="measure the training speakers' voices anew"
    )
    schooling.add_argument("--model", choices=MODELS, help="what draws it (default: diffusion)")
    schooling.add_argument(
        "--compare", action="store_true", help="the models against each other and real voices"
    )
    schooling.add_argument(
        "--check", action="store_true", help="what calibrations promise against what comes true"
    )
    schooling.add_argument(
        "--check-voices", action="store_true", help="the same with the voices of the eval split"
    )
    schooling.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw it beside the eval split as an SVG"
    )
    schooling.add_argument("--out", type=Path, metavar="FILE", help="the school as an .npz")
    schooling.add_argument("--json", action="store_true", help="one JSON object a line")
    timing = add(
        "speed",
        "time a phrase in int8, in float32 and at the peers, one thread each",
        "kaimen-train speed --peer ge2e",
    )
    timing.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    timing.add_argument(
        "--weights", type=Path, default=WEIGHTS, metavar="FILE", help="its float network"
    )
    timing.add_argument(
        "--peer", choices=("ge2e", "campplus"), action="append", default=[], help="a peer, too"
    )
    timing.add_argument("--json", action="store_true", help="one JSON object")
    listening = add(
        "loudspeaker",
        "train the detector of loudspeakers on simulated replays, and measure it",
        "kaimen-train loudspeaker speech/manifest.csv --evaluate",
        manifest,
        work,
    )
    listening.add_argument("--detector", type=Path, default=LOUDSPEAKER, help="its .npz")
    listening.add_argument(
        "--evaluate", action="store_true", help="only measure the detector as it is"
    )
    listening.add_argument("--json", action="store_true", help="one JSON object")
    wording = add(
        "phrase",
        "train the phrase encoder and export it; goes on where it was interrupted",
        "kaimen-train phrase speech/manifest.csv --steps 9000",
        manifest,
        work,
    )
    wording.add_argument("--steps", type=int, default=9_000, help="batches (default 9000)")
    wording.add_argument("--out", type=Path, default=PHRASE, help="the .tflite to write")
    walking = add(
        "latent",
        "train, measure and walk the latent space of an autoencoder",
        "kaimen-train latent walk anna.wav bob.wav --out walk",
    )
    latent_commands.add(walking, manifest, work)
    checking = add(
        "checks",
        "measure the checks beside the voice on the eval split: words, replays, second tries",
        "kaimen-train checks speech/manifest.csv --json",
        manifest,
    )
    checking.add_argument("--json", action="store_true", help="one JSON object")
    adapting = add(
        "adapt",
        "adapt the encoder to a school's recordings, where that tells other students better apart",
        "kaimen-train adapt --speech school/ --out adapted.tflite\n  kaimen-train adapt --check",
        manifest,
        work,
    )
    what = adapting.add_mutually_exclusive_group(required=True)
    what.add_argument("--speech", type=Path, metavar="FOLDER", help="student/recording.mp3")
    what.add_argument("--check", action="store_true", help="what it buys on the eval split")
    adapting.add_argument("--out", type=Path, default=Path("adapted.tflite"), help="to write")
    adapting.add_argument("--encoder", type=Path, default=SHIPPED, help="to be adapted")
    adapting.add_argument("--weights", type=Path, default=WEIGHTS, help="its float network")
    adapting.add_argument("--json", action="store_true", help="one JSON object")
    measuring = add(
        "evaluate",
        "measure an encoder by the protocols, on the eval split",
        "kaimen-train evaluate speech/manifest.csv --peer ge2e --report accuracy.html",
        manifest,
        work,
    )
    measuring.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    measuring.add_argument(
        "--peer", choices=PEERS, action="append", default=[], help="a peer on the same trials, too"
    )
    measuring.add_argument(
        "--weights", type=Path, metavar="FILE", help="the float network on the same trials, too"
    )
    measuring.add_argument(
        "--conditions", action="store_true", help="also in noise, in rooms, cut short"
    )
    measuring.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    measuring.add_argument("--json", action="store_true", help="one JSON object")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    chosen = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    try:
        return COMMANDS[chosen.command](chosen)
    except KaimenError as error:
        shown = Console(stderr=True, highlight=False, soft_wrap=True)
        shown.print(f"[red]✗[/red] {escape(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


# TensorFlow takes seconds to import, so each command imports only what it needs.
def _fit(chosen: argparse.Namespace) -> int:
    from training.fit import Plan, fit
    from training.networks import RUNGS

    fit(read_manifest(chosen.manifest), chosen.folder, Plan(steps=chosen.steps), RUNGS["deep"])
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from training.evaluate import embedded, evaluate, hear, of_encoder
    from training.export import add_measured, export
    from training.networks import RUNGS

    rows = read_manifest(chosen.manifest)
    export(rows, chosen.folder, RUNGS["deep"], chosen.out)
    with of_encoder(chosen.out) as embed:
        figures = evaluate(embedded(hear(rows), embed))
    card = add_measured(chosen.out, _without_curves(figures))
    Console().print_json(data=asdict(card))
    return 0


def _ladder(chosen: argparse.Namespace) -> int:
    from training.ladder import climb
    from training.report import draw_ladder

    Encoder(chosen.encoder)
    steps = climb(read_manifest(chosen.manifest), chosen.folder, chosen.encoder)
    if chosen.figure:
        draw_ladder(steps, chosen.figure)
    if chosen.json:
        sys.stdout.writelines(json.dumps(asdict(step)) + "\n" for step in steps)
        return 0
    names = ("rung", "what it is", "layers", "parameters", "kB", "ms")
    table = Table(*names, *steps[0].pair, "phrase", "FNIR", title="EER, %", box=SIMPLE_HEAD)
    for step in steps:
        size = (f"{step.parameters:,}", f"{step.bytes / 1000:.0f}", f"{step.milliseconds:.2f}")
        errors = map(_percent, (*step.pair.values(), step.phrase, step.fnir))
        table.add_row(step.name, step.what, str(step.layers), *size, *errors)
    _show(table)
    return 0


def _curve(chosen: argparse.Namespace) -> int:
    from training.curve import curve
    from training.report import draw_curve

    points = curve(read_manifest(chosen.manifest), chosen.folder)
    if chosen.figure:
        draw_curve(points, chosen.figure)
    if chosen.json:
        sys.stdout.writelines(json.dumps(asdict(point)) + "\n" for point in points)
        return 0
    table = Table("speakers", *points[0].pair, "phrase", title="EER, %", box=SIMPLE_HEAD)
    for point in points:
        table.add_row(str(point.speakers), *map(_percent, (*point.pair.values(), point.phrase)))
    _show(table)
    return 0


def _scoring(chosen: argparse.Namespace) -> int:
    from training.scoring import compare

    found = compare(read_manifest(chosen.manifest), chosen.folder, chosen.encoder)
    if chosen.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    corpora = list(next(iter(found.values())))
    table = Table("score", *corpora, "mean", title="EER, %", box=SIMPLE_HEAD)
    for name, errors in found.items():
        mean = sum(errors.values()) / len(errors)
        table.add_row(name, *(_percent(errors[corpus]) for corpus in corpora), _percent(mean))
    _show(table)
    return 0


def _school(chosen: argparse.Namespace) -> int:
    from edge.gallery import synthetic
    from training import forecast, school
    from training.evaluate import embedded, hear, of_encoder

    needed = chosen.fit or chosen.figure or chosen.check_voices or chosen.compare
    rows = read_manifest(chosen.manifest) if needed else []
    encoder = Encoder()
    if chosen.fit:
        from training import generate

        fitted = generate.fit(*school.embed(rows, chosen.folder, encoder), encoder.identity)
        fitted.turned().save(synthetic.SHIPPED)
    population = synthetic.load(synthetic.SHIPPED, chosen.model)
    if population.encoder != encoder.identity:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        said.print("measured of another encoder's voiceprints; measure them anew with --fit")
    if chosen.out:
        school.write(population, chosen.students, chosen.recordings, chosen.out)
    if chosen.compare:
        from training.generate import report as comparison
        from training.generate.compare import compare

        compared = compare(rows, chosen.folder)
        if chosen.figure:
            comparison.draw(compared, chosen.figure)
        found, table = comparison.rows(compared), comparison.table(compared)
    elif chosen.check or chosen.check_voices:
        promises = {}
        if chosen.check:
            promises["synthetic"] = forecast.check(population, encoder.card, chosen.recordings)
        if chosen.check_voices:
            with of_encoder(SHIPPED) as embed:
                made = embedded(hear(rows), embed)
            each_of = forecast.check_voices(made, encoder.identity, encoder.card)
            promises |= {corpus: [promise] for corpus, promise in each_of.items()}
        found = [
            {"voices": voices, **promise.fields()}
            for voices, some in promises.items()
            for promise in some
        ]
        table = Table(title="what calibrations promise, %", box=SIMPLE_HEAD)
        names = ("error", "calibrated with", "at", "threshold", "predicted", "measured", "schools")
        for name in names:
            table.add_column(name)
        for each in found:
            sizes = (f"{each['calibrated']:,}, {each['voices']}", f"{each['students']:,}")
            threshold = f"{each['threshold']:.3f}, {each['at']}"
            measured = _with_interval(each["measured"], (each["least"], each["most"]))
            errors = (_percent(each["predicted"]), measured, str(each["schools"]))
            table.add_row(each["error"], *sizes, threshold, *errors)
    else:
        every = {"synthetic": school.synthetic_pairs(population)}
        if chosen.figure:
            real = school.real_pairs(rows)
            school.draw_pairs(every["synthetic"], real, chosen.figure)
            every |= real
        found = [{"voices": name, **pairs.figures()} for name, pairs in every.items()]
        names = ("voices", "same speaker", "another", "EER, %")
        table = Table(*names, title="cosines of pairs", box=SIMPLE_HEAD)
        for each in found:
            spreads = [
                f"{each[f'{kind}_mean']:.3f} ± {each[f'{kind}_deviation']:.3f}"
                for kind in ("same", "other")
            ]
            table.add_row(each["voices"], *spreads, _percent(each["eer"]))
    if chosen.json:
        sys.stdout.writelines(json.dumps(each) + "\n" for each in found)
    else:
        _show(table)
    return 0


def _phrase(chosen: argparse.Namespace) -> int:
    from edge.voice.phrase import PhraseEncoder
    from training.phrase import Plan, add_measured, export, fit
    from training.phrase_protocol import cost, evaluate

    rows = read_manifest(chosen.manifest)
    fit(rows, chosen.folder, Plan(steps=chosen.steps))
    export(rows, chosen.folder, chosen.out)
    encoder = PhraseEncoder(chosen.out)
    figures = {**evaluate(rows, encoder), "adds_of_time": cost(encoder, Encoder())}
    card = add_measured(chosen.out, figures)
    Console().print_json(data=asdict(card))
    return 0


def _checks(chosen: argparse.Namespace) -> int:
    from training import check_tables

    found = check_tables.measure(read_manifest(chosen.manifest))
    if chosen.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    for table in check_tables.tables(found):
        _show(table)
    return 0


def _adapt(chosen: argparse.Namespace) -> int:
    from training import adapt_tables

    if chosen.check:
        from training.adapt_protocol import check

        rows = read_manifest(chosen.manifest)
        found = check(rows, chosen.folder, chosen.encoder, chosen.weights)
    else:
        from training.adapt import adapt_if_better

        found = adapt_if_better(chosen.speech, chosen.encoder, chosen.weights, chosen.out)
    if chosen.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    for table in adapt_tables.checked(found) if chosen.check else adapt_tables.adapted(found):
        _show(table)
    return 0


def _speed(chosen: argparse.Namespace) -> int:
    from training.export import from_weights
    from training.speed import measure

    card = Encoder(chosen.encoder).card
    with tempfile.TemporaryDirectory() as scratch:
        float32 = from_weights(chosen.weights, card, Path(scratch, "float32.tflite"))
        taken = measure(chosen.encoder, float32, chosen.peer)
    if chosen.json:
        sys.stdout.write(json.dumps(taken) + "\n")
        return 0
    first = next(iter(taken.values()))
    table = Table("what", "median ms", "times the first", title="1.5 s of sound", box=SIMPLE_HEAD)
    for name, milliseconds in taken.items():
        table.add_row(name, f"{milliseconds:.2f}", f"{milliseconds / first:.2f}")
    _show(table)
    return 0


def _loudspeaker(chosen: argparse.Namespace) -> int:
    from training.loudspeaker import evaluate, fit

    rows = read_manifest(chosen.manifest)
    if not chosen.evaluate:
        fit(rows, chosen.folder, chosen.detector)
    found = evaluate(rows, chosen.folder, chosen.detector, keep=not chosen.evaluate)
    if chosen.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    table = Table("figure", "%, 95 % interval", "of", title="simulated replays", box=SIMPLE_HEAD)
    for name, figure in found.items():
        if name.startswith("eer"):
            table.add_row(name, _percent(figure), "")
        elif isinstance(figure, dict):
            shown = _with_interval(figure["share"], (figure["low"], figure["high"]))
            table.add_row(name, shown, str(figure["of"]))
    _show(table)
    return 0


def _without_curves(figures: Any) -> Any:
    """Figures less the points of the DET curves: a card is for reading."""
    if not isinstance(figures, dict):
        return figures
    return {key: _without_curves(value) for key, value in figures.items() if key != "det"}


def _evaluate(chosen: argparse.Namespace) -> int:
    from training import evaluate as measuring

    Encoder(chosen.encoder)  # a bad file is said before anything is read
    rows = read_manifest(chosen.manifest)
    heard = measuring.hear(rows)
    every: dict[str, dict[str, Any]] = {}
    made: dict[str, measuring.Embedded] = {}
    with tempfile.TemporaryDirectory() as scratch:
        measured = {"int8": lambda: measuring.of_encoder(chosen.encoder)}
        if chosen.weights:
            from training.export import from_weights

            card = Encoder(chosen.encoder).card
            float32 = from_weights(chosen.weights, card, Path(scratch, "float32.tflite"))
            measured["float"] = lambda: measuring.of_encoder(float32)
        for peer in chosen.peer:
            measured[peer] = lambda peer=peer: measuring.of_peer(peer)
        for name, begin in measured.items():
            with begin() as embed:
                made[name] = measuring.embedded(heard, embed)
                every[name] = measuring.evaluate(made[name])
                if chosen.conditions:
                    from training.conditions import under_conditions

                    conditions = under_conditions(made[name], embed, rows, chosen.folder)
                    every[name]["conditions"] = conditions
    cost = measuring.cost_of_int8(made["int8"], made["float"]) if chosen.weights else {}
    if chosen.report:
        from training.report import write

        write(every, chosen.report)
    if chosen.json:
        # The encoder's own figures come first, those of others beside them by name.
        own = every.pop("int8")
        sys.stdout.write(json.dumps({**own, "cost_of_int8": cost, "others": every}) + "\n")
    else:
        for name, figures in every.items():
            _print(figures, name)
        if cost:
            _print_cost(cost)
    return 0


def _print(figures: dict[str, Any], name: str) -> None:
    table = Table("protocol", "on", "figure", "%", "trials", title=name, box=SIMPLE_HEAD)
    rates = [("pair", corpus, pair) for corpus, pair in figures["pair"].items()]
    if figures["phrase"]:
        rates.append(("phrase", "mandarin20", figures["phrase"]))
    for corpus, conditions in figures.get("conditions", {}).items():
        rates += [(condition, corpus, found) for condition, found in conditions.items()]
    for protocol, corpus, found in rates:
        shown = _with_interval(found["eer"], found["interval"])
        table.add_row(protocol, corpus, "EER", shown, _trials(found))
    for corpus, openly in figures["open_set"].items():
        for key, value in openly.items():
            if key.startswith("fnir_at_fpir_"):
                fpir = key.removeprefix("fnir_at_fpir_")
                shown = _with_interval(value, openly[f"interval_at_fpir_{fpir}"])
                figure = f"FNIR at FPIR {float(fpir):.0%}"
                table.add_row("open set", corpus, figure, shown, _trials(openly))
    wrong = figures["wrong_phrase"]
    for key, figure in (("opened", "opened"), ("opened_near_alike", "opened, near-alike")):
        if key in wrong:
            trials = str(wrong[key.replace("opened", "trials")])
            table.add_row("wrong phrase", "mandarin20", figure, _percent(wrong[key]), trials)
    _show(table)


def _print_cost(cost: dict[str, dict[str, float]]) -> None:
    names = ("trials", "EER int8, %", "float, %", "ratio", "flipped, %", "mean cosine")
    table = Table(*names, title="what int8 costs", box=SIMPLE_HEAD)
    for trials, found in cost.items():
        both = (found["eer"], found["eer_float"])
        ratio = f"{both[0] / both[1]:.3f}" if both[1] else ""
        cosine = f"{found['mean_cosine']:.4f}" if "mean_cosine" in found else ""
        table.add_row(trials, *map(_percent, both), ratio, _percent(found["flipped"]), cosine)
    _show(table)


def _show(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)


def _with_interval(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{_percent(value)} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _trials(figures: dict[str, Any]) -> str:
    return f"{figures.get('targets', figures.get('students'))} / {figures['strangers']}"


COMMANDS = {
    "fit": _fit,
    "export": _export,
    "ladder": _ladder,
    "curve": _curve,
    "scoring": _scoring,
    "school": _school,
    "phrase": _phrase,
    "checks": _checks,
    "latent": latent_commands.run,
    "adapt": _adapt,
    "speed": _speed,
    "loudspeaker": _loudspeaker,
    "evaluate": _evaluate,
}


if __name__ == "__main__":
    sys.exit(main())
