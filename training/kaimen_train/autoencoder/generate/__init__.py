"""Models that synthetic schools are drawn from, fitted to the training speakers' voiceprints.

All share what was measured of recordings and of covariances (``kaimen_train.school.school``).
They differ in how students are spread beyond that: normally, or as a learned shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaimen.bench.shapes import Layers
from kaimen.bench.synthetic import FURTHER, Population
from kaimen_train.autoencoder.generate import diffusion, gan
from kaimen_train.autoencoder.generate.numbers import Numbers, corrected, numbers_of, uncorrected
from kaimen_train.school import school
from kaimen_train.school.variance import LabelledPoints

DEFAULT = "diffusion"  # forecasts best; turned, none tells whom it learned from
LEARNED: dict[str, Callable[[Numbers], Layers]] = {
    "diffusion": lambda numbers: corrected("diffusion", diffusion.fit(numbers)),
    "gan": lambda numbers: corrected("gan", gan.fit(numbers)),
    FURTHER: lambda numbers: uncorrected(diffusion.fit_further(numbers)),
}


def fit(
    voices: LabelledPoints, apart: NDArray[np.bool_], encoder: str, learned: Iterable[str] = LEARNED
) -> Population:
    """A population that every model can be drawn from. Raises SettingsError for too few voices.

    It lies where the encoder puts voices: turn it before it is handed on. ``apart`` are the
    recordings of speakers that the encoder was not trained on.
    """
    population = school.fit(voices, apart, encoder)
    numbers = numbers_of(voices, population)
    weights = {name: LEARNED[name](numbers) for name in learned}
    return replace(population, model=DEFAULT, weights=weights)
