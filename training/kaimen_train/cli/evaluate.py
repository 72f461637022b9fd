"""``kaimen-train evaluate``: an encoder measured by the protocols."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from kaimen.voice.encoder import Encoder
from kaimen_train.cli import options
from kaimen_train.data.corpus import read_manifest
from kaimen_train.evaluation import evaluate as measuring
from kaimen_train.evaluation import gate_phrases, gate_protocol, tables
from kaimen_train.processes import one_pool

EXAMPLE = """example:
  kaimen-train evaluate speech/manifest.csv --peer ge2e --report accuracy.html"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    options.manifest(parser)
    options.folder(parser)
    options.encoder(parser)
    parser.add_argument(
        "--peer",
        choices=measuring.PEERS,
        action="append",
        default=[],
        help="a peer on the same trials, too",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="the float network on the same trials, too"
    )
    parser.add_argument(
        "--conditions", action="store_true", help="also in noise, in rooms, cut short"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    told = parser.add_mutually_exclusive_group()
    options.as_json(told)
    told.add_argument("--markdown", action="store_true", help="tables as the docs have them")


@one_pool()
def run(arguments: argparse.Namespace) -> int:
    """Measure the encoder, and whatever is put beside it, and show the figures."""
    Encoder(arguments.encoder)  # a bad file is said before anything is read
    rows = read_manifest(arguments.manifest)
    heard = measuring.hear(rows)
    phrases = gate_phrases.hear(rows, heard)
    every: dict[str, dict[str, Any]] = {}
    made: dict[str, measuring.Embedded] = {}
    with tempfile.TemporaryDirectory() as scratch:
        encoders = {"int8": arguments.encoder}
        if arguments.weights:
            from kaimen_train.encoder.export import from_weights

            card = Encoder(arguments.encoder).card
            encoders["float"] = from_weights(
                arguments.weights, card, Path(scratch, "float32.tflite")
            )
        for name in (*encoders, *arguments.peer):
            if name in encoders:
                asked = measuring.of_encoder(encoders[name])
                identity = measuring.identity_of_encoder(encoders[name])
            else:
                asked, identity = measuring.of_peer(name), measuring.identity_of_peer(name)
            embed = measuring.keeping(asked, arguments.folder / "points", identity)
            made[name] = measuring.embedded(heard, embed)
            every[name] = measuring.evaluate(made[name])
            every[name]["gate"] = gate_protocol.evaluate(*phrases, embed)
            if arguments.conditions:
                from kaimen_train.data.conditions import under_conditions

                conditions = under_conditions(made[name], embed, rows, arguments.folder)
                every[name]["conditions"] = conditions
    cost = measuring.cost_of_int8(made["int8"], made["float"]) if arguments.weights else {}
    if arguments.report:
        from kaimen_train.evaluation.report import write

        write(every, arguments.report)
    shown = [*tables.gates({name: figures["gate"] for name, figures in every.items()})]
    shown += tables.gate_trials(every["int8"]["gate"])
    for name, figures in every.items():
        shown += tables.gate(name, figures["gate"])
        shown += tables.evaluated(name, figures)
    # The encoder's own figures come first, those of others beside them by name.
    own = every.pop("int8")
    everything = {**own, "cost_of_int8": cost, "others": every}
    return options.answer(arguments, [everything], [*shown, *tables.cost_of_int8(cost)])
