"""``kaimen embed``: recordings become points in a file, for whoever studies them."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from kaimen.errors import NoSpeech, RecordingError, SettingsError
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.sound.recording import main_phrase, read
from kaimen.storage import require_folder, write_whole
from kaimen.voice.encoder import Encoder, Voiceprint

EXAMPLE = """example:
  kaimen embed anna/*.mp3 --out anna.npz
  kaimen embed --manifest speech/manifest.csv --split eval --out eval.npz

The file holds two arrays: paths (as given, or as in the manifest) and vectors (one unit-length
float32 row a path). Of a manifest, a recording in which no phrase is found is embedded whole,
so that an evaluation loses no trial; among files given by name it is an error. Recordings
that cannot be used are named and left out, and the exit code is then 3."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("files", nargs="*", type=Path, help="recordings")
    parser.add_argument("--manifest", type=Path, help="a CSV file with the columns path and split")
    parser.add_argument("--split", help="only these rows of the manifest")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Embed what can be embedded, then write the file in one step."""
    if bool(arguments.files) == bool(arguments.manifest):
        raise SettingsError("give recordings, or --manifest FILE; see --help")
    if arguments.manifest:
        named = _of_manifest(arguments.manifest, arguments.split)
    else:
        named = {str(path): path for path in arguments.files}
    require_folder(arguments.out)
    encoder = Installation.open(Settings.read(arguments.config), screen).encoder
    vectors: dict[str, Voiceprint] = {}
    whole = refused = 0
    for name, path in screen.progress(named.items(), "embedding", len(named)):
        try:
            vectors[name], without_phrase = _embed(encoder, path, bool(arguments.manifest))
            whole += without_phrase
        except RecordingError as error:
            refused += 1
            screen.error(error)
    if not vectors:
        raise RecordingError("no recording could be used; nothing is written")
    fields = {"paths": np.array(list(vectors)), "vectors": np.stack(list(vectors.values()))}
    write_whole(arguments.out, lambda file: np.savez(file, **fields))
    screen.result(
        {"out": str(arguments.out), "embedded": len(vectors), "whole": whole, "refused": refused},
        f"{len(vectors)} points of {encoder.card.dimension} dimensions in {arguments.out}"
        + (f"; {whole} without an audible phrase were embedded whole" if whole else ""),
    )
    return RecordingError.exit_code if refused else 0


def _embed(encoder: Encoder, path: Path, whole_if_silent: bool) -> tuple[Voiceprint, bool]:
    """Return the point, and whether the whole recording went into it."""
    samples = read(path)
    try:
        return encoder.embed(main_phrase(samples).samples), False
    except NoSpeech as error:
        if not whole_if_silent:
            raise error.at(path) from None
        return encoder.embed(samples), True


def _of_manifest(manifest: Path, split: str | None) -> dict[str, Path]:
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        chosen = [row["path"] for row in rows if split is None or row["split"] == split]
    except OSError as error:
        raise SettingsError(f"{manifest}: cannot be read ({error.strerror})") from None
    except (KeyError, UnicodeDecodeError, csv.Error):
        raise SettingsError(f"{manifest}: no CSV file with the columns path and split") from None
    if not chosen:
        raise SettingsError(f"{manifest}: no rows of the split {split!r}")
    return {path: manifest.parent / path for path in chosen}
