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
from kaimen_train.data.corpus import Clips
from kaimen_train.networks import campplus
from kaimen_train.peers import call
from kaimen_train.progress import track

LONGEST = 6.0  # seconds of a clip that are looked at
FITTED = 90  # clips of each corpus to which Kaldi's bands are fitted
SECONDS = (0.55, 2.0)  # of these clips at least, and what is used of each
RIDGE = 1e-6  # of that fit


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

    for index in track(range(len(sounds)), "where they begin", len(sounds)):
        sound = sounds[index]
        if len(sound) < features.WINDOW:
            sound = np.resize(sound, features.WINDOW)
        values = features.log_mel(sound[: round(LONGEST * SAMPLE_RATE)])
        frames = max(5, -(-len(values) // tenth)) * tenth
        heard[frames].append((index, np.resize(values, (frames, features.MELS))))
        if len(heard[frames]) == 32:
            flush(frames)
    for frames in list(heard):
        flush(frames)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def begin(speech: Clips, folder: Path) -> keras.Model:
    """Return the network before any training; what it needs of the peers is asked for once.

    Kaldi's 80 bands are fitted to the gate's 64 by least squares, over clips of every corpus.
    Raises SettingsError where the peers are not installed.
    """
    random = np.random.default_rng(0)
    corpora: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(speech.labels):
        if speech.ends[index] - speech.starts[index] > SECONDS[0] * SAMPLE_RATE:
            corpora[str(label["corpus"])].append(index)
    chosen = [
        index
        for own in corpora.values()
        for index in random.choice(own, min(FITTED, len(own)), replace=False).tolist()
    ]
    pieces = [
        speech.samples[first : min(last, first + round(SECONDS[1] * SAMPLE_RATE))]
        for first, last in zip(speech.starts[chosen], speech.ends[chosen], strict=True)
    ]
    kept = folder / "start.npz"
    if not kept.exists():
        call.start(pieces, kept)
    with np.load(kept) as stored:
        start = dict(stored)
    ours = [features.centred(features.log_mel(piece / np.float32(32768))) for piece in pieces]
    heard = np.concatenate(ours).astype(np.float64)
    ridge = RIDGE * len(heard) * np.eye(features.MELS)
    front = np.linalg.solve(heard.T @ heard + ridge, heard.T @ start["bands"])
    network = campplus.build()
    campplus.load(network, start)
    network.get_layer("front").set_weights([front[np.newaxis, :, ::-1].astype(np.float32)])
    kernel, bias = network.get_layer("point").get_weights()
    kernel[len(start["spread"]) :] *= start["spread"][:, np.newaxis]
    network.get_layer("point").set_weights([kernel, bias])
    return network
