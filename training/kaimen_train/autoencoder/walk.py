"""From one point of the autoencoder's latent space to another, step by step: seen and heard."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.storage import write_whole
from kaimen.voice import features
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.features import Features
from kaimen_train.autoencoder import pitch
from kaimen_train.autoencoder.fit import Autoencoder, Points
from kaimen_train.autoencoder.griffin_lim import sound
from kaimen_train.autoencoder.pitch import PitchContour
from kaimen_train.drawing import as_svg

COLOURS = "magma"
FAINTEST = 10.0  # nats below the loudest bin that are drawn in the darkest colour
PAUSE = 0.25  # seconds between steps that are heard
ENLARGED = 4  # pixels of an animation for each bin
MILLISECONDS = 200  # a step of it
PARALLEL = 1e-4  # sine of an angle under which there is no plane to turn in

Distances = NDArray[np.float64]  # (steps, 2), to the first end and to the last


def walk(first: Points, last: Points, steps: int) -> Points:
    """Return points from ``first`` to ``last``, both (dimension,); (steps, dimension).

    Along the arc between their directions, at lengths that change evenly (K. Shoemake, "Animating
    rotation with quaternion curves", SIGGRAPH 1985). Points of many dimensions lie around a sphere
    about the origin; the straight line takes a short cut through where no speech is.
    """
    lengths = np.linalg.norm((first, last), axis=1)
    directions = np.stack((first, last)) / np.maximum(lengths, 1e-9)[:, np.newaxis]
    shares = np.linspace(0, 1, steps)[:, np.newaxis]
    angle = np.arccos(np.clip(directions[0] @ directions[1], -1, 1))
    if np.sin(angle) < PARALLEL or not lengths.all():
        return straight(first, last, steps)
    turned = np.sin((1 - shares) * angle) * directions[0] + np.sin(shares * angle) * directions[1]
    points: Points = turned / np.sin(angle) * ((1 - shares) * lengths[0] + shares * lengths[1])
    return points.astype(np.float32)


def straight(first: Points, last: Points, steps: int) -> Points:
    """Return the straight line in as many steps, to compare with."""
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, np.newaxis]
    return (1 - shares) * first + shares * last


@dataclass(frozen=True)
class Walk:
    """A walk as it is seen, and how far off each step is for the encoder that ships."""

    pictures: list[Features]  # level-free log-mel features, (frames, MELS) each
    distances: Distances
    melodies: list[PitchContour] | None = None  # of each step, where the ends are voices

    def sounds(self) -> list[Samples]:
        """Return what each step sounds like."""
        if self.melodies is None:
            return [sound(picture) for picture in self.pictures]
        sung = zip(self.pictures, self.melodies, strict=True)
        return [sound(picture, contour=contour) for picture, contour in sung]


def between(
    autoencoder: Autoencoder, encoder: Encoder, ends: Sequence[Samples], steps: int
) -> Walk:
    """Walk between two phrases.

    Of a phrase that is longer than a window the beginning is taken. Distances are those to the
    phrases as they were said, so neither end has a distance of nothing. The pitch is no part of
    the latent space: it goes from one phrase's to the other's.
    """
    frames = autoencoder.shape.frames
    said = [features.log_mel(each)[:frames] for each in ends]
    first, last = (autoencoder.embed_features(heard) for heard in said)
    pictures = autoencoder.decode(walk(first, last, steps))
    # A phrase shorter than a window was said again until it was full: what is shown ends before.
    lengths = np.linspace(len(said[0]), len(said[1]), steps).round().astype(int)
    shown = [picture[:length] for picture, length in zip(pictures, lengths, strict=True)]
    begin, end = (pitch.contour(each)[:frames] for each in ends)
    melodies = [
        pitch.between(begin, end, number / (steps - 1), len(picture))
        for number, picture in enumerate(shown)
    ]
    away = distances(encoder, shown, [encoder.embed_features(heard) for heard in said])
    return Walk(shown, away, melodies)


def anywhere(autoencoder: Autoencoder, encoder: Encoder, steps: int, seed: int) -> Walk:
    """Walk between two points drawn from the prior; distances are those to the ends decoded."""
    random = np.random.default_rng(seed)
    first, last = random.standard_normal((2, autoencoder.shape.dimension)).astype(np.float32)
    shown = list(autoencoder.decode(walk(first, last, steps)))
    ends = [encoder.embed_features(shown[at]) for at in (0, -1)]
    return Walk(shown, distances(encoder, shown, ends))


def distances(
    encoder: Encoder, pictures: Sequence[Features], ends: Sequence[Voiceprint]
) -> Distances:
    """One less the cosine between what the encoder makes of each picture and of both ends."""
    made = np.stack([encoder.embed_features(picture) for picture in pictures])
    return 1 - made.astype(np.float64) @ np.stack(ends).T


def files(paths: Sequence[Path], steps: int) -> list[Samples]:
    """Return both ends of a walk, the phrases of recordings; none for a walk anywhere.

    Raises SettingsError for what is no walk, RecordingError and NoSpeech.
    """
    if steps < 2:
        raise SettingsError(f"a walk of {steps} steps leads nowhere; take 2 or more")
    if len(paths) not in (0, 2):
        raise SettingsError("a walk leads from one recording to another: give two files or none")
    return [main_phrase(read(path)).samples for path in paths]


def write(walked: Walk, folder: Path) -> None:
    """Write strip.png, walk.gif, walk.wav and distances.svg. Raises StorageError."""
    for name, content in (
        ("strip.png", _strip(walked)),
        ("walk.gif", _animation(walked)),
        ("walk.wav", _sound(walked)),
        ("distances.svg", _plot(walked)),
    ):
        write_whole(folder / name, content)


def _strip(walked: Walk) -> bytes:
    """Return the steps side by side, on one scale of colours."""
    count = len(walked.pictures)
    figure = Figure(figsize=(1.5 * count, 2.4), layout="constrained")
    places = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    low, high = _scale(walked)
    for number, (place, picture) in enumerate(zip(places, walked.pictures, strict=True)):
        place.imshow(
            picture.T, origin="lower", aspect="auto", cmap=COLOURS, vmin=low, vmax=high,
            interpolation="nearest",
            extent=(0, len(picture) / features.FRAMES_PER_SECOND, 0, features.MELS),
        )  # fmt: skip
        place.set_title(f"{number + 1}", fontsize=9)
        place.set_xlabel("s", fontsize=8)
        place.tick_params(labelsize=7)
    places[0].set_ylabel("mel band", fontsize=8)
    content = io.BytesIO()
    # Nothing of when or by what it was drawn: the same walk is the same file.
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()


def _animation(walked: Walk) -> bytes:
    """There and back, for ever."""
    low, high = _scale(walked)
    colours = matplotlib.colormaps[COLOURS]
    width = max(map(len, walked.pictures))
    frames = []
    for picture in walked.pictures:
        whole = np.full((features.MELS, width), low)
        whole[:, : len(picture)] = picture.T
        painted = colours((np.clip(whole[::-1], low, high) - low) / (high - low), bytes=True)
        image = Image.fromarray(painted[..., :3])
        size = (width * ENLARGED, features.MELS * ENLARGED)
        frames.append(image.resize(size, Image.Resampling.NEAREST))
    frames += frames[-2:0:-1]
    content = io.BytesIO()
    frames[0].save(
        content, format="GIF", save_all=True, append_images=frames[1:], loop=0,
        duration=MILLISECONDS,
    )  # fmt: skip
    return content.getvalue()


def _sound(walked: Walk) -> bytes:
    """Return the steps one after another."""
    pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
    parts = [part for heard in walked.sounds() for part in (heard, pause)]
    content = io.BytesIO()
    soundfile.write(content, np.concatenate(parts[:-1]), SAMPLE_RATE, format="WAV")
    return content.getvalue()


def _plot(walked: Walk) -> bytes:
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    place = figure.subplots()
    steps = np.arange(1, len(walked.distances) + 1)
    for name, away in zip(("the first end", "the last end"), walked.distances.T, strict=True):
        place.plot(steps, away, "o-", label=f"to {name}")
    place.set(xlabel="step", ylabel="distance to the encoder (1 − cosine)", xticks=steps)
    place.set_ylim(bottom=0)
    place.grid(alpha=0.3)
    place.legend()
    return as_svg(figure)


def _scale(walked: Walk) -> tuple[float, float]:
    """Return the faintest and the loudest that is told apart."""
    high = max(float(picture.max()) for picture in walked.pictures)
    return high - FAINTEST, high
