"""The ladder of encoders, from the classic 39 features to the deep encoder.

All take log-mel features (batch, frames, MELS) and end in a point (batch, dimension).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tensorflow as tf
from tensorflow import keras

from kaimen.voice.features import COARSE, FINE, Bands
from kaimen_train.networks import by_frame, campplus, deep

# One thread a process is fastest; TensorFlow takes no other number once it has begun.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

FRAMES = 150  # of the gate's input: 1.5 s
WEIGHTS = "encoder.weights.h5"  # of a rung, in its folder

Build = Callable[[int | None], keras.Model]  # from the number of frames, None for any


@dataclass(frozen=True, slots=True)
class Rung:
    """One encoder of the ladder."""

    name: str
    what: str  # in words, for the table
    layers: int  # with weights that were learned
    make: Callable[..., keras.Model]
    after: str | None = None  # the rung whose trained weights ``make`` starts from
    trained: bool = True
    lift: float | None = None  # where distances count: see kaimen.voice.encoder.Card
    centred: bool = False  # takes features less each band's mean: see kaimen.voice.encoder.Card
    bands: Bands = COARSE  # of its features
    keeps_back: bool = True  # some speakers of training, to be measured on
    # Makes of the trained network one that rounds what is to be int8, where it knows the ranges.
    rounded: Callable[[keras.Model, tuple[float, float]], keras.Model] | None = None

    def builder(self, folder: Path) -> Build:
        """Return what builds the network, where ``folder`` has a folder for each rung."""
        if self.after is None:
            return self.make
        return partial(self.make, first=folder / self.after / WEIGHTS)


LADDER = (
    Rung(
        "classic39",
        "the 39 features, Euclidean",
        0,
        by_frame.classic,
        trained=False,
        lift=by_frame.LIFT,
    ),
    Rung("single", "sigmoid(X W + B)", 1, by_frame.single),
    Rung("relay", "a second layer on the frozen first", 2, by_frame.relay, after="single"),
    Rung(
        "joint-linear",
        "two layers at once, no hidden sigmoid",
        2,
        partial(by_frame.joint, hidden=None),
    ),
    Rung("joint", "two layers at once", 2, by_frame.joint),
    Rung("several", "five layers", by_frame.HIDDEN + 1, by_frame.several),
    Rung("deep", "the deep encoder, which sees time", deep.LAYERS, deep.build),
)
LARGE = Rung(
    "large",
    "CAM++, fine-tuned for a gate",
    campplus.LAYERS,
    campplus.build,
    centred=True,
    bands=FINE,
    keeps_back=False,
    rounded=campplus.rounded,
)
RUNGS = {rung.name: rung for rung in (*LADDER, LARGE)}
