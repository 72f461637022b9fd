"""What the phrase encoder learns from: the same words and other words, many of them nearly alike.

A group of a batch is some phrases said by some speakers of one corpus. Half the phrases or more
are two words joined, and then the group is made around one of them: its rivals share one half
with it, double a half, or swap the halves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.voice.features import MELS, Features, level_free
from kaimen.voice.phrase import stretched
from kaimen_train.data.batches import ahead
from kaimen_train.data.corpus import Clips
from kaimen_train.evaluation.protocols import NEAR_ALIKE

SHARES = {"mandarin20": 0.7, "commands": 0.3}  # of groups
GROUPS = 2
SPEAKERS = 6  # in a group
PHRASES = 12  # in a group
JOINED = 0.7  # share of the groups
AHEAD = 16  # batches kept ready
PAUSE = 16  # frames between joined words, below

Phrase = tuple[str, ...]  # of words
PhraseBatch = tuple[NDArray[np.float32], NDArray[np.int32]]  # features, which phrase each is


class WordFeatures:
    """Features of single words, by corpus, speaker and text."""

    def __init__(self, features: Sequence[Features], clips: Clips) -> None:
        """``features`` of the ``clips``, not level-free."""
        self._features = features
        self._voices: dict[str, dict[str, dict[str, list[int]]]] = {}
        self._texts: dict[str, dict[str, list[int]]] = {}
        for index, label in enumerate(clips.labels):
            corpus, text = str(label["corpus"]), str(label["text"])
            voice = f"{label['speaker']}@{label['speed']}"
            voices = self._voices.setdefault(corpus, {})
            voices.setdefault(voice, defaultdict(list))[text].append(index)
            self._texts.setdefault(corpus, defaultdict(list))[text].append(index)
        self._corpora = [name for name in SHARES if name in self._voices]
        shares = np.array([SHARES[name] for name in self._corpora])
        self._shares = shares / shares.sum()

    def batch(self, random: np.random.Generator, frames: int) -> PhraseBatch:
        """Return one batch; phrases of different groups never count as the same."""
        heard, which = [], []
        for group in range(GROUPS):
            for number, values in self._group(random):
                heard.append(hidden(level_free(stretched(values, frames)), random))
                which.append(group * PHRASES * 2 + number)
        return np.stack(heard), np.array(which, np.int32)

    def _group(self, random: np.random.Generator) -> Iterator[tuple[int, Features]]:
        corpus = str(random.choice(self._corpora, p=self._shares))
        voices = self._voices[corpus]
        texts = list(self._texts[corpus])
        if np.mean([len(said) for said in voices.values()]) < PHRASES:
            # Nobody says many words here: words by whoever says them.
            for number, text in enumerate(some(random, texts, PHRASES)):
                for index in some(random, self._texts[corpus][text], SPEAKERS):
                    yield number, heard_again(self._features[index], random)
            return
        speakers = [voices[name] for name in some(random, list(voices), SPEAKERS)]
        for number, phrase in enumerate(rivals(random, texts)):
            for said in speakers:
                if all(text in said for text in phrase):
                    words = [self._features[random.choice(said[text])] for text in phrase]
                    yield number, heard_again(joined(words, random), random)


def rivals(random: np.random.Generator, texts: Sequence[str]) -> list[Phrase]:
    """Return phrases that are easily taken for each other."""
    first, second = (str(each) for each in random.choice(texts, 2, replace=False))
    near = None
    pairs = [pair for pair in NEAR_ALIKE if set(pair) <= set(texts)]
    if pairs and random.random() < 0.5:
        pair = pairs[random.integers(len(pairs))]
        first, near = pair[:: int(random.choice([1, -1]))]
    if random.random() >= JOINED:
        rest = [text for text in texts if text not in (first, near)]
        alone = [first, *([near] if near else []), *some(random, rest, PHRASES - 1)]
        return [(text,) for text in alone[:PHRASES]]
    turned = random.random() < 0.5
    phrases = {(first, second), (first, first), (second, second), (second, first)}
    if near:
        phrases.add((near, second))
    while len(phrases) < min(PHRASES, 2 * len(texts)):
        other = str(random.choice(texts))
        phrases.add((other, second) if random.random() < 0.5 else (first, other))
    return [phrase[::-1] if turned else phrase for phrase in sorted(phrases)]


def some(random: np.random.Generator, of: Sequence[Any], count: int) -> list[Any]:
    """As many of them, or all."""
    return [of[at] for at in random.choice(len(of), min(count, len(of)), replace=False)]


def joined(words: Sequence[Features], random: np.random.Generator) -> Features:
    """Return words after each other, with a short pause of the first one's room between them."""
    pieces = [words[0]]
    for word in words[1:]:
        pieces += [quiet(words[0], int(random.integers(PAUSE)), random), word]
    return np.concatenate(pieces)


def quiet(heard: Features, frames: int, random: np.random.Generator) -> Features:
    """Return frames of what is around a word."""
    room = np.percentile(heard, 5, axis=0)
    return np.asarray(room + random.normal(0, 0.5, (frames, MELS)), np.float32)


def heard_again(heard: Features, random: np.random.Generator) -> Features:
    """Return it as another gate hears it: cut otherwise, another microphone, noise, uneven."""
    begins, ends = random.integers(-4, 5, 2)
    if len(heard) > 30:
        heard = heard[max(0, begins) : len(heard) - max(0, ends)]
    around = [quiet(heard, max(0, -cut), random) for cut in (begins, ends)]
    heard = np.concatenate((around[0], heard, around[1]))
    if random.random() < 0.7:  # a microphone
        curve = random.normal(0, 1.2, 8) * random.random()
        heard = heard + np.interp(np.linspace(0, 7, MELS), np.arange(8), curve)
    if random.random() < 0.5:  # noise of a colour, 5 to 25 dB below
        level = np.log(np.mean(np.exp(heard))) - random.uniform(5, 25) * np.log(10) / 10
        colour = np.interp(np.linspace(0, 5, MELS), np.arange(6), random.normal(0, 1.5, 6))
        noise = level + colour + np.log(random.exponential(1, heard.shape) + 1e-3)
        heard = np.logaddexp(heard, noise)
    if random.random() < 0.7:  # one syllable slower, another faster
        knots = np.cumsum(np.r_[0, np.exp(random.normal(0, 0.15, 6))])
        steps = np.linspace(0, 6, len(heard))
        at = np.interp(steps, np.arange(7), knots / knots[-1] * (len(heard) - 1))
        before = np.floor(at).astype(np.int64)
        after = np.minimum(before + 1, len(heard) - 1)
        share = (at - before)[:, np.newaxis]
        heard = heard[before] * (1 - share) + heard[after] * share
    return heard.astype(np.float32)


def hidden(heard: Features, random: np.random.Generator) -> Features:
    """Return features of which some mels and frames are covered (SpecAugment, arXiv 1904.08779)."""
    if random.random() < 0.5:
        width = random.integers(9)
        at = random.integers(MELS - width)
        heard[:, at : at + width] = 0
        width = random.integers(8)
        at = random.integers(len(heard) - width)
        heard[at : at + width] = 0
    return heard


def batches(words: WordFeatures, frames: int, *, seed: int, steps: range) -> Iterator[PhraseBatch]:
    """Yield one batch a step, in order, made ahead by another process."""
    return ahead(_produce, words, frames, seed, steps, kept=AHEAD)


def _produce(queue: Any, words: WordFeatures, frames: int, seed: int, steps: range) -> None:
    for step in steps:
        # A generator a step: a resumed run draws the very batches the killed one would have.
        queue.put(words.batch(np.random.default_rng((seed, step)), frames))
