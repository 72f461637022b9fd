"""The picture book: one page that shows what the gate's latent space is, to look at and to touch.

Everything on it is computed here, from the shipped models and the given speech: the page holds
numbers, and its script draws them. It needs no network, and names no speaker.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from kaimen.bench import exact, synthetic
from kaimen.bench.shapes import diffusing
from kaimen.errors import SettingsError
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.storage import write_whole
from kaimen.voice import SMALL, features
from kaimen.voice.encoder import Encoder
from kaimen_train.autoencoder import fit
from kaimen_train.autoencoder.generate import judge
from kaimen_train.autoencoder.generate.compare import ASKED, REPEATED, pairs_of, voices_of
from kaimen_train.autoencoder.walk import between
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import PHRASED, Embedded, embedded, evaluate, hear, of_encoder
from kaimen_train.networks import LADDER, Rung
from kaimen_train.progress import track
from kaimen_train.school.school import synthetic_pairs

RUNGS = Path(__file__).parents[1] / "weights" / "ladder"
PAGE = Path(__file__).with_suffix(".html")
DATA = "/*data*/"  # in the page: where the numbers go
# Synthetic: anybody may hear them.
EXAMPLE = RECORDINGS / "anning" / "phrase-6.mp3"
ANOTHER = RECORDINGS / "dezhi" / "phrase-6.mp3"
STEPS = 9  # of the walk
FAINTEST = 10.0  # nats below the loudest that are drawn
SHADES = 255  # of a spectrogram
CURVE = 400  # points of a wave or a distribution
SIZES = (20, 100, 500, 2_000, 20_000)  # of schools
STRANGERS = 4_000  # synthetic, who come to each of them
PERPLEXITY = 20.0  # of the maps: about as many neighbours as a speaker has takes of a phrase
DRAWN = 6_000  # students, by each model, who are held against real people
SHOWN = 400  # of whom the way out of noise is shown
COSINES = np.linspace(-0.4, 1, 57)
DIGITS = 4

Points = NDArray[np.float32]
Page = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Space:
    """One rung's latent space, and what is measured in it."""

    rung: Rung
    encoder: Path
    made: Embedded


def write(rows: Sequence[Row], out: Path) -> Page:
    """Gather all figures and write the page; what it holds. Raises SettingsError, StorageError."""
    spaces = _spaces(rows)
    content = {
        "sound": _sound(read(EXAMPLE)),
        "voices": _voices(spaces[-1].made),
        "spaces": [_space(space) for space in track(spaces, "drawing maps")],
        "schools": _schools(),
        "walk": _walk(),
        "drawn": _drawn(spaces[-1].made),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    page = PAGE.read_text(encoding="utf-8").replace(DATA, text.replace("</", "<\\/"))
    write_whole(out, page.encode())
    return content


def _spaces(rows: Sequence[Row]) -> list[Space]:
    """Return the speech of the eval split in the space of every rung."""
    heard = hear(list(rows))
    if not heard.names:
        raise SettingsError(f"the manifest has no eval rows of {PHRASED} to join phrases of")
    found = []
    for rung in LADDER:
        encoder = SMALL if rung.name == "deep" else RUNGS / f"{rung.name}.tflite"
        found.append(Space(rung, encoder, embedded(heard, of_encoder(encoder))))
    return found


def _sound(samples: Samples) -> Page:
    """Return a phrase as a wave, as a picture, as 39 numbers a frame, and to listen to."""
    phrase = main_phrase(samples).samples
    pieces = np.array_split(phrase, CURVE)
    wave = [[float(piece.min()), float(piece.max())] for piece in pieces]
    cepstra = features.classic39(phrase)
    scaled = (cepstra - cepstra.mean(0)) / (cepstra.std(0) + 1e-6)
    return {
        "seconds": len(phrase) / SAMPLE_RATE,
        "wave": _rounded(wave),
        "mel": picture(features.log_mel(phrase)),
        "classic": picture(scaled, 2.5),
        "average": _rounded(cepstra.mean(axis=0)),
        "wav": wav(phrase),
    }


def picture(values: NDArray[Any], deviations: float = 0.0) -> Page:
    """A table (frames, values) as bytes: from its least to its greatest, or within deviations."""
    low, high = (-deviations, deviations) if deviations else np.quantile(values, (0.02, 0.995))
    shades = np.clip((values - low) / (high - low), 0, 1) * SHADES
    frames, rows = values.shape
    flat = shades.round().astype(np.uint8).T[::-1].tobytes()  # the highest row first
    return {"width": frames, "height": rows, "bytes": base64.b64encode(flat).decode()}


def wav(samples: Samples) -> str:
    """Return a sound as a page may play it."""
    content = io.BytesIO()
    soundfile.write(content, np.clip(samples, -1, 1), SAMPLE_RATE, format="MP3")
    return "data:audio/mpeg;base64," + base64.b64encode(content.getvalue()).decode()


def _voices(made: Embedded) -> Page:
    """Return who said which phrase, point by point, as numbers: names are nobody's business."""
    texts, who, takes, _ = zip(*_takes(made), strict=True)
    speakers, phrases = sorted(set(who)), sorted(set(texts))
    return {
        "speaker": [speakers.index(speaker) for speaker in who],
        "phrase": [phrases.index(text) for text in texts],
        "take": list(takes),
        "phrases": phrases,
        "speakers": len(speakers),
    }


def _takes(made: Embedded) -> Iterator[tuple[str, str, int, Points]]:
    """Yield text, speaker, take and point, in order."""
    for said in made.phrases:
        for speaker, takes in sorted(said.takes.items()):
            for take, point in sorted(takes.items()):
                yield said.text, speaker, take, point


def _space(space: Space) -> Page:
    """Return a rung: how large it is, how well it tells voices apart, and a map of its space."""
    made, card = space.made, Encoder(space.encoder).card
    points = np.stack([point for *_, point in _takes(made)])
    cosines = points @ points.T
    np.fill_diagonal(cosines, -np.inf)
    trials = protocols.verifications(made.phrases, protocols.PROBES[PHRASED])
    found = evaluate(made)
    return {
        "name": space.rung.name,
        "layers": space.rung.layers,
        "parameters": card.measured["parameters"],
        "bytes": card.measured["bytes"],
        "pair": {name: _rounded(pair["eer"]) for name, pair in found["pair"].items()},
        "phrase": _rounded(found["phrase"]["eer"]),
        "fnir": _rounded(found["open_set"]["phrase"]["fnir_at_fpir_0.05"]),
        "map": _rounded(_map(points)),
        "straight": _rounded(_straight(points)),
        "nearest": cosines.argmax(axis=1).tolist(),
        "same": _rounded(np.sort(trials.targets)),
        "other": _rounded(np.sort(trials.strangers)),
    }


def _map(points: Points) -> NDArray[np.float64]:
    """A map that keeps neighbours (L. van der Maaten and G. Hinton, JMLR 9, 2008), (n, 2)."""
    drawn = TSNE(perplexity=min(PERPLEXITY, (len(points) - 1) / 3), init="pca", random_state=0)
    return _framed(drawn.fit_transform(points.astype(np.float64)))


def _straight(points: Points) -> NDArray[np.float64]:
    """Return a map that keeps straight lines: the two directions of most spread, (n, 2)."""
    centred = points.astype(np.float64) - points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return _framed(left[:, :2] * sizes[:2])


def _framed(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same between 0 and 1, both ways alike."""
    low, high = flat.min(axis=0), flat.max(axis=0)
    return np.asarray((flat - (low + high) / 2) / (high - low).max() + 0.5, np.float64)


def _schools() -> Page:
    """Return why 20,000 is harder than 20: the best score of strangers, by the size of a school.

    Schools and strangers are synthetic. Whole distributions, so that a threshold can be moved.
    """
    population = synthetic.load()
    strangers = population.draw(STRANGERS, 1, seed=1)[:, 0]
    school = population.draw(max(SIZES), 5, seed=2)
    takes = population.draw(STRANGERS, 6, seed=3)
    own = exact.own(takes[:, :5], takes[:, 5:])
    shares = np.linspace(0, 1, CURVE)
    best = {
        str(size): _rounded(np.quantile(exact.best(school[:size], strangers).scores, shares))
        for size in track(SIZES, "scoring schools")
    }
    return {"strangers": best, "students": _rounded(np.quantile(own, shares))}


def _walk() -> Page:
    """From one synthetic voice to another through the autoencoder's space, seen and heard."""
    ends = [main_phrase(read(path)).samples for path in (EXAMPLE, ANOTHER)]
    walked = between(fit.load(), Encoder(SMALL), ends, STEPS)
    high = max(float(each.max()) for each in walked.pictures)
    return {
        "steps": [
            {"mel": picture(np.clip(each, high - FAINTEST, high)), "wav": wav(heard)}
            for each, heard in zip(walked.pictures, walked.sounds(), strict=True)
        ],
        "distances": _rounded(walked.distances),
    }


def _drawn(made: Embedded) -> Page:
    """A school that is drawn from noise, and every model's held against the people of one corpus.

    Only what a turned school still tells: cosines of people with each other, and how strangers'
    chances grow.
    """
    voices = voices_of(made)
    corpora, counts = np.unique(
        [corpus for corpus, _ in set(zip(voices.corpora, voices.speakers, strict=True))],
        return_counts=True,
    )
    people = voices.only(voices.corpora == corpora[counts.argmax()])
    galleries = judge.galleries(people)
    real = np.concatenate([each.strangers() for each in galleries])
    threshold = float(np.quantile(real, 1 - ASKED))
    population = synthetic.load()
    way = list(diffusing(population.weights["diffusion"], SHOWN, np.random.default_rng(0)))
    found: Page = {
        "people": int(counts.max()),
        "way": [_rounded(_within(numbers[:, :2])) for numbers in way],
        "bins": _rounded(COSINES),
        "pairs": {"real": _shares(pairs_of(people).other)},
        "growth": {"real": _rounded_values(judge.by_size(galleries * REPEATED, threshold))},
    }
    for model in track(synthetic.MODELS, "drawing schools"):
        school = population.using(model).draw(DRAWN, judge.TAKES, seed=0)
        found["pairs"][model] = _shares(synthetic_pairs(population.using(model)).other)
        small = judge.by_size(list(judge.as_large(school, galleries)), threshold)
        found["growth"][model] = _rounded_values(small)
    return found


def _within(numbers: Points) -> Points:
    """Return numbers as deviations, whatever noise is among them."""
    return np.asarray(numbers / numbers.std(axis=0), np.float32)


def _shares(cosines: Points) -> list[float]:
    """Return how many of a hundred lie in each of COSINES' bins."""
    counts, _ = np.histogram(cosines, COSINES)
    shares: list[float] = _rounded(100 * counts / len(cosines))
    return shares


def _rounded_values(values: dict[int, float]) -> dict[str, float]:
    return {str(size): _rounded(value) for size, value in values.items()}


def _rounded(values: Any) -> Any:
    """Return numbers as short as a page needs them."""
    return np.round(np.asarray(values, np.float64), DIGITS).tolist()
