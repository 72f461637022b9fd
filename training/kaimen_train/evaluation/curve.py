"""The learning curve: what more voices would buy, from short runs on shares of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kaimen.errors import SettingsError
from kaimen_train.data.corpus import Row
from kaimen_train.data.speakers import held_out
from kaimen_train.encoder.export import card_of, load, write_exact
from kaimen_train.encoder.fit import EncoderPlan, fit
from kaimen_train.evaluation.evaluate import EvalSpeech, embedded, evaluate, hear, of_encoder
from kaimen_train.networks import RUNGS

log = logging.getLogger(__name__)

SHARES = (0.125, 0.25, 0.5, 1.0)
PLAN = EncoderPlan(steps=400, warmup=150, check_every=400)


@dataclass(frozen=True, slots=True)
class Point:
    """The errors of a run on a share of the voices, on the eval split, in float."""

    share: float
    speakers: int  # with a name
    pair: dict[str, float]  # EER by corpus
    phrase: float  # EER


def curve(
    rows: list[Row], folder: Path, shares: Sequence[float] = SHARES, plan: EncoderPlan = PLAN
) -> list[Point]:
    """Train the deep encoder on each share of every corpus's voices, and measure it."""
    heard = hear(rows)
    return [_point(rows, folder, replace(plan, speakers=share), heard) for share in shares]


def _point(rows: list[Row], folder: Path, plan: EncoderPlan, heard: EvalSpeech) -> Point:
    rung = replace(RUNGS["deep"], name=f"curve-{plan.speakers:g}")
    log.info("training on %g of the voices", plan.speakers)
    fit(rows, folder, plan, rung)
    network = load(rung, folder)
    out = folder / rung.name / "float32.tflite"
    write_exact(network, card_of(rung, network, b"", {}), out)
    with of_encoder(out) as embed:
        figures = evaluate(embedded(heard, embed))
    if not figures["phrase"]:
        raise SettingsError("mandarin20 has no eval rows; see docs/figures/protocols.md")
    pair = {corpus: found["eer"] for corpus, found in figures["pair"].items()}
    named = {(row.corpus, row.speaker) for row in rows if row.split == "train" and row.speaker}
    speakers = round(plan.speakers * len(named - held_out(rows)))
    return Point(plan.speakers, speakers, pair, figures["phrase"]["eer"])
