"""Climbs the ladder: every rung trained, exported, evaluated; a table and a figure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kaimen.voice.encoder import Encoder
from kaimen_train.data.corpus import Row
from kaimen_train.encoder.export import export
from kaimen_train.encoder.fit import EncoderPlan, fit
from kaimen_train.encoder.speed import in_turns, sound
from kaimen_train.evaluation.evaluate import embedded, evaluate, hear, of_encoder
from kaimen_train.networks import LADDER

log = logging.getLogger(__name__)

# The lower rungs have learned all they can after a tenth of what the deep encoder hears.
PLAN = EncoderPlan(steps=500, rate=4e-3, warmup=100, check_every=500)
ROUNDS = 60  # of measuring


@dataclass(frozen=True, slots=True)
class Step:
    """One rung, and what was measured of it: errors as shares, on the eval split, in int8."""

    name: str
    what: str
    layers: int
    parameters: int
    bytes: int
    milliseconds: float  # features and encoder, one thread
    pair: dict[str, float]  # EER by corpus
    phrase: float  # EER
    fnir: float  # phrase, at an FPIR of 5 %


def climb(rows: list[Row], folder: Path, shipped: Path, plan: EncoderPlan = PLAN) -> list[Step]:
    """Train and export all rungs but the deep encoder, which is ``shipped``; measure them all.

    Encoders are written to ``folder``/ladder. An interrupted climb goes on where it was.
    """
    encoders = {}
    for rung in LADDER:
        if rung.name == "deep":
            encoders[rung.name] = shipped
            continue
        if rung.trained:
            log.info("training %s", rung.name)
            fit(rows, folder, plan, rung)
        encoders[rung.name] = out = folder / "ladder" / f"{rung.name}.tflite"
        out.parent.mkdir(parents=True, exist_ok=True)
        export(rows, folder, rung, out)
    taken = times(list(encoders.values()))
    heard = hear(rows)
    steps = []
    for rung, milliseconds in zip(LADDER, taken, strict=True):
        figures = evaluate(embedded(heard, of_encoder(encoders[rung.name])))
        card = Encoder(encoders[rung.name]).card
        steps.append(
            Step(
                rung.name,
                rung.what,
                rung.layers,
                card.measured["parameters"],
                card.measured["bytes"],
                milliseconds,
                {corpus: pair["eer"] for corpus, pair in figures["pair"].items()},
                figures["phrase"]["eer"],
                figures["open_set"]["phrase"]["fnir_at_fpir_0.05"],
            )
        )
    return steps


def times(encoders: Sequence[Path]) -> list[float]:
    """Median milliseconds from sound to point of each, in turns, so that all meet one machine."""
    work = {str(at): partial(Encoder(path).embed, sound()) for at, path in enumerate(encoders)}
    return [1000 * seconds for seconds in in_turns(work, ROUNDS).values()]
