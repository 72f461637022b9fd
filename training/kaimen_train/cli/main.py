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
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kaimen.bench.synthetic import MODELS
from kaimen.errors import KaimenError
from kaimen.voice import LOUDSPEAKER, PHRASE, SHIPPED, SMALL
from kaimen.voice.encoder import Encoder
from kaimen_train.cli import latent
from kaimen_train.cli.parser import adding
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import tables
from kaimen_train.evaluation.evaluate import PEERS

MANIFEST = Path("../shared/speech/manifest.csv")
FOLDER = Path("build")
WEIGHTS = Path(__file__).parents[1] / "weights" / "large.weights.h5"


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
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", choices=("large", "small"), default="large", help="which of the two that ship"
    )
    add = adding(subs)
    fitting = add(
        "fit",
        "train an encoder; goes on where it was interrupted",
        "kaimen-train fit speech/manifest.csv --model large",
        manifest,
        work,
        model,
    )
    fitting.add_argument("--steps", type=int, metavar="N", help="batches (default: as it shipped)")
    exporting = add(
        "export",
        "quantize the trained encoder, compare both runtimes, write it with its card",
        "kaimen-train export speech/manifest.csv --out edge/kaimen/models/encoder.tflite",
        manifest,
        work,
        model,
    )
    exporting.add_argument("--out", type=Path, metavar="FILE", help="default: the one that ships")
    climbing = add(
        "ladder",
        "train, export and measure every rung from the 39 features to the deep encoder",
        "kaimen-train ladder speech/manifest.csv --figure ladder.svg",
        manifest,
        work,
    )
    climbing.add_argument(
        "--encoder", type=Path, default=SMALL, help="the deep encoder, made by 'fit' and 'export'"
    )
    climbing.add_argument("--figure", type=Path, metavar="FILE", help="draw the errors as an SVG")
    climbing.add_argument("--json", action="store_true", help="one JSON object a rung")
    cutting = add(
        "endpointing",
        "measure what the gate's endpointing loses: whole, cut tightly, with offset, hum and noise",
        "kaimen-train endpointing speech/manifest.csv --every 5",
        manifest,
    )
    cutting.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    cutting.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every Nth text of a corpus"
    )
    cutting.add_argument("--json", action="store_true", help="one JSON object")
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
        "--encoder", type=Path, default=SHIPPED, help="whose points it is to know"
    )
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
    latent.add(walking, manifest, work)
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
    told = measuring.add_mutually_exclusive_group()
    told.add_argument("--json", action="store_true", help="one JSON object")
    told.add_argument("--markdown", action="store_true", help="tables as the docs have them")
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
    rows = read_manifest(chosen.manifest)
    if chosen.model == "large":
        from kaimen_train.encoder.transfer import TUNING, fit_large

        fit_large(rows, chosen.folder, replace(TUNING, steps=chosen.steps or TUNING.steps))
    else:
        from kaimen_train.encoder.fit import EncoderPlan, fit
        from kaimen_train.networks import RUNGS

        fit(
            rows, chosen.folder, EncoderPlan(steps=chosen.steps or EncoderPlan.steps), RUNGS["deep"]
        )
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from kaimen_train.encoder.export import add_measured, export
    from kaimen_train.evaluation.evaluate import embedded, evaluate, hear, of_encoder
    from kaimen_train.networks import LARGE, RUNGS

    rows = read_manifest(chosen.manifest)
    large = chosen.model == "large"
    out = chosen.out or (SHIPPED if large else SMALL)
    export(rows, chosen.folder, LARGE if large else RUNGS["deep"], out)
    with of_encoder(out) as embed:
        figures = evaluate(embedded(hear(rows), embed))
    card = add_measured(out, _without_curves(figures))
    Console().print_json(data=asdict(card))
    return 0


def _ladder(chosen: argparse.Namespace) -> int:
    from kaimen_train.encoder.ladder import climb
    from kaimen_train.evaluation.report import draw_ladder

    Encoder(chosen.encoder)
    steps = climb(read_manifest(chosen.manifest), chosen.folder, chosen.encoder)
    if chosen.figure:
        draw_ladder(steps, chosen.figure)
    return _shown(chosen, [asdict(step) for step in steps], tables.ladder(steps))


def _endpointing(chosen: argparse.Namespace) -> int:
    from kaimen_train.evaluation.endpointing import measure
    from kaimen_train.evaluation.evaluate import of_encoder

    rows = read_manifest(chosen.manifest)
    with of_encoder(chosen.encoder) as embed:
        found = measure(rows, embed, nth=max(1, chosen.every))
    return _shown(chosen, [found], tables.endpointing(found))


def _curve(chosen: argparse.Namespace) -> int:
    from kaimen_train.evaluation.curve import curve
    from kaimen_train.evaluation.report import draw_curve

    points = curve(read_manifest(chosen.manifest), chosen.folder)
    if chosen.figure:
        draw_curve(points, chosen.figure)
    return _shown(chosen, [asdict(point) for point in points], tables.curve(points))


def _scoring(chosen: argparse.Namespace) -> int:
    from kaimen_train.evaluation.scoring import compare

    found = compare(read_manifest(chosen.manifest), chosen.folder, chosen.encoder)
    return _shown(chosen, [found], tables.scoring(found))


def _school(chosen: argparse.Namespace) -> int:
    from kaimen.bench import synthetic
    from kaimen_train.evaluation.evaluate import embedded, hear, of_encoder
    from kaimen_train.school import forecast, school

    needed = chosen.fit or chosen.figure or chosen.check_voices or chosen.compare
    rows = read_manifest(chosen.manifest) if needed else []
    encoder = Encoder()
    if chosen.fit:
        from kaimen_train.autoencoder import generate

        fitted = generate.fit(*school.embed(rows, chosen.folder, encoder), encoder.identity)
        fitted.turned().save(synthetic.SHIPPED)
    population = synthetic.load(synthetic.SHIPPED, chosen.model)
    if population.encoder != encoder.identity:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        said.print("measured of another encoder's voiceprints; measure them anew with --fit")
    if chosen.out:
        school.write(population, chosen.students, chosen.recordings, chosen.out)
    shown: Iterable[Table]
    if chosen.compare:
        from kaimen_train.autoencoder.generate import report as comparison
        from kaimen_train.autoencoder.generate.compare import compare

        compared = compare(rows, chosen.folder)
        if chosen.figure:
            comparison.draw(compared, chosen.figure)
        found, shown = comparison.rows(compared), [comparison.table(compared)]
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
        shown = tables.promises(found)
    else:
        every = {"synthetic": school.synthetic_pairs(population)}
        if chosen.figure:
            real = school.real_pairs(rows)
            school.draw_pairs(every["synthetic"], real, chosen.figure)
            every |= real
        found = [{"voices": name, **pairs.figures()} for name, pairs in every.items()]
        shown = tables.pairs(found)
    return _shown(chosen, found, shown)


def _phrase(chosen: argparse.Namespace) -> int:
    from kaimen.voice.phrase import PhraseEncoder
    from kaimen_train.phrase.fit import PhrasePlan, add_measured, export, fit
    from kaimen_train.phrase.protocol import cost, evaluate

    rows = read_manifest(chosen.manifest)
    fit(rows, chosen.folder, PhrasePlan(steps=chosen.steps))
    export(rows, chosen.folder, chosen.out)
    encoder = PhraseEncoder(chosen.out)
    figures = {**evaluate(rows, encoder), "adds_of_time": cost(encoder, Encoder())}
    card = add_measured(chosen.out, figures)
    Console().print_json(data=asdict(card))
    return 0


def _checks(chosen: argparse.Namespace) -> int:
    from kaimen_train.evaluation import check_tables

    found = check_tables.measure(read_manifest(chosen.manifest))
    return _shown(chosen, [found], check_tables.tables(found))


def _adapt(chosen: argparse.Namespace) -> int:
    from kaimen_train.adapt import tables

    if chosen.check:
        from kaimen_train.adapt.protocol import check

        rows = read_manifest(chosen.manifest)
        found = check(rows, chosen.folder, chosen.encoder, chosen.weights)
    else:
        from kaimen_train.adapt.adapt import adapt_if_better

        found = adapt_if_better(chosen.speech, chosen.encoder, chosen.weights, chosen.out)
    shown = tables.checked(found) if chosen.check else tables.adapted(found)
    return _shown(chosen, [found], shown)


def _speed(chosen: argparse.Namespace) -> int:
    from kaimen_train.encoder.export import from_weights
    from kaimen_train.encoder.speed import measure

    card = Encoder(chosen.encoder).card
    with tempfile.TemporaryDirectory() as scratch:
        float32 = from_weights(chosen.weights, card, Path(scratch, "float32.tflite"))
        taken = measure(chosen.encoder, float32, chosen.peer)
    return _shown(chosen, [taken], tables.speed(taken))


def _loudspeaker(chosen: argparse.Namespace) -> int:
    from kaimen_train.loudspeaker.fit import fit
    from kaimen_train.loudspeaker.protocol import evaluate

    rows, encoder = read_manifest(chosen.manifest), chosen.encoder
    if not chosen.evaluate:
        fit(rows, chosen.folder, chosen.detector, encoder=encoder)
    keep = not chosen.evaluate
    found = evaluate(rows, chosen.folder, chosen.detector, keep=keep, encoder=encoder)
    return _shown(chosen, [found], tables.loudspeaker(found))


def _without_curves(figures: Any) -> Any:
    """Figures less the points of the DET curves: a card is for reading."""
    if not isinstance(figures, dict):
        return figures
    return {key: _without_curves(value) for key, value in figures.items() if key != "det"}


def _evaluate(chosen: argparse.Namespace) -> int:
    from kaimen_train.evaluation import evaluate as measuring
    from kaimen_train.evaluation import gate_phrases, gate_protocol

    Encoder(chosen.encoder)  # a bad file is said before anything is read
    rows = read_manifest(chosen.manifest)
    heard = measuring.hear(rows)
    phrases = gate_phrases.hear(rows, heard)
    every: dict[str, dict[str, Any]] = {}
    made: dict[str, measuring.Embedded] = {}
    with tempfile.TemporaryDirectory() as scratch:
        encoders = {"int8": chosen.encoder}
        if chosen.weights:
            from kaimen_train.encoder.export import from_weights

            card = Encoder(chosen.encoder).card
            encoders["float"] = from_weights(chosen.weights, card, Path(scratch, "float32.tflite"))
        for name in (*encoders, *chosen.peer):
            if name in encoders:
                begin = measuring.of_encoder(encoders[name])
                identity = measuring.identity_of_encoder(encoders[name])
            else:
                begin, identity = measuring.of_peer(name), measuring.identity_of_peer(name)
            with begin as asked:
                embed = measuring.keeping(asked, chosen.folder / "points", identity)
                made[name] = measuring.embedded(heard, embed)
                every[name] = measuring.evaluate(made[name])
                every[name]["gate"] = gate_protocol.evaluate(*phrases, embed)
                if chosen.conditions:
                    from kaimen_train.data.conditions import under_conditions

                    conditions = under_conditions(made[name], embed, rows, chosen.folder)
                    every[name]["conditions"] = conditions
    cost = measuring.cost_of_int8(made["int8"], made["float"]) if chosen.weights else {}
    if chosen.report:
        from kaimen_train.evaluation.report import write

        write(every, chosen.report)
    shown = [*tables.gates({name: figures["gate"] for name, figures in every.items()})]
    shown += tables.gate_trials(every["int8"]["gate"])
    for name, figures in every.items():
        shown += tables.gate(name, figures["gate"])
        shown += tables.evaluated(name, figures)
    # The encoder's own figures come first, those of others beside them by name.
    own = every.pop("int8")
    everything = {**own, "cost_of_int8": cost, "others": every}
    return _shown(chosen, [everything], [*shown, *tables.cost_of_int8(cost)])


def _shown(chosen: argparse.Namespace, found: Iterable[Any], shown: Iterable[Table]) -> int:
    """Figures for a program, one object a line, or for people; the exit code."""
    if chosen.json:
        sys.stdout.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
    else:
        tables.show(shown, as_markdown=getattr(chosen, "markdown", False))
    return 0


COMMANDS = {
    "fit": _fit,
    "export": _export,
    "ladder": _ladder,
    "curve": _curve,
    "endpointing": _endpointing,
    "scoring": _scoring,
    "school": _school,
    "phrase": _phrase,
    "checks": _checks,
    "latent": latent.run,
    "adapt": _adapt,
    "speed": _speed,
    "loudspeaker": _loudspeaker,
    "evaluate": _evaluate,
}


if __name__ == "__main__":
    sys.exit(main())
