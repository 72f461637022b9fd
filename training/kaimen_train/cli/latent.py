"""``kaimen-train latent``: the autoencoder trained, measured, and its latent space seen."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kaimen.voice import SHIPPED
from kaimen_train.cli.parser import adding
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation.tables import show, titled

STEPS = 9


def add(top: argparse.ArgumentParser, *reading: argparse.ArgumentParser) -> None:
    """Give a command its parts; those that read recordings have the parents ``reading``."""
    subs = top.add_subparsers(dest="part", required=True, metavar="PART")
    part = adding(subs)
    part(
        "fit",
        "train the autoencoder on the train split",
        "kaimen-train latent fit speech/manifest.csv",
        *reading,
    )
    measuring = part(
        "evaluate",
        "measure reconstruction, speakers, novelty and walks on the eval split",
        "kaimen-train latent evaluate speech/manifest.csv --json",
        *reading,
    )
    measuring.add_argument("--json", action="store_true", help="one JSON object")
    walking = part(
        "walk",
        "from one phrase to another in its latent space: pictures, sound, distances",
        "kaimen-train latent walk anna.wav bob.wav --out walk",
    )
    walking.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="two recordings; none: points drawn"
    )
    walking.add_argument("--steps", type=int, default=STEPS, help=f"at least 2 (default {STEPS})")
    walking.add_argument("--seed", type=int, default=0, help="of the points that are drawn")
    walking.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    walking.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    walking.add_argument("--json", action="store_true", help="one JSON object")
    mapping = part(
        "map",
        "draw recordings in its latent space beside the encoder's",
        "kaimen-train latent map edge/kaimen/rehearsal/recordings --figure docs/how/latent.svg",
    )
    mapping.add_argument("recordings", type=Path, metavar="FOLDER", help="as speaker/recording")
    mapping.add_argument("--figure", type=Path, required=True, metavar="FILE", help="the SVG")
    mapping.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    telling = part(
        "report",
        "a picture book of the latent spaces: one page, Chinese and English, offline",
        "kaimen-train latent report speech/manifest.csv --out kaimen.html",
        *reading,
    )
    telling.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")


def run(chosen: argparse.Namespace) -> int:
    """Run one part; returns its exit code."""
    return PARTS[chosen.part](chosen)


# TensorFlow takes seconds to import, so each part imports only what it needs.
def _fit(chosen: argparse.Namespace) -> int:
    from kaimen_train.autoencoder.fit import fit

    fit(read_manifest(chosen.manifest), chosen.folder)
    return 0


def _evaluate(chosen: argparse.Namespace) -> int:
    from kaimen_train.autoencoder import latent_protocol

    found = latent_protocol.evaluate(read_manifest(chosen.manifest), chosen.folder)
    if chosen.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    show(_tables(found))
    return 0


def _tables(found: dict[str, Any]) -> Iterator[Table]:
    """The figures for a person."""
    from kaimen_train.autoencoder.latent_protocol import STEPS as OF_A_WALK
    from kaimen_train.autoencoder.novelty import ALARMS

    table = Table("speech", "mean", "PCA", "autoencoder", "windows", box=SIMPLE_HEAD)
    table.title = "reconstruction: squared error a bin, nats²"
    for name, each in found["reconstruction"].items():
        errors = (f"{each[key]:.2f}" for key in ("mean", "pca", "autoencoder"))
        table.add_row(name, *errors, str(each["windows"]))
    yield table
    table = Table("corpus", "autoencoder", "encoder", title="pair EER, %", box=SIMPLE_HEAD)
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
        table = Table("sound", *names, "no voice", "of", box=SIMPLE_HEAD)
        table.title = f"{title}: AUC, and % found at {ALARMS:.0%} false alarms; % without a voice"
        for kind, each in kinds.items():
            cells = (f"{each[name]['auc']:.2f} {100 * each[name]['found']:.0f}" for name in names)
            refused = novelty["no_voice"].get(kind)
            shown = "" if refused is None else f"{100 * refused:.1f}"
            table.add_row(kind, *cells, shown, str(each["of"]))
        yield table
    table = Table("walk", "to the first end", "to the last end", "arc", "line", box=SIMPLE_HEAD)
    table.title = "walks: 1 − cosine at the first, middle and last step; contrast in the middle"
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


def _walk(chosen: argparse.Namespace) -> int:
    from kaimen.voice.encoder import Encoder
    from kaimen_train.autoencoder import walk
    from kaimen_train.autoencoder.fit import load

    ends = walk.files(chosen.files, chosen.steps)
    autoencoder, encoder = load(), Encoder(chosen.encoder)
    if ends:
        walked = walk.between(autoencoder, encoder, ends, chosen.steps)
    else:
        walked = walk.anywhere(autoencoder, encoder, chosen.steps, chosen.seed)
    walk.write(walked, chosen.out)
    if chosen.json:
        found = {"out": str(chosen.out), "distances": walked.distances.round(4).tolist()}
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    table = titled("1 − cosine", "step", "to the first", "to the last")
    for number, (first, last) in enumerate(walked.distances.tolist(), start=1):
        table.add_row(str(number), f"{first:.3f}", f"{last:.3f}")
    show([table])
    return 0


def _map(chosen: argparse.Namespace) -> int:
    from kaimen.voice.encoder import Encoder
    from kaimen_train.autoencoder import latent_map
    from kaimen_train.autoencoder.fit import load

    paths = latent_map.recordings(chosen.recordings)
    both = latent_map.maps(load(), Encoder(chosen.encoder), paths)
    latent_map.draw(both, paths, chosen.figure)
    return 0


def _report(chosen: argparse.Namespace) -> int:
    from kaimen_train.autoencoder import picture_book

    picture_book.write(read_manifest(chosen.manifest), chosen.out)
    sys.stdout.write(f"{chosen.out}: {chosen.out.stat().st_size / 1e6:.1f} MB, for any browser\n")
    return 0


PARTS = {"fit": _fit, "evaluate": _evaluate, "walk": _walk, "map": _map, "report": _report}
