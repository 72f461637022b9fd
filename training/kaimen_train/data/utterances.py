"""What is said at a gate, drawn from cut recordings: phrases, and takes of the same phrase."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from kaimen.acoustics.devices import CODECS
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen_train.data.corpus import Clips
from kaimen_train.data.speakers import voice_of
from kaimen_train.evaluation.protocols import one_phrase

SHORT = 1.3  # seconds below which a clip is one word
JOINED = 0.85  # share of the words that are joined to phrases of two
LENGTHS = (1.0, 2.5)  # seconds that are cut out of running speech
CODED = 0.35  # share of all that was coded before: corpora are, and should give nothing away
FAVOUR = 0.3  # a corpus is heard in proportion to this power of its number of voices
OFTEN = ("mandarin20", "commands")  # whose speakers say the same again and again
FEWEST, MOST = 3, 5  # recordings that enroll a student
TRIED = 4  # phrases of one text that are tried, at most


class Speech:
    """Clips to draw from: every corpus by its weight, every voice of it alike."""

    def __init__(self, clips: Clips, random: np.random.Generator) -> None:
        self.clips = clips
        self.random = random
        voices: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, label in enumerate(clips.labels):
            voices[str(label["corpus"])][voice_of(label)].append(index)
        self.voices = {name: list(own.items()) for name, own in voices.items()}
        self.names = list(self.voices)
        weights = np.array([len(own) for own in self.voices.values()]) ** FAVOUR
        self.weights = weights / weights.sum()

    def draw(self) -> tuple[Samples, str, str]:
        """A phrase of a word, of two or out of running speech; its corpus and its voice."""
        corpus = self.names[self.random.choice(len(self.names), p=self.weights)]
        voices = self.voices[corpus]
        voice, own = voices[self.random.integers(len(voices))]
        sound = self._clip(own)
        if len(sound) < SHORT * SAMPLE_RATE and self.random.random() < JOINED:
            sound = one_phrase(sound, self._clip(own))
        if len(sound) > LENGTHS[1] * SAMPLE_RATE:
            length = round(self.random.uniform(*LENGTHS) * SAMPLE_RATE)
            start = self.random.integers(len(sound) - length)
            sound = sound[start : start + length]
        return coded(sound, self.random, "training"), corpus, voice

    def _clip(self, own: list[int]) -> Samples:
        return self.clips[own[self.random.integers(len(own))]]


@dataclass(frozen=True, slots=True)
class Takes:
    """One text said by one voice again and again, in all corpora."""

    clips: Clips
    of: dict[str, dict[str, list[list[int]]]]  # corpus, voice: clips of a text

    @classmethod
    def among(cls, clips: Clips) -> Takes:
        """All that are said often enough to be learned and tried."""
        texts: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, label in enumerate(clips.labels):
            corpus, text = str(label["corpus"]), str(label["text"])
            texts[corpus, f"{voice_of(label)} {label['speed']}", text].append(index)
        found: dict[str, dict[str, list[list[int]]]] = defaultdict(lambda: defaultdict(list))
        for (corpus, voice, _), takes in texts.items():
            if corpus in OFTEN and len(takes) > FEWEST:
                found[corpus][voice].append(takes)
        return cls(clips, found)

    def draw(
        self, family: str, random: np.random.Generator
    ) -> tuple[list[Samples], list[Samples], str, str]:
        """Takes of a phrase that enroll, and that are tried; their corpus and their voice."""
        corpus = list(self.of)[random.integers(len(self.of))]
        voice = list(self.of[corpus])[random.integers(len(self.of[corpus]))]
        texts = self.of[corpus][voice]
        sounds = self._takes(texts[random.integers(len(texts))], random)
        if random.random() < JOINED:
            others = self._takes(texts[random.integers(len(texts))], random)
            sounds = [one_phrase(one, other) for one, other in zip(sounds, others, strict=False)]
        sounds = [coded(each, random, family) for each in sounds[: MOST + TRIED]]
        enrolled = min(int(random.integers(FEWEST, MOST + 1)), len(sounds) - 1)
        tried = sounds[enrolled : enrolled + TRIED]
        return sounds[:enrolled], tried, corpus, voice.rpartition(" ")[0]

    def _takes(self, clips: list[int], random: np.random.Generator) -> list[Samples]:
        return [self.clips[clips[number]] for number in random.permutation(len(clips))]


def coded(sound: Samples, random: np.random.Generator, family: str) -> Samples:
    """A share of all sounds, as a codec leaves them."""
    if random.random() >= CODED:
        return sound
    choice = CODECS[family]
    return choice[random.integers(len(choice))](sound)
