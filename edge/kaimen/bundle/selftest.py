"""The self-test of a bundle: do its models do here what they did where it was made?

A few recordings come along in the bundle, with the points that are expected of them. A runtime that
computes otherwise, a model that is not the one that was measured, or one that tells voices or words
no better apart than chance does not pass.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.bundle.bundle import MODELS
from kaimen.errors import BundleError, EncoderError, FailedSelfTest, RecordingError, UnfitBundle
from kaimen.parsing import read_json
from kaimen.sound.recording import main_phrase, read
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models, detector_of, phrase_of
from kaimen.voice.phrase import similarity
from kaimen.voice.utterance import Utterance

TABLE = "selftest.json"
AGREE = 0.999  # least cosine between a point and the expected one, where runtimes agree so well
SLACK = 0.02  # below what the card says of other runtimes: recordings differ, too
DIGITS = 6  # after the point, of what is expected
VOICES = 4  # of a folder of recordings that come along
TAKES = ("phrase-1.mp3", "phrase-2.mp3", "other-1.mp3")  # of each


@dataclass(frozen=True, slots=True)
class Take:
    """A recording of the self-test, and what is expected of it."""

    recording: str  # the name of its part
    voice: str
    words: str
    point: list[float]  # (dimension,), the voiceprint


def takes_in(folder: Path) -> list[tuple[Path, str, str]]:
    """Return recordings with their voices and words, of a folder laid out as that of the demo."""
    voices = sorted(each for each in folder.iterdir() if each.is_dir())[:VOICES]
    return [
        (voice / name, voice.name, name.partition("-")[0]) for voice in voices for name in TAKES
    ]


def parts_of(models: Models, takes: Sequence[tuple[Path, str, str]]) -> dict[str, bytes]:
    """Return the parts of a bundle that test these models. Raises RecordingError."""
    parts: dict[str, bytes] = {}
    table = []
    for path, voice, words in takes:
        name = f"{voice}-{path.name}"
        parts[name] = path.read_bytes()
        point = _heard(path, models.encoder).voiceprint
        expected = [round(float(value), DIGITS) for value in point]
        table.append(asdict(Take(name, voice, words, expected)))
    return parts | {TABLE: json.dumps(table).encode()}


def models_in(folder: Path, runtime: str | None = None) -> Models:
    """Return the models of an unpacked bundle. Raises UnfitBundle."""
    try:
        for name in MODELS:
            (folder / name).stat()
        encoder = Encoder(folder / SHIPPED.name, runtime=runtime)
        return Models(encoder, phrase_of(encoder), detector_of(encoder))
    except (EncoderError, OSError) as error:
        raise UnfitBundle(f"the bundle's parts do not fit this program: {error}") from None


def require_passed(folder: Path, runtime: str | None = None) -> Models:
    """Return the models of an unpacked bundle that did all they should.

    Raises UnfitBundle and FailedSelfTest.
    """
    models = models_in(folder, runtime)
    takes = _table(folder)
    assert models.phrase is not None and models.loudspeaker is not None
    try:
        heard = [_heard(folder / take.recording, models.encoder) for take in takes]
        points = np.stack([each.voiceprint for each in heard])
        said = np.stack([models.phrase.embed_features(each.features) for each in heard])
        known = list(points) if models.loudspeaker.knows(models.encoder) else []
        suspicions = [
            models.loudspeaker.suspect(each.features, each.voiceprint, known) for each in heard
        ]
    except RecordingError as error:
        raise FailedSelfTest(f"the self-test's recordings cannot be heard: {error}") from None
    except (RuntimeError, ValueError) as error:  # whatever a runtime says
        raise FailedSelfTest(
            f"the self-test failed: a model cannot be run here ({error}); ask the bundle's maker"
        ) from None
    least = _least(models.encoder)
    for take, point in zip(takes, points, strict=True):
        expected = np.array(take.point, np.float32)
        alike = expected.shape == point.shape and float(expected @ point)
        if not alike >= least:
            raise FailedSelfTest(
                f"the self-test failed: {take.recording} gives another point here "
                f"({alike:.4f} alike, and {least:.3f} is the least); ask the bundle's maker"
            )
    _require_apart(points @ points.T, [take.voice for take in takes], "voices")
    similarities = np.stack([similarity(each, said) for each in said])
    _require_apart(similarities, [take.words for take in takes], "words")
    if not np.isfinite([each.score for each in suspicions]).all():
        raise FailedSelfTest("the self-test failed: the detector of loudspeakers gives no numbers")
    return models


def _least(encoder: Encoder) -> float:
    """Return the least cosine to an expected point: runtimes round a deep encoder otherwise."""
    known = float(encoder.card.measured.get("runtimes_least_cosine", 1.0))
    return AGREE if known >= AGREE else known - SLACK


def _heard(path: Path, encoder: Encoder) -> Utterance:
    return Utterance(main_phrase(read(path)).samples, encoder)


def _table(folder: Path) -> list[Take]:
    try:
        table = read_json((folder / TABLE).read_text(encoding="utf-8"))
        takes = [Take(**take) for take in table]
    except (OSError, ValueError, TypeError):
        takes = []
    if len({take.voice for take in takes}) < 2 or len({take.words for take in takes}) < 2:
        raise BundleError("the bundle has no self-test that tells anything; ask its maker for one")
    return takes


def _require_apart(alike: NDArray[np.float32], kinds: Sequence[str], what: str) -> None:
    """Require that what is most like each is of its own kind. Raises FailedSelfTest."""
    others = np.where(np.eye(len(alike), dtype=bool), -np.inf, alike)
    nearest = [kinds[place] for place in others.argmax(axis=1)]
    if np.isnan(others).any() or nearest != list(kinds):
        raise FailedSelfTest(
            f"the self-test failed: its models do not tell {what} apart; ask the bundle's maker"
        )
