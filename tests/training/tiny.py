"""What a run of training needs, as small as can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kaimen_train.data import batches as batching
from kaimen_train.data.corpus import Clips

FRAMES = 60


def fake_points(clips: Clips, folder: Path) -> list[np.ndarray]:
    """A teacher who knows nothing, but always the same."""
    points = np.random.default_rng(0).normal(size=(len(clips), 256)).astype(np.float32)
    return [points / np.linalg.norm(points, axis=1, keepdims=True)]


class Batches:
    """The real batches; remembers what was asked and given, and may be killed before a step."""

    def __init__(self) -> None:
        self.clips: Clips | None = None
        self.steps: list[int] = []
        self.given: list[np.ndarray] = []
        self.killed_before: int | None = None
        self._made = batching.batches

    def __call__(self, clips: Clips, *rest: Any, **options: Any) -> Iterator[batching.ClipBatch]:
        self.clips = clips
        for batch in self._made(clips, *rest, **options):
            if batch.step == self.killed_before:
                raise KeyboardInterrupt
            self.steps.append(batch.step)
            self.given.append(batch.clips)
            yield batch
