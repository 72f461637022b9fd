"""From trained weights to the int8 file that the gate loads, and its card.

Nothing is written before both runtimes have loaded the file and agree on its points.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge.decision import student_score
from edge.errors import EncoderError
from edge.storage import write_whole
from edge.voice import features
from edge.voice.encoder import RUNTIMES, Card, Encoder, Voiceprint
from training.corpus import NOISE, Clips, Row, cut, of_split
from training.fit import HELD_OUT, WEIGHTS, heard_at_the_gate, held_out
from training.networks import deep
from training.quantize import quantize, rotate

log = logging.getLogger(__name__)

FRAMES = 150  # of the gate's input: 1.5 s
CALIBRATING = 600  # windows shown to the quantizer
COMPARED = 300  # clips on which runtimes and precisions are compared
RUNTIMES_AGREE = 0.999  # least cosine
PRECISIONS_AGREE = 0.99  # least mean cosine


def export(rows: Sequence[Row], folder: Path, out: Path) -> Card:
    """Quantize the weights of a run in ``folder``; write ``out`` and its card.

    Raises EncoderError when the runtimes or the precisions do not agree.
    """
    network = deep.build(frames=FRAMES)
    weights = folder / WEIGHTS
    if not weights.exists():
        raise EncoderError(f"{weights}: no weights there; train them with 'kaimen-train fit'")
    network.load_weights(weights)
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    clips = cut(train, folder / "corpus")
    random = np.random.default_rng(0)
    shown = random.choice(len(clips), CALIBRATING, replace=False)
    windows = heard_at_the_gate(clips, list(shown), FRAMES)
    rotate(network)
    content = quantize(network, windows)
    kept_back = held_out(list(train))
    apart = [
        index
        for index, label in enumerate(clips.labels)
        if (label["corpus"], label["speaker"]) in kept_back and label["speed"] == 1
    ]
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    voices = {(row.corpus, row.speaker) for row in train if row.speaker} - kept_back
    card = Card(
        name="deep",
        sha256=hashlib.sha256(content).hexdigest(),
        frames=FRAMES,
        values=features.MELS,
        dimension=network.output_shape[-1],
        features=features.constants(),
        strangers={"mean": 0.0, "deviation": 1.0},
        training={"recordings": len(train), "speakers": len(voices), "plan": plan},
        measured={"parameters": network.count_params(), "bytes": len(content)},
    )
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, "encoder.tflite")
        trial.write_bytes(content)
        _write_card(card, trial)
        compared = random.choice(apart, min(COMPARED, len(apart)), replace=False)
        agreement = agree(network, trial, clips, list(compared))
        log.info("agreement: %s", agreement)
        strangers = development_strangers(Encoder(trial), clips, apart)
    card = replace(card, strangers=strangers, measured={**card.measured, **agreement})
    write_whole(out, lambda file: file.write(content))
    _write_card(card, out)
    return card


def _write_card(card: Card, encoder: Path) -> None:
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"
    write_whole(encoder.with_suffix(".json"), lambda file: file.write(text.encode()))


def add_measured(encoder: Path, figures: dict[str, Any]) -> Card:
    """Put figures measured on the eval split on an encoder's card."""
    card = Card.read(encoder.with_suffix(".json"))
    card = replace(card, measured={**card.measured, **figures})
    _write_card(card, encoder)
    return card


def agree(
    network: tf.keras.Model, trial: Path, clips: Clips, indices: list[int]
) -> dict[str, float]:
    """Cosines between the runtimes, and between int8 and float32. Raises EncoderError."""
    first, second = (
        np.stack([Encoder(trial, runtime=name).embed(_long_enough(clips[i])) for i in indices])
        for name in RUNTIMES
    )
    runtimes = np.sum(first * second, axis=1)
    short = [at for at, i in enumerate(indices) if _windows(clips[i]) == 1]
    exact = network.predict(
        heard_at_the_gate(clips, [indices[at] for at in short], FRAMES), 32, verbose=0
    )
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    precisions = np.sum(first[short] * exact, axis=1)
    if runtimes.min() < RUNTIMES_AGREE:
        raise EncoderError(f"the runtimes disagree: least cosine {runtimes.min():.5f}")
    if precisions.mean() < PRECISIONS_AGREE:
        raise EncoderError(f"quantization costs too much: mean cosine {precisions.mean():.4f}")
    return {
        "runtimes_least_cosine": float(runtimes.min()),
        "int8_float_mean_cosine": float(precisions.mean()),
        "int8_float_least_cosine": float(precisions.min()),
    }


def _long_enough(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    return clip if len(clip) >= features.WINDOW else np.resize(clip, features.WINDOW)


def _windows(clip: NDArray[np.float32]) -> int:
    return len(features.fit_frames(features.log_mel(_long_enough(clip)), FRAMES))


def development_strangers(encoder: Encoder, clips: Clips, apart: list[int]) -> dict[str, float]:
    """Mean and deviation of strangers' scores among the held-out speakers of each corpus.

    Five recordings of a speaker enroll; the recordings of all others are strangers.
    """
    points: dict[tuple[str, str], list[Voiceprint]] = {}
    for index in apart:
        label = clips.labels[index]
        who = (str(label["corpus"]), str(label["speaker"]))
        points.setdefault(who, []).append(encoder.embed(_long_enough(clips[index])))
    scores = []
    for corpus in HELD_OUT:
        speakers = {who: np.stack(each) for who, each in points.items() if who[0] == corpus}
        for student, mine in speakers.items():
            for stranger, theirs in speakers.items():
                if stranger != student:
                    scores += [student_score(mine[:5] @ probe) for probe in theirs]
    return {
        "mean": float(np.mean(scores)),
        "deviation": float(np.std(scores)),
        "scores": len(scores),
    }
