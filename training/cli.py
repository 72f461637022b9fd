"""``kaimen-train``: the workshop's command line.

Exit codes as of ``kaimen``: 0 done; 2 wrong usage or manifest; 4 an encoder that is missing
or damaged; 130 interrupted, and a run that was interrupted goes on when asked again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge.errors import KaimenError
from edge.voice.encoder import SHIPPED
from training.corpus import read_manifest
from training.peers.call import PEERS

MANIFEST = Path("../shared/speech/manifest.csv")
FOLDER = Path("build")


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

    def add(name: str, summary: str, example: str, *parents: Any) -> argparse.ArgumentParser:
        return subs.add_parser(
            name,
            parents=[manifest, *parents],
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    fitting = add(
        "fit",
        "train the deep encoder; goes on where it was interrupted",
        "kaimen-train fit speech/manifest.csv --steps 8000",
        work,
    )
    fitting.add_argument("--steps", type=int, default=8_000, help="batches (default 8000)")
    exporting = add(
        "export",
        "quantize the trained encoder, compare both runtimes, write it with its card",
        "kaimen-train export speech/manifest.csv --out edge/models/encoder.tflite",
        work,
    )
    exporting.add_argument("--out", type=Path, default=SHIPPED, help="the .tflite to write")
    measuring = add(
        "evaluate",
        "measure an encoder by the protocols, on the eval split",
        "kaimen-train evaluate speech/manifest.csv --json",
    )
    measuring.add_argument("--encoder", type=Path, default=SHIPPED, help="an encoder.tflite")
    measuring.add_argument("--peer", choices=PEERS, help="a peer instead, on the same trials")
    measuring.add_argument("--json", action="store_true", help="one JSON object")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    chosen = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    try:
        return {"fit": _fit, "export": _export, "evaluate": _evaluate}[chosen.command](chosen)
    except KaimenError as error:
        shown = Console(stderr=True, highlight=False, soft_wrap=True)
        shown.print(f"[red]✗[/red] {escape(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


# TensorFlow takes seconds to import, so each command imports only what it needs.
def _fit(chosen: argparse.Namespace) -> int:
    from training.export import FRAMES
    from training.fit import Plan, fit

    fit(read_manifest(chosen.manifest), chosen.folder, Plan(steps=chosen.steps), frames=FRAMES)
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from training.evaluate import evaluate, of_encoder
    from training.export import add_measured, export

    rows = read_manifest(chosen.manifest)
    export(rows, chosen.folder, chosen.out)
    with of_encoder(chosen.out) as embed:
        card = add_measured(chosen.out, evaluate(rows, embed))
    Console().print_json(data=asdict(card))
    return 0


def _evaluate(chosen: argparse.Namespace) -> int:
    from training.evaluate import evaluate, of_encoder, of_peer

    rows = read_manifest(chosen.manifest)
    with of_peer(chosen.peer) if chosen.peer else of_encoder(chosen.encoder) as embed:
        figures = evaluate(rows, embed)
    if chosen.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _print(figures)
    return 0


def _print(figures: dict[str, Any]) -> None:
    table = Table("protocol", "on", "figure", "%", "trials", title=None)
    for corpus, pair in figures["pair"].items():
        table.add_row("pair", corpus, "EER", _percent(pair["eer"]), _trials(pair))
    if figures["phrase"]:
        phrase = figures["phrase"]
        table.add_row("phrase", "mandarin20", "EER", _percent(phrase["eer"]), _trials(phrase))
    for name, openly in figures["open_set"].items():
        for key, value in openly.items():
            if key.startswith("fnir_at_fpir_"):
                fpir = key.removeprefix("fnir_at_fpir_")
                low, high = openly[f"interval_at_fpir_{fpir}"]
                shown = f"{_percent(value)} ({_percent(low)} to {_percent(high)})"
                table.add_row(
                    "open set", name, f"FNIR at FPIR {float(fpir):.0%}", shown, _trials(openly)
                )
    if figures["wrong_phrase"]:
        wrong = figures["wrong_phrase"]
        for key, name in (("opened", "opened"), ("opened_near_alike", "opened, near-alike")):
            trials = wrong[key.replace("opened", "trials")]
            table.add_row("wrong phrase", "mandarin20", name, _percent(wrong[key]), str(trials))
    Console().print(table)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _trials(figures: dict[str, Any]) -> str:
    return f"{figures.get('targets', figures.get('students'))} / {figures['strangers']}"


if __name__ == "__main__":
    sys.exit(main())
