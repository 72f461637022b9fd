"""From trained weights to the int8 file that the gate loads, and its card.

Nothing is written before both runtimes have loaded the file and agree on its points.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kaimen.errors import EncoderError
from kaimen.sound import Samples
from kaimen.voice import features
from kaimen.voice.encoder import RUNTIMES, Card, Encoder, Voiceprint
from kaimen.voice.score import RULE, score_of
from kaimen.voice.spread import spread_of
from kaimen_train import cards
from kaimen_train.data.corpus import NOISE, UNSEEN, Clips, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import held_out
from kaimen_train.encoder.fit import heard_at_the_gate
from kaimen_train.encoder.quantize import by_ranges, exact, quantize, rotate
from kaimen_train.encoder.rounding import limits
from kaimen_train.networks import FRAMES, RUNGS, WEIGHTS, Rung

log = logging.getLogger(__name__)

CALIBRATING = 1_500  # windows from which the quantizer takes the usual ones
POINTS = 200  # windows that give the range of a point
COMPARED = 300  # clips on which runtimes and precisions are compared
RUNTIMES_AGREE = 0.999  # least cosine
RUNGS_AGREE = 0.998  # of the first rungs of the ladder, whose points lie closer together
# Of the large encoder: a hundred layers round one after the other, and each runtime in its own way.
# What that costs is measured in errors: docs/figures/accuracy.md.
LARGE_AGREES = 0.97
LEAST = {"deep": RUNTIMES_AGREE, "large": LARGE_AGREES}  # of what ships
ROTATIONS = 8  # that are tried until the runtimes agree
PRECISIONS_AGREE = 0.99  # least mean cosine, of runtimes that agree to RUNTIMES_AGREE


def export(rows: Sequence[Row], folder: Path, rung: Rung, out: Path) -> Card:
    """Quantize a trained rung, whose run is in ``folder``; write ``out`` and its card.

    Raises EncoderError when the runtimes or the precisions do not agree.
    """
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    clips = cut(train, folder / "corpus", speeds=(1.0,))
    random = np.random.default_rng(0)
    shown = random.choice(len(clips), min(CALIBRATING, len(clips)), replace=False)
    windows = heard_at_the_gate(clips, list(shown), FRAMES, centred=rung.centred, bands=rung.bands)
    kept_back = held_out(list(train)) if rung.keeps_back else set()
    apart = _apart(rows, clips, kept_back, folder)
    compared = random.choice(len(apart), min(COMPARED, len(apart)), replace=False)
    sounds = [long_enough(apart[index]) for index in compared]
    plan = folder / rung.name / "plan.json"
    voices = {(row.corpus, row.speaker) for row in train if row.speaker} - kept_back
    training = {
        "recordings": len(train),
        "speakers": len(voices),
        "plan": json.loads(plan.read_text(encoding="utf-8")) if rung.trained else None,
    }
    least = LEAST.get(rung.name, RUNGS_AGREE)

    def describe(network: tf.keras.Model, content: bytes, rotation: int) -> Card:
        return card_of(rung, network, content, {**training, "rotation": rotation})

    content, card = agreeing(
        lambda: load(rung, folder), quantizing(rung, windows), describe, sounds, least
    )
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, "encoder.tflite")
        cards.write(content, card, trial)
        strangers = development_strangers(Encoder(trial), apart)
    card = replace(card, strangers=strangers, score=RULE)
    cards.write(content, card, out)
    return card


def _apart(
    rows: Sequence[Row], clips: Clips, kept_back: set[tuple[str, str]], folder: Path
) -> Clips:
    """Return clips of people whom training never heard: kept back, or of the unseen corpus."""
    if not kept_back:
        unseen = [row for row in rows if row.corpus == UNSEEN[0]]
        return cut(unseen, folder / "corpus", speeds=(1.0,))
    labels = enumerate(clips.labels)
    chosen = [n for n, label in labels if (label["corpus"], label["speaker"]) in kept_back]
    return clips.only(np.array(chosen))


def agreeing(
    build: Callable[[], tf.keras.Model],
    quantized: Callable[[tf.keras.Model], bytes],
    describe: Callable[[tf.keras.Model, bytes, int], Card],
    sounds: Sequence[Samples],
    least: float = RUNTIMES_AGREE,
) -> tuple[bytes, Card]:
    """Return a network as an int8 file on which both runtimes agree, and its card.

    ``sounds`` are compared. Raises EncoderError when the runtimes or the precisions agree in no
    rotation.
    """
    # Every rotation is the same encoder, and rounds otherwise.
    for seed in range(ROTATIONS):
        network = build()
        rotate(network, seed)
        content = quantized(network)
        card = describe(network, content, seed)
        with tempfile.TemporaryDirectory() as scratch:
            trial = Path(scratch, "encoder.tflite")
            cards.write(content, card, trial)
            float32 = write_exact(network, card, Path(scratch, "float32.tflite"))
            try:
                agreement = agree(trial, float32, sounds, least)
            except EncoderError as error:
                if seed == ROTATIONS - 1:
                    raise
                log.info("rotation %d: %s", seed, error)
                continue
        break
    log.info("agreement: %s", agreement)
    return content, replace(card, measured={**card.measured, **agreement})


def quantizing(rung: Rung, windows: NDArray[np.float32]) -> Callable[[tf.keras.Model], bytes]:
    """Return what makes the int8 file of a rung's network.

    ``windows`` (windows, frames, mels) show what to expect where the rung has no ranges.
    """
    rounded = rung.rounded
    if rounded is None:
        return lambda network: quantize(network, windows)

    def quantized(network: tf.keras.Model) -> bytes:
        # The point was rotated after all other ranges were found.
        points = network.predict(windows[:POINTS], verbose=0)
        return by_ranges(rounded(network, limits(points)))

    return quantized


def card_of(rung: Rung, network: tf.keras.Model, content: bytes, training: dict[str, Any]) -> Card:
    """Return the card of a rung's file, before anything was measured of it."""
    return Card(
        name=rung.name,
        sha256=hashlib.sha256(content).hexdigest(),
        frames=FRAMES,
        values=rung.bands.mels,
        dimension=network.output_shape[-1] + (rung.lift is not None),
        features=features.constants(rung.bands),
        strangers={"mean": 0.0, "deviation": 1.0},
        training=training,
        measured={"parameters": network.count_params(), "bytes": len(content)},
        lift=rung.lift,
        centred=rung.centred,
    )


def load(rung: Rung, folder: Path) -> tf.keras.Model:
    """Return a trained rung, float32. Raises EncoderError where it was not trained."""
    network = rung.builder(folder)(FRAMES)
    if rung.trained:
        weights = folder / rung.name / WEIGHTS
        if not weights.exists():
            raise EncoderError(f"{weights}: no weights there; train them with 'kaimen-train fit'")
        network.load_weights(weights)
    return network


def write_exact(network: tf.keras.Model, card: Card, out: Path) -> Path:
    """Write a network in float32 as an encoder with a card; returns where."""
    content = exact(network)
    cards.write(content, replace(card, sha256=hashlib.sha256(content).hexdigest()), out)
    return out


def from_weights(weights: Path, card: Card, out: Path) -> Path:
    """Write the float32 encoder of which ``card``'s was quantized. Raises EncoderError."""
    return write_exact(float_network(weights, card), card, out)


def float_network(weights: Path, card: Card) -> tf.keras.Model:
    """Return the network of which ``card``'s encoder was quantized. Raises EncoderError."""
    if "adapted" in card.training:
        raise EncoderError(f"{card.name!r} was adapted to a school: its float network is not kept")
    network = RUNGS[card.name].make(card.frames)
    try:
        network.load_weights(weights)
    except (OSError, ValueError) as error:
        raise EncoderError(f"{weights}: not weights of {card.name!r} ({error})") from None
    rotate(network, card.training.get("rotation", 0))
    return network


def agree(
    trial: Path, float32: Path, sounds: Sequence[Samples], least: float = RUNTIMES_AGREE
) -> dict[str, float]:
    """Return cosines between the runtimes, and between int8 and float32.

    Raises EncoderError where the runtimes' are below ``least`` anywhere, or the precisions' in
    the mean.
    """

    def points(path: Path, runtime: str) -> NDArray[np.float32]:
        encoder = Encoder(path, runtime=runtime)
        return np.stack([encoder.embed(sound) for sound in sounds])

    first, second = (points(trial, name) for name in RUNTIMES)
    runtimes = np.sum(first * second, axis=1)
    precisions = np.sum(first * points(float32, RUNTIMES[0]), axis=1)
    if runtimes.min() < least:
        raise EncoderError(f"the runtimes disagree: least cosine {runtimes.min():.5f}")
    if precisions.mean() < min(PRECISIONS_AGREE, least):
        raise EncoderError(f"quantization costs too much: mean cosine {precisions.mean():.4f}")
    return {
        "runtimes_mean_cosine": float(runtimes.mean()),
        "runtimes_least_cosine": float(runtimes.min()),
        "int8_float_mean_cosine": float(precisions.mean()),
        "int8_float_least_cosine": float(precisions.min()),
    }


def development_strangers(encoder: Encoder, clips: Clips) -> dict[str, float]:
    """Return how strangers' scores among speakers that training never heard are distributed.

    Five recordings of a text enroll a speaker; whoever else says the same text is a stranger, as
    at a gate, where all say the same phrase.
    """
    points: dict[tuple[str, str], dict[str, list[Voiceprint]]] = {}  # corpus and text, speaker
    for index, label in enumerate(clips.labels):
        said = points.setdefault((str(label["corpus"]), str(label["text"])), {})
        mine = said.setdefault(str(label["speaker"]), [])
        mine.append(encoder.embed(long_enough(clips[index])))
    scores = [
        score
        for speakers in points.values()
        for student, enrolled in speakers.items()
        for stranger, theirs in speakers.items()
        if stranger != student
        for score in score_of(np.stack(enrolled[:5]), np.stack(theirs)).tolist()
    ]
    return {**spread_of(np.array(scores)), "scores": len(scores)}
