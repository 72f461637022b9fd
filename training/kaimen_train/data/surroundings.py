"""What the large encoder hears in training: takes of a speaker, each somewhere else.

Two takes of one speaker share nothing but the voice: other words, another room, noise, microphone,
band, codec, speed and level. Everything is drawn from one generator a step, so that a run can be
repeated.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from kaimen.acoustics.devices import CODECS
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.voice import features
from kaimen_train.data.augment import cover
from kaimen_train.data.corpus import Clips
from kaimen_train.data.speakers import voice_of

GROUPS = 2  # a step is so many groups, each of one corpus: others sound alike
SPEAKERS = 16  # in a group
TAKES = 2  # of each speaker
SIZE = GROUPS * SPEAKERS * TAKES
SHARES = {  # of the groups: nearly by their numbers of speakers
    "commands": 0.55,
    "speechocean": 0.2,
    "librispeech": 0.15,
    "alphanumeric": 0.06,
    "mandarin20": 0.04,
}
FRAMES = (100, 150, 200)  # how long the windows of a step are, and how often
FRAMES_SHARE = (0.25, 0.65, 0.1)
SHORTER = 0.35  # share of the takes that are shorter than the window, and said again in it
SHORTEST = 0.55  # seconds of speech in a take
PAUSE = 0.15  # seconds between joined words, at most
SAME_WORDS = 0.3  # share of the groups whose speakers say the same words in both takes

IN_A_ROOM = 0.45  # share of the takes
IN_NOISE = 0.5
AMONG_VOICES = 0.25  # of those
SNR = (3.0, 28.0)  # dB
FASTER = 0.04  # speed changes by so much at most
NARROW = 0.3  # share heard through a narrow band
COMPANDED = 0.5  # of those: eight bits as a telephone has them (G.711's mu law)
DRIVEN = 0.15  # share that overdrives its microphone
DRIVE = (1.0, 6.0)  # how far: peaks beside where a tangent bends
BANDS = ((200.0, 3_400.0), (60.0, 3_400.0), (60.0, 4_000.0), (60.0, 5_500.0))  # Hz
CODED = 0.3
MICROPHONE = 8.0  # dB, deviation of the microphone's curve at its knots
KNOTS = 7
TILT = 8.0  # dB, deviation of its tilt from end to end
COVERED = (6, 12)  # mels and frames at most hidden by one mask
QUIET = 30.0  # dB by which a take may be quieter


class Pool:
    """Takes to draw from: every corpus by its share, every speaker of it alike."""

    def __init__(self, clips: Clips) -> None:
        self.clips = clips
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, label in enumerate(clips.labels):
            found[str(label["corpus"])][voice_of(label)].append(index)
        self.speakers = [(corpus, name) for corpus, own in found.items() for name in own]
        self.own = [found[corpus][name] for corpus, name in self.speakers]
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, (corpus, _) in enumerate(self.speakers):
            numbers[corpus].append(number)
        self._numbers = {name: np.array(each) for name, each in numbers.items()}
        self._corpora = [name for name in numbers if name in SHARES]
        shares = np.array([SHARES[name] for name in self._corpora])
        self._shares = shares / shares.sum()
        self.seconds = (clips.ends - clips.starts) / SAMPLE_RATE

    def draw(self, random: np.random.Generator, seconds: float) -> list[tuple[int, list[int]]]:
        """Return SIZE takes of about so many seconds: the speaker's number, and the clips."""
        takes: list[tuple[int, list[int]]] = []
        for _ in range(GROUPS):
            corpus = self._corpora[random.choice(len(self._corpora), p=self._shares)]
            numbers = self._numbers[corpus]
            chosen = random.choice(numbers, SPEAKERS, replace=len(numbers) < SPEAKERS)
            same = random.random() < SAME_WORDS
            for number in chosen.tolist():
                own = random.permutation(self.own[number]).tolist()
                if same:
                    own.sort(key=lambda index: str(self.clips.labels[index]["text"]))
                    start = int(random.integers(len(own)))
                    own = own[start:] + own[:start]
                    halves = own[::2], own[1::2]
                else:
                    halves = own[: len(own) // 2], own[len(own) // 2 :]
                for half in halves:
                    wanted = seconds
                    if random.random() < SHORTER:
                        wanted = random.uniform(SHORTEST, seconds)
                    takes.append((number, self._enough(half or own, wanted)))
        return takes

    def _enough(self, own: list[int], seconds: float) -> list[int]:
        chosen: list[int] = []
        total = 0.0
        for index in own:
            chosen.append(index)
            total += float(self.seconds[index])
            if total >= seconds:
                break
        return chosen


@dataclass
class Surroundings:
    """Turns takes into features as a gate somewhere might have heard them."""

    pool: Pool
    noise: Clips
    rooms: list[Samples]
    random: np.random.Generator
    narrow: float = NARROW

    def __call__(self, chosen: Sequence[int], frames: int) -> NDArray[np.float32]:
        """Return level-free features of joined clips, changed at random, (frames, MELS)."""
        random = self.random
        sound = self.joined(chosen)
        length = (frames - 1) * features.HOP + features.WINDOW
        if len(sound) > length:
            start = int(random.integers(len(sound) - length + 1))
            sound = sound[start : start + length]
        sound = sound * np.float32(10 ** (-random.uniform(0, QUIET) / 20))
        if random.random() < IN_A_ROOM:
            room = self.rooms[random.integers(len(self.rooms))]
            sound = fftconvolve(sound, room)[: len(sound)].astype(np.float32)
        if random.random() < IN_NOISE:
            sound = sound + self._disturbance(len(sound), float(np.std(sound)))
        if random.random() < DRIVEN:
            drive = np.float32(random.uniform(*DRIVE) / (np.abs(sound).max() + 1e-6))
            sound = np.tanh(sound * drive) / drive
        if random.random() < self.narrow:
            sound = narrow(sound, *BANDS[random.integers(len(BANDS))])
            if random.random() < COMPANDED:
                sound = companded(sound)
        if random.random() < CODED:
            choice = CODECS["training"]
            sound = choice[random.integers(len(choice))](sound)
        values = features.log_mel(sound.astype(np.float32), features.FINE) + self._microphone()
        values = np.resize(values, (frames, features.FINE.mels))
        return cover(features.centred(values), COVERED, random)

    def joined(self, chosen: Sequence[int]) -> Samples:
        """Return clips one after another, a little faster or slower."""
        pieces: list[Samples] = []
        faster = 1.0
        if self.random.random() < 0.6:
            faster += self.random.uniform(-FASTER, FASTER)
        for index in chosen:
            if pieces:
                pause = round(self.random.uniform(0, PAUSE) * SAMPLE_RATE)
                pieces.append(np.zeros(pause, np.float32))
            pieces.append(self.pool.clips[index])
        sound = np.concatenate(pieces)
        if faster != 1.0:
            sound = soxr.resample(sound, SAMPLE_RATE * faster, SAMPLE_RATE, "MQ")
        if len(sound) < features.WINDOW:
            sound = np.resize(sound, features.WINDOW)
        return sound.astype(np.float32)

    def _disturbance(self, length: int, level: float) -> Samples:
        random = self.random
        if random.random() < AMONG_VOICES:
            sound = np.zeros(length, np.float32)
            for _ in range(random.integers(2, 6)):
                voice = self.pool.clips[int(random.integers(len(self.pool.clips)))]
                sound += np.roll(np.resize(voice, length), random.integers(length))
        else:
            place = random.integers(len(self.noise))
            start, end = self.noise.starts[place], self.noise.ends[place]
            if end - start > length:
                start += random.integers(end - start - length)
            piece = self.noise.samples[start : min(end, start + length)]
            sound = np.resize(piece.astype(np.float32) / 32768, length)
        wanted = level * 10 ** (-random.uniform(*SNR) / 20)
        return sound * np.float32(wanted / (np.std(sound) + 1e-5))

    def _microphone(self) -> NDArray[np.float32]:
        """Return a smooth curve and a tilt, added to log energies."""
        random, unit = self.random, np.log(10) / 10
        knots = random.normal(0, MICROPHONE * unit, KNOTS) * random.random()
        knots += random.normal(0, TILT * unit) * random.random() * np.linspace(-0.5, 0.5, KNOTS)
        places = np.linspace(0, KNOTS - 1, features.FINE.mels)
        return np.interp(places, np.arange(KNOTS), knots).astype(np.float32)


def narrow(sound: Samples, lowest: float, highest: float) -> Samples:
    """Return a sound as a narrow band leaves it: nothing above ``highest``, less below."""
    rate = 2 * highest
    low = soxr.resample(sound, SAMPLE_RATE, rate, "MQ")
    back = soxr.resample(low, rate, SAMPLE_RATE, "MQ")
    pole = math.exp(-2 * math.pi * lowest / SAMPLE_RATE)
    heard = lfilter([1, -1], [1, -pole], np.resize(back, len(sound))) if len(back) else sound
    return np.asarray(heard, np.float32)


def companded(sound: Samples) -> Samples:
    """Return a sound as eight bits of G.711's mu law keep it, after loud speech fills them."""
    full = 3 * float(np.abs(sound).std() + np.abs(sound).mean()) + 1e-6
    curve = np.log1p(255 * np.minimum(np.abs(sound) / full, 1)) / np.log(256)
    kept = np.expm1(np.round(curve * 127) / 127 * np.log(256)) / 255
    return np.asarray(np.sign(sound) * kept * full, np.float32)


@dataclass(frozen=True, slots=True)
class TakeBatch:
    """Augmented takes of one length."""

    step: int
    features: NDArray[np.float16]  # (SIZE, frames, MELS)
    speakers: NDArray[np.int32]  # (SIZE,)
    clips: list[list[int]]


def produce(queue: Any, heard: Surroundings, seed: int, steps: range) -> None:
    for step in steps:
        # A generator a step: a resumed run draws the very batches the killed one would have.
        random = heard.random = np.random.default_rng((seed, step))
        frames = int(random.choice(FRAMES, p=FRAMES_SHARE))
        takes = heard.pool.draw(random, frames / features.FRAMES_PER_SECOND)
        made = np.stack([heard(chosen, frames) for _, chosen in takes])
        speakers = np.array([number for number, _ in takes], np.int32)
        chosen = [each for _, each in takes]
        queue.put(TakeBatch(step, made.astype(np.float16), speakers, chosen))
