"""What the autoencoder is worth, on the eval split: its pictures, its points, its novelty."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.sound.recording import read
from kaimen.voice import SMALL
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder.fit import Autoencoder, load, pictures
from kaimen_train.autoencoder.griffin_lim import sound
from kaimen_train.autoencoder.novelty import features_of, novelty, rooms
from kaimen_train.autoencoder.pca import Components
from kaimen_train.autoencoder.walk import distances, straight, walk
from kaimen_train.data.corpus import NOISE, Row
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import EvalSpeech, hear
from kaimen_train.progress import track

LEARNED = 8_192  # windows from which the mean and the principal components come
WALKS = 100  # of each kind
STEPS = 9
REBUILT = 8  # of so many phrases one becomes sound again: that takes a second

Figures = dict[str, Any]


def evaluate(rows: Sequence[Row], folder: Path, autoencoder: Autoencoder | None = None) -> Figures:
    """Return all figures. Raises SettingsError and EncoderError."""
    autoencoder = autoencoder or load()
    heard = hear(rows)
    encoder = Encoder(SMALL)  # it reads the bands that the autoencoder draws
    learned = pictures(rows, folder, autoencoder.shape, held=False).draw(LEARNED)
    components = Components.of(learned, autoencoder.shape.dimension)
    noise = [read(row.file, longest=None) for row in rows if row.corpus == NOISE]
    return {
        "reconstruction": reconstruction(autoencoder, components, heard),
        "pair": pairs(autoencoder, encoder, heard),
        "novelty": novelty(autoencoder, components, heard, noise),
        "rooms": rooms(autoencoder, heard),
        "walks": walks(autoencoder, encoder, heard),
    }


def reconstruction(autoencoder: Autoencoder, components: Components, heard: EvalSpeech) -> Figures:
    """Squared errors a bin in nats squared, by corpus: the mean's, PCA's, the autoencoder's."""
    found = {}
    for corpus, sounds in {**heard.speech, "phrases": heard.phrases}.items():
        if not sounds:
            continue
        windows = np.concatenate([autoencoder.windows(features_of(each)) for each in sounds])
        mean, linear = components.errors(windows)
        error = float(np.mean((autoencoder.decode(autoencoder.encode(windows)) - windows) ** 2))
        found[corpus] = {
            "mean": mean, "pca": linear, "autoencoder": error, "windows": len(windows),
        }  # fmt: skip
    return found


def pairs(autoencoder: Autoencoder, encoder: Encoder, heard: EvalSpeech) -> Figures:
    """Pair EER of the latent means beside the encoder's, by corpus."""
    found: Figures = {}
    for corpus, sounds in heard.speech.items():
        placed = [features_of(each) for each in track(sounds, f"embedding {corpus}")]
        points = {
            "autoencoder": np.stack([_unit(autoencoder.embed_features(each)) for each in placed]),
            "encoder": np.stack([encoder.embed_features(each) for each in placed]),
        }
        found[corpus] = {}
        for name, made in points.items():
            errors = protocols.pairs(heard.rows[corpus], made).errors()
            found[corpus][name] = {key: errors[key] for key in ("eer", "interval")}
    return found


def walks(autoencoder: Autoencoder, encoder: Encoder, heard: EvalSpeech, seed: int = 0) -> Figures:
    """Return distances to the encoder along walks between joined phrases, and what is lost before.

    "takes" are of one speaker and phrase, "speakers" say the same phrase, "phrases" are of one
    speaker. ``contrast`` is the deviation of the bins in the middle of the way over that at its
    ends, along the arc and along the straight line: what is blurred is flat.
    """
    random = np.random.default_rng(seed)
    said = list(zip(heard.names, map(features_of, heard.phrases), strict=True))
    frames = autoencoder.shape.frames
    found: Figures = {}
    for kind in ("takes", "speakers", "phrases"):
        possible = _between(kind, heard.names)
        ways, contrasts = [], []
        for ends in random.permutation(possible)[:WALKS]:
            windows = [said[at][1][:frames] for at in ends]
            first, last = (autoencoder.embed_features(each) for each in windows)
            arc = autoencoder.decode(walk(first, last, STEPS))
            line = autoencoder.decode(straight(first, last, STEPS))
            ways.append(
                distances(encoder, list(arc), [encoder.embed_features(each) for each in windows])
            )
            at_ends = (arc[0].std() + arc[-1].std()) / 2
            contrasts.append([way[STEPS // 2].std() / at_ends for way in (arc, line)])
        if ways:
            found[kind] = {
                "to_first": np.mean(ways, axis=0)[:, 0].tolist(),
                "to_last": np.mean(ways, axis=0)[:, 1].tolist(),
                "contrast_arc": float(np.mean(contrasts, axis=0)[0]),
                "contrast_line": float(np.mean(contrasts, axis=0)[1]),
            }
    if said:
        kept = [
            encoder.embed_features(each) @ encoder.embed(sound(each)) for _, each in said[::REBUILT]
        ]
        found["sound_from_features"] = float(1 - np.mean(kept))
    return found


def _between(kind: str, names: Sequence[protocols.Name]) -> list[tuple[int, int]]:
    """Every two phrases that differ in what a kind of walk is about, and in nothing before it."""
    found = []
    for first, last in permutations(range(len(names)), 2):
        same = tuple(one == other for one, other in zip(names[first], names[last], strict=True))
        if same[:2] == {"takes": (True, True), "speakers": (True, False)}.get(kind, (False, True)):
            found.append((first, last))
    return found


def _unit(point: NDArray[np.float32]) -> NDArray[np.float32]:
    return point / np.float32(np.linalg.norm(point) + 1e-9)
