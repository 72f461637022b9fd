"""``kaimen-train latent``: the autoencoder trained, measured, and its latent space seen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from kaimen.voice import SMALL
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation.tables import titled

EXAMPLE = """example:
  kaimen-train latent walk anna.wav bob.wav --out walk"""
STEPS = 9


def add(parser: argparse.ArgumentParser) -> None:
    """Add the parts and their options."""
    subs = parser.add_subparsers(dest="part", required=True, metavar="PART")
    training, measuring, walking, mapping, telling = (
        subs.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  kaimen-train latent {name} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, (_, summary, example) in PARTS.items()
    )
    for reading in (training, measuring, telling):
        options.manifest(reading)
        options.folder(reading)
    for answering in (measuring, walking):
        options.as_json(answering)
    for seeing in (walking, mapping):
        options.encoder(seeing, SMALL, "an encoder.tflite of coarse bands, as the pictures have")
    walking.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="two recordings; none: points drawn"
    )
    walking.add_argument("--steps", type=int, default=STEPS, help=f"at least 2 (default {STEPS})")
    walking.add_argument("--seed", type=int, default=0, help="of the points that are drawn")
    walking.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    mapping.add_argument("recordings", type=Path, metavar="FOLDER", help="as speaker/recording")
    mapping.add_argument("--figure", type=Path, required=True, metavar="FILE", help="the SVG")
    telling.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")


def run(arguments: argparse.Namespace) -> int:
    """Run one part; return its exit code."""
    return PARTS[arguments.part][0](arguments)


# TensorFlow takes seconds to import, so each part imports only what it needs.
def _fit(arguments: argparse.Namespace) -> int:
    from kaimen_train.autoencoder.fit import fit

    fit(read_manifest(arguments.manifest), arguments.folder)
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from kaimen_train.autoencoder import latent_protocol

    found = latent_protocol.evaluate(read_manifest(arguments.manifest), arguments.folder)
    return options.answer(arguments, [found], _tables(found))


def _tables(found: dict[str, Any]) -> Iterator[Table]:
    """Yield the figures for a person."""
    from kaimen_train.autoencoder.latent_protocol import STEPS as OF_A_WALK
    from kaimen_train.autoencoder.novelty import ALARMS

    title = "reconstruction: squared error a bin, nats²"
    table = titled(title, "speech", "mean", "PCA", "autoencoder", "windows")
    for name, each in found["reconstruction"].items():
        errors = (f"{each[key]:.2f}" for key in ("mean", "pca", "autoencoder"))
        table.add_row(name, *errors, str(each["windows"]))
    yield table
    table = titled("pair EER, %", "corpus", "autoencoder", "encoder")
    for corpus, each in found["pair"].items():
        table.add_row(corpus, *(f"{100 * own['eer']:.2f}" for own in each.values()))
    yield table
    novelty = found["novelty"]
    for title, kinds in (
        ("novelty against speech as recorded", novelty["speech"]),
        ("novelty against speech at simulated gates", novelty["live"]),
        ("rooms", {"another room": found["rooms"]}),
    ):
        names = [name for name in next(iter(kinds.values()), {}) if name != "of"]
        told = f"{title}: AUC, and % found at {ALARMS:.0%} false alarms; % without a voice"
        table = titled(told, "sound", *names, "no voice", "of")
        for kind, each in kinds.items():
            cells = (f"{each[name]['auc']:.2f} {100 * each[name]['found']:.0f}" for name in names)
            refused = novelty["no_voice"].get(kind)
            shown = "" if refused is None else f"{100 * refused:.1f}"
            table.add_row(kind, *cells, shown, str(each["of"]))
        yield table
    title = "walks: 1 − cosine at the first, middle and last step; contrast in the middle"
    table = titled(title, "walk", "to the first end", "to the last end", "arc", "line")
    for kind in ("takes", "speakers", "phrases"):
        if kind in found["walks"]:
            each = found["walks"][kind]
            ways = (
                "  ".join(f"{each[to][at]:.2f}" for at in (0, OF_A_WALK // 2, -1))
                for to in ("to_first", "to_last")
            )
            contrasts = (f"{each[f'contrast_{way}']:.2f}" for way in ("arc", "line"))
            table.add_row(kind, *ways, *contrasts)
    if "sound_from_features" in found["walks"]:
        apart = found["walks"]["sound_from_features"]
        table.caption = f"a recording's own features made sound again: {apart:.3f} from it"
    yield table


def _walk(arguments: argparse.Namespace) -> int:
    from kaimen.voice.encoder import Encoder
    from kaimen_train.autoencoder import walk
    from kaimen_train.autoencoder.fit import load

    ends = walk.files(arguments.files, arguments.steps)
    autoencoder, encoder = load(), Encoder(arguments.encoder)
    if ends:
        walked = walk.between(autoencoder, encoder, ends, arguments.steps)
    else:
        walked = walk.anywhere(autoencoder, encoder, arguments.steps, arguments.seed)
    walk.write(walked, arguments.out)
    found = {"out": str(arguments.out), "distances": walked.distances.round(4).tolist()}
    table = titled("1 − cosine", "step", "to the first", "to the last")
    for number, (first, last) in enumerate(walked.distances.tolist(), start=1):
        table.add_row(str(number), f"{first:.3f}", f"{last:.3f}")
    return options.answer(arguments, [found], [table])


def _map(arguments: argparse.Namespace) -> int:
    from kaimen.voice.encoder import Encoder
    from kaimen_train.autoencoder import latent_map
    from kaimen_train.autoencoder.fit import load

    paths = latent_map.recordings(arguments.recordings)
    both = latent_map.maps(load(), Encoder(arguments.encoder), paths)
    latent_map.draw(both, paths, arguments.figure)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from kaimen_train.autoencoder import picture_book

    picture_book.write(read_manifest(arguments.manifest), arguments.out)
    sys.stdout.write(
        f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB, for any browser\n"
    )
    return 0


# What runs each part, what it does, and an example's arguments.
PARTS = {
    "fit": (_fit, "train the autoencoder on the train split", "speech/manifest.csv"),
    "evaluate": (
        _evaluate,
        "measure reconstruction, speakers, novelty and walks on the eval split",
        "speech/manifest.csv --json",
    ),
    "walk": (
        _walk,
        "from one phrase to another in its latent space: pictures, sound, distances",
        "anna.wav bob.wav --out walk",
    ),
    "map": (
        _map,
        "draw recordings in its latent space beside the encoder's",
        "recordings/ --figure latent.svg",
    ),
    "report": (
        _report,
        "a picture book of the latent spaces: one page, Chinese and English, offline",
        "speech/manifest.csv --out kaimen.html",
    ),
}
