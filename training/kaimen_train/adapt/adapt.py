"""An encoder adapted to one school, from the recordings that enroll its students.

The map of ``whitening.py`` goes into the last layer of the float network, which is quantized
anew: the gate loads one file as before. Beside it lies the map itself, which carries the
voiceprints of those whose recordings were not kept.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kaimen.enrollment.entries import entries_in
from kaimen.errors import EncoderError, RecordingError
from kaimen.registry.space_map import SpaceMap
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Card, Encoder
from kaimen.voice.score import RULE
from kaimen_train import cards
from kaimen_train.adapt.whitening import Gain, Names, fit, gain
from kaimen_train.data.corpus import SPEEDS, at_speed, long_enough
from kaimen_train.encoder.export import COMPARED, agreeing, card_of, quantizing
from kaimen_train.encoder.quantize import fold, rotate, rotation
from kaimen_train.evaluation.protocols import Points
from kaimen_train.networks import LARGE, RUNGS
from kaimen_train.progress import track

log = logging.getLogger(__name__)

AGREE = 0.997  # least cosine between the runtimes: the map makes int8's rounding larger, too
LARGE_AGREES = 0.95  # the same of the large encoder


@dataclass(frozen=True)
class SchoolRecordings:
    """A school's usable recordings, trimmed, and who speaks in each."""

    sounds: list[Samples]
    students: Names  # (recordings,)
    refused: int  # files that could not be used

    @classmethod
    def read(cls, folder: Path) -> SchoolRecordings:
        """Return the passphrase's recordings, laid out as for ``kaimen enroll --from``.

        Raises SettingsError.
        """
        entries = [entry for entry in entries_in(folder) if not entry.word]
        files = [(entry.student, file) for entry in entries for file in entry.files]
        sounds, students = [], []
        for student, file in track(files, "reading recordings"):
            try:
                sounds.append(main_phrase(read(file)).samples)
            except RecordingError as error:
                log.info("%s: left out (%s)", file, error)
                continue
            students.append(student)
        return cls(sounds, np.array(students, str), len(files) - len(sounds))

    def points(self, encoder: Encoder) -> Points:
        """Return their points, (recordings, dimension)."""
        sounds = track(self.sounds, "embedding")
        return np.array([encoder.embed(long_enough(sound)) for sound in sounds])


def adapt_if_better(folder: Path, encoder: Path, weights: Path, out: Path) -> dict[str, Any]:
    """Adapt to the recordings of a folder, unless the gain is uncertain; says what was found.

    Raises SettingsError for too few recordings, EncoderError where the encoder cannot be adapted.
    """
    loaded = Encoder(encoder)
    school = SchoolRecordings.read(folder)
    points = school.points(loaded)
    found = gain(points, school.students)
    report = {**asdict(found), "refused": school.refused, "encoder": None}
    if found.certain:
        card = adapt(school, points, found, loaded, weights, out)
        report |= {"encoder": str(out), "map": str(out.with_suffix(".npz")), "sha256": card.sha256}
    return report


def adapt(
    school: SchoolRecordings,
    points: Points,
    found: Gain,
    encoder: Encoder,
    weights: Path,
    out: Path,
) -> Card:
    """Write the adapted encoder, its card, and the map as an .npz beside them.

    ``points`` are the encoder's own of the school, ``weights`` its float network. Raises
    EncoderError, and writes nothing then.
    """
    old = encoder.card
    if old.name not in RUNGS or "adapted" in old.training or not weights.exists():
        raise EncoderError(
            f"an encoder is adapted from its float network; {weights} is not that of {old.name!r}"
        )
    rung = RUNGS[old.name]
    way = fit(points, school.students, found.share)
    # What is no figure of the adapted encoder stays off its card.
    report = {name: value for name, value in asdict(found).items() if name != "strangers"}
    training = {**old.training, "adapted": {"from": encoder.identity, **report}}

    def build() -> tf.keras.Model:
        network = rung.make(old.frames)
        network.load_weights(weights)
        rotate(network, old.training.get("rotation", 0))
        fold(network, way)
        return network

    def describe(network: tf.keras.Model, content: bytes, turned: int) -> Card:
        return card_of(rung, network, content, {**training, "rotated": turned})

    random = np.random.default_rng(0)
    shown = random.choice(len(school.sounds), min(COMPARED, len(school.sounds)), replace=False)
    sounds = [long_enough(school.sounds[index]) for index in shown]
    windows = _windows(school.sounds, encoder)
    least = LARGE_AGREES if rung is LARGE else AGREE
    content, card = agreeing(build, quantizing(rung, windows), describe, sounds, least)
    card = replace(card, strangers=found.strangers, score=RULE)
    turned = way @ rotation(old.dimension, card.training["rotated"])
    cards.write(content, card, out)
    SpaceMap(
        old=encoder.identity,
        new=hashlib.sha256(content).hexdigest(),
        way=turned.astype(np.float32),
    ).save(out.with_suffix(".npz"))
    return card


def _windows(sounds: Sequence[Samples], encoder: Encoder) -> NDArray[np.float32]:
    """Return what the quantizer is shown: the recordings as they are, and at other speeds."""
    shown = [long_enough(at_speed(sound, speed)) for sound in sounds for speed in SPEEDS]
    return np.concatenate([encoder.windows(encoder.features_of(sound)) for sound in shown])
