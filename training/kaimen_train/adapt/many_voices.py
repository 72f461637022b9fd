"""Joined phrases of the many speakers of commands, by a network that heard none of them.

Nobody there says one word six times, so a take is two clips of a speaker, whichever words they
are: six takes of each, no clip in two of them. The points are CAM++'s own, as it was before any
training here, behind the gate's features and windows.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from kaimen.sound import Samples
from kaimen.voice.encoder import Encoder
from kaimen.voice.features import Features
from kaimen_train.data.corpus import Row, cut, long_enough, of_split
from kaimen_train.encoder.begin import begin
from kaimen_train.evaluation.protocols import one_phrase
from kaimen_train.points import Points, unit
from kaimen_train.progress import track

CORPUS = "commands"
TAKES = 6  # of each speaker, of two clips each
BATCH = 32  # windows


@dataclass(frozen=True)
class ManyVoices:
    """Takes of many speakers as the last layer hears them: the pooled values of their windows."""

    pooled: NDArray[np.float32]  # (windows, pooled values)
    starts: NDArray[np.int64]  # of each take's windows; the takes of a speaker together
    kernel: NDArray[np.float32]  # of the last layer, (pooled values, dimension)
    bias: NDArray[np.float32]

    @property
    def speakers(self) -> int:
        """Return how many there are."""
        return len(self.starts) // TAKES

    def points(self, kernel: NDArray[np.float32] | None = None) -> Points:
        """Return unit-length points, (speakers, TAKES, dimension), by a last layer or its own."""
        made = unit(self.pooled @ (self.kernel if kernel is None else kernel) + self.bias)
        whole = unit(np.add.reduceat(made, self.starts, axis=0))
        return np.asarray(whole.reshape(self.speakers, TAKES, -1), np.float32)


def hear(rows: Sequence[Row], folder: Path, encoder: Encoder) -> ManyVoices:
    """Return the takes of all who have enough clips; they are kept in the folder.

    ``encoder`` has the windows, not the points. Raises SettingsError where the peers, who have the
    weights, are not installed.
    """
    kept = folder / "many-voices.npz"
    if not kept.exists():
        own = [row for row in of_split(rows, "train") if row.corpus == CORPUS]
        windows: list[Features] = []
        starts = []
        for sound in _takes(own, folder):
            starts.append(len(windows))
            windows += encoder.windows(encoder.features_of(long_enough(sound)))
        network = begin(folder)
        pooled = _pooled(network, windows)
        kernel, bias = network.get_layer("point").get_weights()
        np.savez(kept, pooled=pooled, starts=starts, kernel=kernel, bias=bias)
    with np.load(kept) as found:
        return ManyVoices(found["pooled"], found["starts"], found["kernel"], found["bias"])


def points_by(encoder: Encoder, rows: Sequence[Row], folder: Path) -> Points:
    """Return an encoder's points of the same takes, (speakers, TAKES, dimension); kept, too."""
    kept = folder / f"many-voices-{encoder.identity[:12]}.npy"
    if not kept.exists():
        own = [row for row in of_split(rows, "train") if row.corpus == CORPUS]
        sounds = _takes(own, folder)
        np.save(kept, [encoder.embed(long_enough(s)) for s in track(sounds, "embedding")])
    found: Points = np.load(kept)
    return found.reshape(-1, TAKES, found.shape[-1])


def _takes(rows: Sequence[Row], folder: Path) -> list[Samples]:
    clips = cut(rows, folder / "corpus", speeds=(1.0,))
    of_speaker: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(clips.labels):
        of_speaker[str(label["speaker"])].append(index)
    found = []
    for speaker in sorted(of_speaker):
        own = of_speaker[speaker]
        if len(own) < 2 * TAKES:
            continue
        random = np.random.default_rng(zlib.crc32(speaker.encode()))
        order = [own[at] for at in random.permutation(len(own))]
        found += [one_phrase(clips[order[2 * n]], clips[order[2 * n + 1]]) for n in range(TAKES)]
    return found


def _pooled(network: keras.Model, windows: Sequence[Features]) -> NDArray[np.float32]:
    """Return what the last layer is given, (windows, pooled values)."""
    part = keras.Model(network.input, network.get_layer("pooled.rounded").output)
    run = tf.function(lambda batch: part(batch), reduce_retracing=True)
    batches = range(0, len(windows), BATCH)
    found = [
        run(tf.constant(np.stack(windows[at : at + BATCH]), tf.float32)).numpy()
        for at in track(batches, "hearing")
    ]
    return np.asarray(np.concatenate(found), np.float32)
