"""What gates heard of many phrases, live and replayed, and how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.acoustics.devices import KINDS
from kaimen_train.evaluation.evaluate import PHRASED

PLAIN, LIVE = "recording", "live"  # no replays: as it was recorded, or simulated at a gate
SAID = (PLAIN, LIVE)
EVERY = (*SAID, *KINDS)
PHRASE = "phrase"  # words of the eval split joined to phrases, as if a corpus

Heard = NDArray[np.float16]  # log-mel features, (frames, MELS)
Place = NDArray[np.float16]  # (dimension,), a voiceprint or the middle of several; NaN if unknown

TOLD = ("kinds", "corpora", "speakers", "points", "usual")  # of each phrase, beside what was heard


@dataclass(frozen=True, slots=True)
class ReplayPhrases:
    """What gates heard of many phrases: phrase i is heard[i], of kind kinds[i]."""

    heard: list[Heard]
    kinds: NDArray[np.str_]  # (phrases,), of EVERY
    corpora: NDArray[np.str_]
    speakers: NDArray[np.str_]
    points: NDArray[np.float16]  # (phrases, dimension)
    usual: NDArray[np.float16]  # (phrases, dimension): the middle of the same said by the same

    @property
    def attacks(self) -> NDArray[np.bool_]:
        """Return which of them are replays."""
        return ~np.isin(self.kinds, SAID)

    @property
    def beside(self) -> NDArray[np.bool_]:
        """Of which of them it is known what the same speaker said before."""
        return np.asarray(~np.isnan(self.usual).any(axis=1), np.bool_)

    def only(self, chosen: NDArray[np.bool_]) -> ReplayPhrases:
        """Return some of the phrases."""
        return ReplayPhrases(
            [self.heard[number] for number in np.flatnonzero(chosen)],
            *(getattr(self, name)[chosen] for name in TOLD),
        )

    @property
    def voices(self) -> NDArray[np.str_]:
        """Return who said them: speakers of two corpora are two, whatever they are called."""
        corpora = np.where(self.corpora == PHRASE, PHRASED, self.corpora)
        return np.char.add(np.char.add(corpora, "/"), self.speakers)

    def save(self, path: Path) -> None:
        """Keep them."""
        lengths = [len(each) for each in self.heard]
        np.savez(
            path,
            heard=np.concatenate(self.heard),
            lengths=lengths,
            **{name: getattr(self, name) for name in TOLD},
        )

    @classmethod
    def load(cls, path: Path) -> ReplayPhrases:
        """Return what was kept."""
        with np.load(path) as stored:
            heard = np.split(stored["heard"], np.cumsum(stored["lengths"])[:-1])
            return cls(heard, *(stored[name] for name in TOLD))

    @classmethod
    def joined(cls, parts: Sequence[ReplayPhrases]) -> ReplayPhrases:
        """Return those of several parts, one after the other."""
        every = [heard for part in parts for heard in part.heard]
        told = (np.concatenate([getattr(part, name) for part in parts]) for name in TOLD)
        return cls(every, *told)


# What was heard of a phrase, and what is told of it.
One = tuple[Heard, str, str, str, Place, Place]


def together(many: Sequence[One]) -> ReplayPhrases:
    """Return phrases that came one by one, all together."""
    heard, *told = zip(*many, strict=True)
    return ReplayPhrases(list(heard), *(np.array(each) for each in told))


def kept(path: Path, make: Callable[[], ReplayPhrases]) -> ReplayPhrases:
    """Return phrases from a file, made where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f".{path.name}")  # by this name only once it is all there
        make().save(whole)
        whole.replace(path)
    return ReplayPhrases.load(path)
