"""Where the large encoder begins: CAM++ behind the gate's own features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.data.corpus import Clips, long_enough
from kaimen_train.networks import campplus
from kaimen_train.peers import call
from kaimen_train.points import unit
from kaimen_train.progress import track

LONGEST = 6.0  # seconds of a clip that are looked at


def points_of(network: keras.Model, sounds: Sequence[Samples] | Clips) -> NDArray[np.float32]:
    """Return unit-length points of whole sounds, (sounds, DIMENSION); long ones cut to 6 s.

    Sounds of about one length are looked at together: to a tenth of a second, said again where
    they are shorter.
    """
    tenth = features.FRAMES_PER_SECOND // 10
    heard: dict[int, list[tuple[int, features.Features]]] = defaultdict(list)
    found = np.zeros((len(sounds), campplus.DIMENSION), np.float32)
    run = tf.function(lambda batch: network(batch), reduce_retracing=True)

    def flush(frames: int) -> None:
        which = heard.pop(frames)
        batch = np.stack([features.centred(values) for _, values in which])
        found[[index for index, _ in which]] = run(tf.constant(batch, tf.float32)).numpy()

    for index in track(range(len(sounds)), "where they begin"):
        sound = long_enough(sounds[index])
        values = features.log_mel(sound[: round(LONGEST * SAMPLE_RATE)], features.FINE)
        frames = max(5, -(-len(values) // tenth)) * tenth
        heard[frames].append((index, np.resize(values, (frames, features.FINE.mels))))
        if len(heard[frames]) == 32:
            flush(frames)
    for frames in list(heard):
        flush(frames)
    return unit(found)


def begin(folder: Path) -> keras.Model:
    """Return the network before any training; the peers are asked once for its weights.

    Raises SettingsError where the peers are not installed.
    """
    kept = folder / "start.npz"
    if not kept.exists():
        call.start([np.zeros(SAMPLE_RATE, np.int16)], kept)
    network = campplus.build()
    with np.load(kept) as start:
        campplus.load(network, dict(start))
    return network
