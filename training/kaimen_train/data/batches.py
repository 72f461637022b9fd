"""Batches of augmented features, made by a process of its own ahead of the training."""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen_train.data.augment import Augmenter
from kaimen_train.data.corpus import Clips

GROUPS = 4  # a batch is so many groups, each of one corpus: rivals sound alike
SPEAKERS = 16  # in a group
TAKES = 2  # of each speaker
SIZE = GROUPS * SPEAKERS * TAKES
FRAMES = (60, 80, 100, 150)  # how long the clips of a batch are, and how often
FRAMES_SHARE = (0.35, 0.3, 0.25, 0.1)
SHARES = {  # of groups; corpora not named here share the rest
    "mandarin20": 0.2,
    "commands": 0.3,
}
SAME_TEXT = 0.7  # share of the groups in which all say the same, where texts allow
AHEAD = 24  # batches kept ready


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Augmented clips of one length."""

    step: int
    features: NDArray[np.float16]  # (SIZE, frames, MELS)
    clips: NDArray[np.int64]  # (SIZE,) which clips they come from


class Sampler:
    """Draws which clips make a batch."""

    def __init__(self, clips: Clips) -> None:
        self._voices: dict[str, dict[str, dict[str, list[int]]]] = {}  # corpus, voice, text
        for index, label in enumerate(clips.labels):
            voice = f"{label['speaker'] or label['path']}@{label['speed']}"
            corpus = self._voices.setdefault(str(label["corpus"]), {})
            corpus.setdefault(voice, defaultdict(list))[str(label["text"])].append(index)
        others = [name for name in self._voices if name not in SHARES]
        rest = (1 - sum(SHARES[name] for name in self._voices if name in SHARES)) / max(
            1, len(others)
        )
        self._corpora = list(self._voices)
        shares = np.array([SHARES.get(name, rest) for name in self._corpora])
        self._shares = shares / shares.sum()

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return indices of SIZE clips."""
        corpora = random.choice(self._corpora, GROUPS, p=self._shares)
        return np.concatenate([self._group(random, self._voices[name]) for name in corpora])

    def _group(
        self, random: np.random.Generator, voices: dict[str, dict[str, list[int]]]
    ) -> NDArray[np.int64]:
        names = list(voices)
        chosen = random.choice(len(names), SPEAKERS, replace=len(names) < SPEAKERS)
        texts = list(voices[names[chosen[0]]])
        text = texts[random.integers(len(texts))] if random.random() < SAME_TEXT else None
        picked = []
        for place in chosen:
            by_text = voices[names[place]]
            takes = by_text.get(text, []) if text is not None else []
            if len(takes) < TAKES:
                takes = [index for every in by_text.values() for index in every]
            picked.append(random.choice(takes, TAKES, replace=len(takes) < TAKES))
        return np.concatenate(picked)


def _produce(queue: Any, clips: Clips, augmenter: Augmenter, seed: int, steps: range) -> None:
    sampler = Sampler(clips)
    for step in steps:
        # A generator a step: a resumed run draws the very batches the killed one would have.
        random = augmenter.random = np.random.default_rng((seed, step))
        frames = int(random.choice(FRAMES, p=FRAMES_SHARE))
        chosen = sampler.draw(random)
        made = np.stack([augmenter(clips[index], frames) for index in chosen])
        queue.put(ClipBatch(step, made.astype(np.float16), chosen))


def batches(clips: Clips, augmenter: Augmenter, *, seed: int, steps: range) -> Iterator[ClipBatch]:
    """Yield one batch a step, in order, made ahead by another process."""
    return ahead(_produce, clips, augmenter, seed, steps)


def ahead(produce: Callable[..., None], *arguments: Any, kept: int = AHEAD) -> Iterator[Any]:
    """Yield what ``produce`` puts into a queue, ``kept`` ready, one for each of its last argument.

    It runs in a process of its own, and gets the queue before the arguments.
    """
    context = multiprocessing.get_context("fork")
    queue = context.Queue(kept)
    maker = context.Process(target=produce, args=(queue, *arguments), daemon=True)
    maker.start()
    try:
        for _ in arguments[-1]:
            while True:
                try:
                    yield queue.get(timeout=20)
                    break
                except Empty:
                    if not maker.is_alive():
                        raise RuntimeError("the process that makes batches died") from None
    finally:
        maker.kill()
