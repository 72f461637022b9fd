"""A population of voices to draw synthetic schools from, measured on the training speakers.

Two kinds of speakers are told apart. The network learned its training speakers by heart: their
recordings are more alike, and other people's further away, than they will be at a gate. So all
named speakers together give the directions (covariances need hundreds of them), and only the
speakers that were held out of training give the sizes: how far people and recordings lie apart,
and in how few directions people mostly differ. The eval split is not looked at, but for the
comparison in the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kaimen.bench.synthetic import Points, Population
from kaimen.errors import SettingsError
from kaimen.storage import write_whole
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from kaimen_train.data.corpus import NOISE, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import held_out
from kaimen_train.drawing import save_svg
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import embedded, hear, of_encoder
from kaimen_train.evaluation.metrics import equal_error_rate
from kaimen_train.progress import track
from kaimen_train.school.variance import LabelledPoints, Matrix, pooled

POWERS = (0.5, 3.0)  # of the variances between speakers, at least and at most
MANNERS = 100  # of a student, at most: so many are as good as any number
PAIRED = 2_000  # synthetic students whose pairs are compared
TAKES = 3  # of each
BINS = np.linspace(-0.4, 1, 71)


def embed(
    rows: Sequence[Row], folder: Path, encoder: Encoder
) -> tuple[LabelledPoints, NDArray[np.bool_]]:
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
            f"the manifest has no train rows of {', '.join(protocols.PAIRED)}; "
            "see docs/figures/school.md"
        )
    points = [encoder.embed(long_enough(clips[index])) for index, _ in track(chosen, "embedding")]
    labels = [label for _, label in chosen]
    voices = LabelledPoints(
        np.stack(points).astype(np.float64),
        *(np.array([str(each[name]) for each in labels]) for name in ("corpus", "speaker", "text")),
    )
    apart = [(str(label["corpus"]), str(label["speaker"])) in kept_back for label in labels]
    return voices, np.array(apart)


def fit(
    voices: LabelledPoints, apart: NDArray[np.bool_], encoder: str, *, concentrated: bool = True
) -> Population:
    """Return the population that these voices are a sample of. Raises SettingsError for too few.

    Unless ``concentrated``, people differ in as many directions as the training speakers do.
    """
    every, unseen = pooled(voices), pooled(voices.only(apart))
    # Unit length: the squares of the mean and of both deviations add up to one.
    aside, apart_from_mean = np.trace(unseen.within), np.trace(unseen.between)
    near = 1 - aside
    assert unseen.nearness is not None  # as of all that are pooled
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
    power = _power(every.between, unseen.concentration) if concentrated else 1.0
    return Population(
        encoder=encoder,
        speakers=every.speakers,
        recordings=every.recordings,
        mean=(mean * np.sqrt(max(0.0, 1 - apart_from_mean / near))).astype(np.float32),
        between=_factor(every.between, min(1.0, apart_from_mean / near), power),
        within=_factor(every.within, 1.0),
        near=float(near),
        manners=max(1, round(manners)),
        near_students=float(of_students * near**2),
        near_recordings=float(of_recordings * near),
    )


def _power(between: Matrix, concentration: float | None) -> float:
    """The power of the variances of a covariance at which it is as concentrated as asked for."""
    values = np.clip(np.linalg.eigvalsh(between), 0, None)
    low, high = POWERS
    if concentration is None or not values.any():
        return 1.0
    for _ in range(40):
        power = (low + high) / 2
        found = np.sum(values ** (2 * power)) / np.sum(values**power) ** 2
        low, high = (power, high) if found < concentration else (low, power)
    return power


def _factor(covariance: Matrix, size: float, power: float = 1.0) -> Points:
    """Return what turns normal numbers into deviations of this covariance, brought to a trace.

    By a power above one of its variances, wide directions become wider and narrow ones narrower.
    """
    values, directions = np.linalg.eigh(covariance)
    values = np.clip(values, 0, None) ** power  # an unbiased estimate may fall below
    factor: Points = (directions * np.sqrt(values * size / values.sum())).astype(np.float32)
    return np.ascontiguousarray(factor[:, ::-1])  # the widest first


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
class CosinePairs:
    """Cosines of pairs of recordings that say the same."""

    same: NDArray[np.float32]  # by one speaker
    other: NDArray[np.float32]  # by two

    def figures(self) -> dict[str, float]:
        """Return their means and deviations, and the EER."""
        return {
            "same_mean": float(self.same.mean()),
            "same_deviation": float(self.same.std()),
            "other_mean": float(self.other.mean()),
            "other_deviation": float(self.other.std()),
            "eer": equal_error_rate(self.same, self.other),
        }


def synthetic_pairs(population: Population, seed: int = 0) -> CosinePairs:
    """Pairs of a synthetic school: all of a student's, and one recording of each with others'."""
    school = population.draw(PAIRED, TAKES, seed)
    first, second = np.triu_indices(TAKES, 1)
    same = np.sum(school[:, first] * school[:, second], axis=-1).ravel()
    cosines = school[:, 0] @ school[:, 1].T
    return CosinePairs(same, cosines[~np.eye(PAIRED, dtype=bool)])


def real_pairs(rows: Sequence[Row]) -> dict[str, CosinePairs]:
    """Return the pair protocol's cosines on the eval split, by corpus. Raises SettingsError."""
    made = embedded(hear(rows), of_encoder(SHIPPED))
    found = {}
    for corpus, points in made.points.items():
        trials = protocols.pairs(made.heard.rows[corpus], points)
        found[corpus] = CosinePairs(trials.targets, trials.strangers)
    return found


def draw_pairs(synthetic: CosinePairs, real: dict[str, CosinePairs], path: Path) -> None:
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
    save_svg(figure, path)
