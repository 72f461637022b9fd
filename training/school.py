"""A population of voices to draw synthetic schools from, measured on the training speakers.

At a gate all say the same phrase, so nothing that comes from the words may count. Everything is
measured within a text of a corpus: recordings of one text by one speaker against each other
(within), and speakers' means of one text less the text's mean (between); only the corpora of
the pair protocol hold such. How texts differ from each other moves a whole school and is left
out, too.

Two kinds of speakers are told apart. The network learned its training speakers by heart: their
recordings are more alike, and other people's further away, than they will be at a gate. So all
named speakers together give the directions (covariances need hundreds of them), and only the
speakers that were held out of training give the sizes. The eval split is not looked at, but for
the comparison in the figure.

Every speaker counts alike: corpora are weighted by their speakers less one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("svg")
from matplotlib.figure import Figure

from edge.decision import BEST
from edge.errors import SettingsError
from edge.gallery.synthetic import Points, Population
from edge.storage import write_whole
from edge.voice.encoder import SHIPPED, Encoder
from training import protocols
from training.corpus import NOISE, Row, cut, of_split
from training.evaluate import embedded, hear, of_encoder
from training.export import long_enough
from training.fit import held_out
from training.metrics import equal_error_rate
from training.progress import track

TAKES = 4  # of a text by a speaker, from which nearness can be told from chance
MANNERS = 100  # of a student, at most: so many are as good as any number
PAIRED = 2_000  # synthetic students whose pairs are compared
BINS = np.linspace(-0.4, 1, 71)

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Voices:
    """Voiceprints, and whose they are."""

    points: Matrix  # (recordings, dimension)
    corpora: NDArray[np.str_]  # (recordings,), as the following
    speakers: NDArray[np.str_]
    texts: NDArray[np.str_]

    def only(self, chosen: NDArray[np.bool_]) -> Voices:
        """Some of them."""
        return Voices(
            self.points[chosen], self.corpora[chosen], self.speakers[chosen], self.texts[chosen]
        )


def embed(rows: Sequence[Row], folder: Path, encoder: Encoder) -> tuple[Voices, NDArray[np.bool_]]:
    """Training speakers' voiceprints, and which of them are of speakers that were held out."""
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    kept_back = held_out(train)
    # Cut as for training, so that what was cut for it is found again.
    clips = cut(train, folder / "corpus")
    chosen = [
        (index, label)
        for index, label in enumerate(clips.labels)
        if label["corpus"] in protocols.PAIRED and label["speed"] == 1 and label["speaker"]
    ]
    if not chosen:
        raise SettingsError(
            f"the manifest has no train rows of {', '.join(protocols.PAIRED)}; see docs/school.md"
        )
    points = [
        encoder.embed(long_enough(clips[index]))
        for index, _ in track(chosen, "embedding", len(chosen))
    ]
    labels = [label for _, label in chosen]
    voices = Voices(
        np.stack(points).astype(np.float64),
        *(np.array([str(each[name]) for each in labels]) for name in ("corpus", "speaker", "text")),
    )
    apart = [(str(label["corpus"]), str(label["speaker"])) in kept_back for label in labels]
    return voices, np.array(apart)


def fit(voices: Voices, apart: NDArray[np.bool_], encoder: str) -> Population:
    """The population that these voices are a sample of. Raises SettingsError for too few."""
    every, unseen = _pooled(voices), _pooled(voices.only(apart))
    # Unit length: the squares of the mean and of both deviations add up to one.
    aside, apart_from_mean = np.trace(unseen.within), np.trace(unseen.between)
    near = 1 - aside
    pairs, squares, sharing, disjoint = unseen.nearness
    # Relative to the takes that they were measured on.
    of_students = max(0.0, disjoint / pairs**2 - 1)
    of_recordings = max(0.0, (sharing - disjoint) / pairs**2)
    # Cosines vary more than their takes' nearness explains: takes of one manner are alike.
    known = disjoint + 2 * of_recordings * pairs**2 + (of_recordings * pairs) ** 2
    alike = (squares - known) / (1 - pairs) ** 2
    by_chance = np.trace(every.within @ every.within) / np.trace(every.within) ** 2
    manners = 1 / max(alike - by_chance, 1 / MANNERS)
    mean = every.mean / np.linalg.norm(every.mean)
    return Population(
        encoder=encoder,
        speakers=every.speakers,
        recordings=every.recordings,
        mean=(mean * np.sqrt(max(0.0, 1 - apart_from_mean / near))).astype(np.float32),
        between=_factor(every.between, min(1.0, apart_from_mean / near)),
        within=_factor(every.within, 1.0),
        near=float(near),
        manners=max(1, round(manners)),
        near_students=float(of_students * near**2),
        near_recordings=float(of_recordings * near),
    )


@dataclass(frozen=True)
class _Moments:
    """What can be said of one corpus, or of several."""

    speakers: int
    recordings: int
    mean: Matrix  # (dimension,), of the texts' means
    between: Matrix  # (dimension, dimension)
    within: Matrix
    nearness: Matrix | None  # (4,): see _nearness


def _pooled(voices: Voices) -> _Moments:
    found = [
        _moments(voices.only(voices.corpora == corpus)) for corpus in np.unique(voices.corpora)
    ]
    known = [each for each in found if each is not None]
    near = [each for each in known if each.nearness is not None]
    if not near:
        raise SettingsError(
            f"a population needs speakers, some of them held out of training, who say the same "
            f"text {TAKES} times; see docs/school.md"
        )

    def mean(name: str, of: list[_Moments]) -> Matrix:
        weights = [each.speakers - 1 for each in of]
        average: Matrix = np.average([getattr(each, name) for each in of], 0, weights)
        return average

    return _Moments(
        speakers=sum(each.speakers for each in known),
        recordings=sum(each.recordings for each in known),
        mean=mean("mean", known),
        between=mean("between", known),
        within=mean("within", known),
        nearness=mean("nearness", near),
    )


def _moments(voices: Voices) -> _Moments | None:
    """Analysis of variance by text; unbiased for any number of takes (Searle et al. 1992, 4).

    None where no two speakers say the same text, or nobody says one twice.
    """
    dimension = voices.points.shape[1]
    between, within = np.zeros((2, dimension, dimension))
    means, nearness, counted = [], [], set()
    recordings, apart, repeated, weight = 0, 0, 0, 0.0
    for text in np.unique(voices.texts):
        said = voices.only(voices.texts == text)
        names, owners, counts = np.unique(said.speakers, return_inverse=True, return_counts=True)
        if len(names) < 2:
            continue
        centres = np.zeros((len(names), dimension))
        np.add.at(centres, owners, said.points)
        centres /= counts[:, None]
        mean = said.points.mean(axis=0)
        aside = said.points - centres[owners]
        within += aside.T @ aside
        between += (centres - mean).T @ ((centres - mean) * counts[:, None])
        recordings += len(said.points)
        apart += len(names) - 1
        repeated += len(said.points) - len(names)
        weight += len(said.points) - np.sum(counts**2) / len(said.points)
        means.append(mean)
        counted |= set(names)
        nearness += [
            _nearness(said.points[owners == owner])
            for owner in np.flatnonzero(counts >= TAKES).tolist()
        ]
    if not means or not repeated:
        return None
    within /= repeated
    return _Moments(
        speakers=len(counted),
        recordings=recordings,
        mean=np.mean(means, axis=0),
        between=(between - apart * within) / weight,
        within=within,
        nearness=np.mean(nearness, axis=0) if nearness else None,
    )


def _nearness(points: Matrix) -> Matrix:
    """Of one speaker's takes: means of cosines, of their squares, and of products of two.

    Where c is how near a take lies to its speaker, the cosine of two is the product of theirs on
    average. Two pairs that share a take have E[c^2] E[c]^2 on average, two that share none E[c]^4:
    together they tell how c varies between takes and between speakers, and the squares how much
    alike two takes are beside that.
    """
    takes = len(points)
    cosines = points @ points.T
    np.fill_diagonal(cosines, 0)
    total, squares = cosines.sum(), np.sum(cosines**2)
    sharing = np.sum(cosines.sum(axis=1) ** 2) - squares
    disjoint = total**2 - 4 * sharing - 2 * squares
    pairs = takes * (takes - 1)
    ways = np.array([pairs, pairs, pairs * (takes - 2), pairs * (takes - 2) * (takes - 3)])
    return np.array([total, squares, sharing, disjoint]) / ways


def _factor(covariance: Matrix, size: float) -> Points:
    """What turns normal numbers into deviations of this covariance, brought to a trace."""
    values, directions = np.linalg.eigh(covariance)
    values = np.clip(values, 0, None)  # an unbiased estimate may fall below
    factor: Points = (directions * np.sqrt(values * size / values.sum())).astype(np.float32)
    return factor


def write(
    population: Population, students: int, recordings: int, path: Path, seed: int = 0
) -> None:
    """Draw a school into an .npz: ``voiceprints``, and whose encoder's they are like.

    Raises StorageError.
    """
    drawn = population.draw(students, recordings, seed)
    write_whole(
        path,
        lambda file: np.savez(
            file, voiceprints=drawn, encoder=population.encoder, synthetic=np.True_
        ),
    )


@dataclass(frozen=True)
class Pairs:
    """Cosines of pairs of recordings that say the same."""

    same: NDArray[np.float32]  # by one speaker
    other: NDArray[np.float32]  # by two

    def figures(self) -> dict[str, float]:
        """Their means and deviations, and the EER."""
        return {
            "same_mean": float(self.same.mean()),
            "same_deviation": float(self.same.std()),
            "other_mean": float(self.other.mean()),
            "other_deviation": float(self.other.std()),
            "eer": equal_error_rate(self.same, self.other),
        }


def synthetic_pairs(population: Population, seed: int = 0) -> Pairs:
    """Pairs of a synthetic school: all of a student's, and one recording of each with others'."""
    school = population.draw(PAIRED, BEST, seed)
    first, second = np.triu_indices(BEST, 1)
    same = np.sum(school[:, first] * school[:, second], axis=-1).ravel()
    cosines = school[:, 0] @ school[:, 1].T
    return Pairs(same, cosines[~np.eye(PAIRED, dtype=bool)])


def real_pairs(rows: Sequence[Row], encoder: Path = SHIPPED) -> dict[str, Pairs]:
    """The pair protocol's cosines on the eval split, by corpus. Raises SettingsError."""
    with of_encoder(encoder) as embedding:
        made = embedded(hear(rows), embedding)
    found = {}
    for corpus, points in made.points.items():
        trials = protocols.pairs(made.heard.rows[corpus], points)
        found[corpus] = Pairs(trials.scores[trials.same], trials.scores[~trials.same])
    return found


def draw_pairs(synthetic: Pairs, real: dict[str, Pairs], path: Path) -> None:
    """Draw the histograms over each other, as an SVG. Raises StorageError."""
    figure = Figure(figsize=(4.2 * len(real), 3.6), layout="constrained")
    for place, (corpus, pairs) in zip(
        figure.subplots(1, len(real), squeeze=False)[0], real.items(), strict=True
    ):
        for kind, color in (("other", "#7f8c8d"), ("same", "#c0392b")):
            for name, drawn, style in (
                ("real", pairs, {"alpha": 0.4}),
                ("synthetic", synthetic, {"histtype": "step"}),
            ):
                label = f"{name}, {kind} speaker"
                place.hist(
                    getattr(drawn, kind), BINS, density=True, color=color, label=label, **style
                )
        errors = [100 * each.figures()["eer"] for each in (pairs, synthetic)]
        place.set(
            title=f"{corpus}: EER {errors[0]:.1f} %, synthetic {errors[1]:.1f} %", xlabel="cosine"
        )
        place.set_yticks([])
    figure.legend(*place.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
