"""Phrases said and phrases replayed, simulated, to train and to measure the loudspeaker detector.

Both come from the same voices, through the same kinds of gates, noise and levels; both were coded
before as often. Live are, besides, recordings as they are: they came through real microphones.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.attack import codecs, devices, filters, rooms
from edge.attack.devices import CODECS, KINDS, SNR, device, gates, live, replayed
from edge.errors import NoSpeech, SettingsError
from edge.sound import SAMPLE_RATE, Samples
from edge.sound.recording import main_phrase
from edge.voice import features
from training import protocols
from training.corpus import NOISE, Clips, Row, cut, of_split, speech_of
from training.evaluate import PHRASED
from training.fit import held_out, voice_of
from training.progress import track

PLAIN, LIVE = "recording", "live"  # no replays: as it was recorded, or simulated at a gate
SAID = (PLAIN, LIVE)
EVERY = (*SAID, *KINDS)
SHORT = 1.3  # seconds below which a clip is one word
JOINED = 0.85  # share of the words that are joined to phrases of two
LENGTHS = (1.0, 2.5)  # seconds that are cut out of running speech
CODED = 0.35  # share of all that was coded before: corpora are, and should give nothing away
PHRASE = "phrase"  # words of the eval split joined to phrases, as if a corpus
FAVOUR = 0.3  # a corpus is heard in proportion to this power of its number of voices

Heard = NDArray[np.float16]  # log-mel features, (frames, MELS)


@dataclass(frozen=True, slots=True)
class Phrases:
    """What gates heard of many phrases: phrase i is heard[i], of kind kinds[i]."""

    heard: list[Heard]
    kinds: NDArray[np.str_]  # (phrases,), of EVERY
    corpora: NDArray[np.str_]
    speakers: NDArray[np.str_]

    @property
    def attacks(self) -> NDArray[np.bool_]:
        """Which of them are replays."""
        return ~np.isin(self.kinds, SAID)

    @property
    def voices(self) -> NDArray[np.str_]:
        """Who said them: speakers of two corpora are two, whatever they are called."""
        corpora = np.where(self.corpora == PHRASE, PHRASED, self.corpora)
        return np.char.add(np.char.add(corpora, "/"), self.speakers)

    def save(self, path: Path) -> None:
        """Keep them."""
        lengths = [len(each) for each in self.heard]
        np.savez(
            path,
            heard=np.concatenate(self.heard),
            lengths=lengths,
            kinds=self.kinds,
            corpora=self.corpora,
            speakers=self.speakers,
        )

    @classmethod
    def load(cls, path: Path) -> Phrases:
        """What was kept."""
        with np.load(path) as stored:
            heard = np.split(stored["heard"], np.cumsum(stored["lengths"])[:-1])
            return cls(heard, stored["kinds"], stored["corpora"], stored["speakers"])


One = tuple[Heard, str, str, str]  # with its kind, corpus and speaker


def together(many: Sequence[One]) -> Phrases:
    """Phrases one by one become all of them."""
    heard, *names = zip(*many, strict=True)
    kinds, corpora, speakers = (np.array(each) for each in names)
    return Phrases(list(heard), kinds, corpora, speakers)


def kept(path: Path, make: Callable[[], Phrases]) -> Phrases:
    """Phrases from a file, made where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().save(path)
    return Phrases.load(path)


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
            pause = np.zeros(round(protocols.PAUSE * SAMPLE_RATE), np.float32)
            sound = np.concatenate((sound, pause, self._clip(own)))
        if len(sound) > LENGTHS[1] * SAMPLE_RATE:
            length = round(self.random.uniform(*LENGTHS) * SAMPLE_RATE)
            start = self.random.integers(len(sound) - length)
            sound = sound[start : start + length]
        if self.random.random() < CODED:
            choice = CODECS["training"]
            sound = choice[self.random.integers(len(choice))](sound)
        return sound, corpus, voice

    def _clip(self, own: list[int]) -> Samples:
        return self.clips[own[self.random.integers(len(own))]]


def drawn(
    speech: Speech, counts: dict[str, int], family: str, random: np.random.Generator
) -> Iterator[One]:
    """So many phrases of each kind; fewer where the endpointing finds no phrase."""
    for kind in chain.from_iterable([kind] * count for kind, count in counts.items()):
        sound, corpus, voice = speech.draw()
        heard = at_the_gate(sound, kind, family, random)
        if heard is not None:
            yield heard, kind, corpus, voice


def at_the_gate(
    sound: Samples, kind: str, family: str, random: np.random.Generator
) -> Heard | None:
    """The features of trimmed speech as a gate of a family hears it; None if it hears nothing.

    Of PLAIN the gate is the microphone it was recorded with.
    """
    if kind != PLAIN:
        (gate,) = gates(random, 1, family)
        snr = random.uniform(*SNR)
        if kind == LIVE:
            sound = live(sound, gate, snr, random)
        else:
            sound = replayed(sound, device(random, kind, family), snr, random, gate=gate)
        try:
            sound = main_phrase(sound).samples
        except NoSpeech:
            return None
    if len(sound) < features.WINDOW:
        return None
    return features.log_mel(sound).astype(np.float16)


def simulate(
    rows: list[Row], folder: Path, count: int, held: int, seed: int
) -> tuple[Phrases, Phrases]:
    """Phrases to learn from, and those of held-out speakers; kept in ``folder``.

    ``count`` recordings, as many live phrases and twice as many replays; ``held`` likewise.
    Raises SettingsError.
    """
    rows = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    if not rows:
        raise SettingsError("the manifest has no speech to train on; see docs/loudspeaker.md")
    kept_back = held_out(rows)
    clips = cut(rows, folder / "corpus")

    def of(apart: bool, count: int, seed: int) -> Phrases:
        chosen = [
            index
            for index, label in enumerate(clips.labels)
            if label["speed"] == 1 and ((label["corpus"], voice_of(label)) in kept_back) == apart
        ]
        if not chosen:
            raise SettingsError("too few speakers to hold some out; see docs/loudspeaker.md")
        random = np.random.default_rng(seed)
        speech = Speech(clips.only(np.array(chosen)), random)
        counts = {PLAIN: count, LIVE: count, **dict.fromkeys(KINDS, count // 2)}
        making = drawn(speech, counts, "training", random)
        return together(list(track(making, "replaying phrases", sum(counts.values()))))

    own, name = folder / "loudspeaker", _name(rows, seed)
    return (
        kept(own / f"learned-{count}-{name}.npz", lambda: of(False, count, seed)),
        kept(own / f"held-{held}-{name}.npz", lambda: of(True, held, seed + 1)),
    )


def unseen(rows: list[Row], folder: Path, seed: int = 2) -> Phrases:
    """The eval split as it is, live and replayed by devices of the family "test"; kept.

    Each recording is replayed by one kind of device in turn, each joined phrase by all of them.
    Raises SettingsError.
    """
    rows = of_split(rows, "eval")
    if not rows:
        raise SettingsError("the manifest has no eval rows; see docs/loudspeaker.md")

    def make() -> Phrases:
        random = np.random.default_rng(seed)
        found: list[One] = []

        def add(sound: Samples, kind: str, corpus: str, speaker: str) -> None:
            heard = at_the_gate(sound, kind, "test", random)
            if heard is not None:
                found.append((heard, kind, corpus, speaker))

        sounds = [speech_of(row.file) for row in track(rows, "reading", len(rows))]
        for number, sound in enumerate(track(sounds, "replaying recordings", len(sounds))):
            for kind in (*SAID, KINDS[number % len(KINDS)]):
                add(sound, kind, rows[number].corpus, rows[number].speaker)
        words = [index for index, row in enumerate(rows) if row.corpus == PHRASED]
        names, phrases = protocols.joined([rows[i] for i in words], [sounds[i] for i in words])
        for (_, speaker, _), sound in zip(names, phrases, strict=True):
            for kind in EVERY:
                add(sound, kind, PHRASE, speaker)
        return together(found)

    return kept(folder / "loudspeaker" / f"unseen-{_name(rows, seed)}.npz", make)


def _name(rows: Sequence[Row], seed: int) -> str:
    """Changes with the recordings, the seed and how replays are simulated."""
    sources = [inspect.getsource(module) for module in (codecs, devices, filters, rooms)]
    said = json.dumps([seed, sources, *(row.path for row in rows)])
    return hashlib.sha256(said.encode()).hexdigest()[:12]
