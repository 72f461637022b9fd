"""``kaimen-train adapt``: an encoder adapted to one school."""

from __future__ import annotations

import argparse
from pathlib import Path

from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest

EXAMPLE = """example:
  kaimen-train adapt --speech school/ --out adapted.tflite
  kaimen-train adapt --check
  kaimen-train adapt --teach"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--speech", type=Path, metavar="FOLDER", help="student/recording.mp3")
    what.add_argument("--check", action="store_true", help="what it buys on the eval split")
    what.add_argument(
        "--teach", action="store_true", help="what large schools would teach it of new voices"
    )
    parser.add_argument("--out", type=Path, default=Path("adapted.tflite"), help="to write")
    options.encoder(parser, what="to be adapted")
    options.weights(parser)
    options.as_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Adapt the encoder, or check what adapting buys, and show the figures."""
    from kaimen_train.adapt import tables

    if arguments.teach:
        from kaimen.voice.encoder import Encoder
        from kaimen_train.adapt import many_voices
        from kaimen_train.adapt.teaching import teach

        rows = read_manifest(arguments.manifest)
        encoder = Encoder(arguments.encoder)
        voices = many_voices.hear(rows, arguments.folder, encoder)
        found = teach(voices, many_voices.points_by(encoder, rows, arguments.folder))
        return options.answer(arguments, [found], tables.taught(found))
    if arguments.check:
        from kaimen_train.adapt.protocol import check

        rows = read_manifest(arguments.manifest)
        found = check(rows, arguments.folder, arguments.encoder, arguments.weights)
    else:
        from kaimen_train.adapt.adapt import adapt_if_better

        found = adapt_if_better(
            arguments.speech, arguments.encoder, arguments.weights, arguments.out
        )
    shown = tables.checked(found) if arguments.check else tables.adapted(found)
    return options.answer(arguments, [found], shown)
