"""Fine-tunes CAM++ for a gate: short phrases, and two takes that never sound alike.

The network begins as 3D-Speaker's CAM++ (``networks/campplus.py``). A step hears two takes of
each of some speakers; between the two everything changes but the voice: words, room, noise,
microphone, band, codec, speed. A margin softmax and the contrast within the batch tell speakers
apart. An anchor holds each point near where the untrained network puts that speaker, so that what
it knows of hundreds of thousands of others is not forgotten. A killed run goes on from its last
checkpoint.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soxr
import tensorflow as tf
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter
from tensorflow import keras

from edge.attack.devices import CODECS
from edge.sound import SAMPLE_RATE, Samples
from edge.voice import features
from training import losses
from training.augment import rooms
from training.batches import ahead
from training.corpus import NOISE, Clips, Row, cut, of_split
from training.fit import half_precision, voice_of
from training.networks import LARGE, WEIGHTS, campplus
from training.networks.campplus import RANGES
from training.peers import call
from training.progress import track
from training.rounding import equalise, ranges_of

log = logging.getLogger(__name__)

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
LONGEST = 6.0  # seconds of a clip that are looked at to know where it begins
SHOWN = 150  # windows from which the ranges of eight bits are taken
FITTED = 90  # clips of each corpus to which Kaldi's bands are fitted
RIDGE = 1e-6  # of that fit
COVERED = (6, 12)  # mels and frames at most hidden by one mask
QUIET = 30.0  # dB by which a take may be quieter


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to train."""

    steps: int = 1_000
    rate: float = 1e-3  # of a step, relative to how large the weights began
    warmup: int = 100  # steps
    margin: float = 0.2  # radians
    rising: float = 3.0  # the margin is reached at one over this share of the steps
    named: float = 1.0  # weight of the margin softmax
    contrast: float = 0.5  # weight of the contrast within a batch
    anchor: float = 4.0  # weight of the anchor
    averaging: float = 0.995  # of the weights
    seed: int = 1
    save_every: int = 100


TUNING = Plan()
ROUNDING = Plan(steps=240, rate=4e-4, warmup=15, averaging=0.98, seed=2)
TUNED = 0.6  # share of the tuned weights in the encoder; the rest is as it began


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
        if random.random() < NARROW:
            sound = narrow(sound, *BANDS[random.integers(len(BANDS))])
            if random.random() < COMPANDED:
                sound = companded(sound)
        if random.random() < CODED:
            choice = CODECS["training"]
            sound = choice[random.integers(len(choice))](sound)
        values = features.log_mel(sound.astype(np.float32)) + self._microphone()
        values = np.resize(values, (frames, features.MELS))
        return self._cover(features.centred(values))

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
        """A smooth curve and a tilt, added to log energies."""
        random, unit = self.random, np.log(10) / 10
        knots = random.normal(0, MICROPHONE * unit, KNOTS) * random.random()
        knots += random.normal(0, TILT * unit) * random.random() * np.linspace(-0.5, 0.5, KNOTS)
        places = np.linspace(0, KNOTS - 1, features.MELS)
        return np.interp(places, np.arange(KNOTS), knots).astype(np.float32)

    def _cover(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """SpecAugment: one band and one stretch of time are set to the mean."""
        values = values.copy()
        for axis, most in ((1, COVERED[0]), (0, COVERED[1])):
            width = self.random.integers(most + 1)
            start = self.random.integers(values.shape[axis] - width + 1)
            values[(slice(None),) * axis + (slice(start, start + width),)] = 0
        return values


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
class Batch:
    """Augmented takes of one length."""

    step: int
    features: NDArray[np.float16]  # (SIZE, frames, MELS)
    speakers: NDArray[np.int32]  # (SIZE,)
    clips: list[list[int]]


def _produce(queue: Any, heard: Surroundings, seed: int, steps: range) -> None:
    for step in steps:
        # A generator a step: a resumed run draws the very batches the killed one would have.
        random = heard.random = np.random.default_rng((seed, step))
        frames = int(random.choice(FRAMES, p=FRAMES_SHARE))
        takes = heard.pool.draw(random, frames / features.FRAMES_PER_SECOND)
        made = np.stack([heard(chosen, frames) for _, chosen in takes])
        speakers = np.array([number for number, _ in takes], np.int32)
        chosen = [each for _, each in takes]
        queue.put(Batch(step, made.astype(np.float16), speakers, chosen))


class Tuning:
    """The state of a run: network, class centres, moments, averaged weights, step.

    The optimizer is Adam (D. Kingma and J. Ba, ICLR 2015) whose step is relative to how large
    each weight tensor began: folded normalisations leave tensors of very different sizes.
    """

    def __init__(
        self,
        plan: Plan,
        start: keras.Model,
        centres: NDArray[np.float32],
        folder: Path,
        ranges: campplus.Ranges | None = None,
    ) -> None:
        """With ``ranges`` the network computes in eight bits, and learns to do what ``start`` does."""
        self.plan = plan
        self.teacher = None
        if ranges is not None:
            with half_precision():
                self.teacher = campplus.build()
            self.teacher.set_weights(start.get_weights())
        with half_precision():
            self.network = campplus.build(ranges=ranges)
        self.network.set_weights(start.get_weights())
        self.centres = tf.Variable(centres, name="centres")
        self.variables = [*self.network.trainable_variables, self.centres]
        self._sizes = [
            max(1e-3, float(tf.sqrt(tf.reduce_mean(tf.square(each))))) for each in self.variables
        ]
        self.first = [tf.Variable(tf.zeros_like(each)) for each in self.variables]
        self.second = [tf.Variable(tf.zeros_like(each)) for each in self.variables]
        self.averaged = [tf.Variable(v, trainable=False) for v in self.network.weights]
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.checkpoints = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                network=self.network,
                centres=self.centres,
                first=self.first,
                second=self.second,
                averaged=self.averaged,
                step=self.step,
            ),
            str(folder),
            max_to_keep=2,
        )
        self._learn = tf.function(self._learn_eagerly, reduce_retracing=True)

    def learn(
        self, heard: NDArray, speakers: NDArray, anchors: NDArray[np.float32]
    ) -> dict[str, float]:
        """Take one step on features (batch, frames, MELS), speakers (batch,), anchors."""
        found = self._learn(
            tf.constant(heard, tf.float32), tf.constant(speakers), tf.constant(anchors)
        )
        return {name: float(value) for name, value in found.items()}

    def _learn_eagerly(
        self, heard: tf.Tensor, speakers: tf.Tensor, anchors: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        plan = self.plan
        step = tf.cast(self.step, tf.float32)
        done = step / plan.steps
        with tf.GradientTape() as tape:
            points = tf.math.l2_normalize(self.network(heard), 1)
            if self.teacher is None:
                found = self._as_told(points, speakers, anchors, done)
                total = (
                    found["anchor"] * plan.anchor
                    + found["contrast"] * plan.contrast
                    + found["margin"] * plan.named
                )
            else:
                wanted = tf.math.l2_normalize(self.teacher(heard), 1)
                total = 1 - tf.reduce_mean(tf.reduce_sum(points * wanted, 1))
                found = {"apart": total}
        gradients = tape.gradient(
            total, self.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        gradients, norm = tf.clip_by_global_norm(gradients, 3_000.0)
        rate = plan.rate * tf.minimum(1.0, (step + 1) / plan.warmup)
        rate *= 0.5 * (1 + tf.cos(math.pi * tf.minimum(1.0, done))) + 0.01
        correct = tf.sqrt(1 - tf.pow(0.98, step + 1)) / (1 - tf.pow(0.9, step + 1))
        state = zip(self.variables, gradients, self.first, self.second, self._sizes, strict=True)
        for variable, gradient, first, second, size in state:
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.98 * second + 0.02 * tf.square(gradient))
            variable.assign_sub(rate * size * correct * first / (tf.sqrt(second) + 1e-8))
        keep = tf.minimum(plan.averaging, (1 + step) / (10 + step))
        for mean, weight in zip(self.averaged, self.network.weights, strict=True):
            mean.assign(keep * mean + (1 - keep) * weight)
        self.step.assign_add(1)
        return {**found, "norm": norm}

    def _as_told(
        self, points: tf.Tensor, speakers: tf.Tensor, anchors: tf.Tensor, done: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        plan = self.plan
        return {
            "anchor": 1 - tf.reduce_mean(tf.reduce_sum(points * anchors, 1)),
            "contrast": losses.contrast(points, speakers),
            "margin": losses.margin_softmax(
                points,
                tf.math.l2_normalize(self.centres, 1),
                speakers,
                plan.margin * tf.minimum(1.0, plan.rising * done),
            ),
        }

    def encoder(self, frames: int | None = None) -> keras.Model:
        """Return the network with averaged weights, in float32."""
        network = campplus.build(frames)
        network.set_weights([weight.numpy() for weight in self.averaged])
        return network


def points_of(network: keras.Model, sounds: Sequence[Samples] | Clips) -> NDArray[np.float32]:
    """Return unit-length points of whole sounds, (sounds, DIMENSION); long ones cut to 6 s.

    Sounds of about one length are looked at together: to a tenth of a second, said again where
    they are shorter.
    """
    tenth = features.FRAMES_PER_SECOND // 10
    heard: dict[int, list[tuple[int, features.Features]]] = defaultdict(list)
    found = np.zeros((len(sounds), campplus.DIMENSION), np.float32)
    run = tf.function(lambda batch: network(batch), reduce_retracing=True)

    def flush(frames: int) -> None:
        which = heard.pop(frames)
        batch = np.stack([features.centred(values) for _, values in which])
        found[[index for index, _ in which]] = run(tf.constant(batch, tf.float32)).numpy()

    for index in track(range(len(sounds)), "where they begin", len(sounds)):
        sound = sounds[index]
        if len(sound) < features.WINDOW:
            sound = np.resize(sound, features.WINDOW)
        values = features.log_mel(sound[: round(LONGEST * SAMPLE_RATE)])
        frames = max(5, -(-len(values) // tenth)) * tenth
        heard[frames].append((index, np.resize(values, (frames, features.MELS))))
        if len(heard[frames]) == 32:
            flush(frames)
    for frames in list(heard):
        flush(frames)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def begin(speech: Clips, folder: Path) -> keras.Model:
    """Return the network before any training; what it needs of the peers is asked for once.

    Kaldi's 80 bands are fitted to the gate's 64 by least squares, over clips of every corpus.
    Raises SettingsError where the peers are not installed.
    """
    random = np.random.default_rng(0)
    corpora: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(speech.labels):
        if speech.ends[index] - speech.starts[index] > SHORTEST * SAMPLE_RATE:
            corpora[str(label["corpus"])].append(index)
    chosen = [
        index
        for own in corpora.values()
        for index in random.choice(own, min(FITTED, len(own)), replace=False).tolist()
    ]
    pieces = [
        speech.samples[speech.starts[i] : min(speech.ends[i], speech.starts[i] + 2 * SAMPLE_RATE)]
        for i in chosen
    ]
    kept = folder / "start.npz"
    if not kept.exists():
        call.start(pieces, kept)
    with np.load(kept) as stored:
        start = dict(stored)
    ours = [features.centred(features.log_mel(piece / np.float32(32768))) for piece in pieces]
    heard = np.concatenate(ours).astype(np.float64)
    ridge = RIDGE * len(heard) * np.eye(features.MELS)
    front = np.linalg.solve(heard.T @ heard + ridge, heard.T @ start["bands"])
    network = campplus.build()
    campplus.load(network, start)
    network.get_layer("front").set_weights([front[np.newaxis, :, ::-1].astype(np.float32)])
    kernel, bias = network.get_layer("point").get_weights()
    kernel[len(start["spread"]) :] *= start["spread"][:, np.newaxis]
    network.get_layer("point").set_weights([kernel, bias])
    return network


@dataclass(frozen=True)
class Lesson:
    """What every step draws from: the takes, where CAM++ puts them, and what surrounds them."""

    heard: Surroundings
    known: NDArray[np.float32]  # points of the clips before any training, weighted by length
    centres: NDArray[np.float32]  # of the speakers, unit length

    @classmethod
    def of(cls, heard: Surroundings, points: NDArray[np.float32]) -> Lesson:
        """Return the lesson of unit-length points (clips, DIMENSION)."""
        pool = heard.pool
        known = points * np.sqrt(np.minimum(pool.seconds, LONGEST))[:, np.newaxis]
        return cls(heard, known, _unit(np.stack([known[each].sum(0) for each in pool.own])))

    def anchors(self, batch: Batch) -> NDArray[np.float32]:
        """Return where each take should stay near: half its own clips, half its speaker."""
        said = _unit(np.stack([self.known[each].sum(0) for each in batch.clips]))
        return _unit(said + self.centres[batch.speakers])

    def windows(self, count: int) -> NDArray[np.float32]:
        """Return windows for the quantizer, (count, frames, MELS): every other one undisturbed."""
        frames = FRAMES[int(np.argmax(FRAMES_SHARE))]
        random = self.heard.random = np.random.default_rng(0)
        found: list[NDArray[np.float32]] = []
        while len(found) < count:
            for _, chosen in self.heard.pool.draw(random, frames / features.FRAMES_PER_SECOND):
                if len(found) % 2:
                    found.append(self.heard(chosen, frames))
                else:
                    clean = features.log_mel(self.heard.joined(chosen))
                    found.append(features.centred(features.fit_frames(clean, frames)[0]))
        return np.clip(np.stack(found[:count]), -campplus.LARGEST, campplus.LARGEST)


def fit_large(
    rows: list[Row], folder: Path, tuning: Plan = TUNING, rounding: Plan = ROUNDING
) -> Path:
    """Train the large encoder on the train split of ``rows``; return the file of its weights.

    First in float; then a network that computes in eight bits learns to do the same. The ranges of eight bits are written beside the
    weights. Raises SettingsError where the peers are not installed.
    """
    own, corpus = folder / LARGE.name, folder / "corpus"
    own.mkdir(parents=True, exist_ok=True)
    rows = [row for row in of_split(rows, "train") if row.corpus in (*SHARES, NOISE)]
    speech = cut([row for row in rows if row.corpus != NOISE], corpus, speeds=(1.0,))
    noise = cut([row for row in rows if row.corpus == NOISE], corpus, speeds=(1.0,))
    network = begin(speech, own)
    kept = own / "points.npy"
    if not kept.exists():
        with half_precision():
            fast = campplus.build()
        fast.set_weights(network.get_weights())
        np.save(kept, points_of(fast, speech))
    heard = Surroundings(Pool(speech), noise, rooms(corpus), np.random.default_rng())
    lesson = Lesson.of(heard, np.load(kept))
    log.info("%d clips, %d speakers", len(speech), len(lesson.centres))

    run = _learn(Tuning(tuning, network, lesson.centres, own / "tuning"), lesson)
    network, shown = blend(network, run.encoder()), lesson.windows(SHOWN)
    equalise(network, shown)
    ranges = own / RANGES.name
    if not ranges.exists():
        ranges.write_text(json.dumps(ranges_of(network, shown), indent=0), encoding="utf-8")
    limits = json.loads(ranges.read_text(encoding="utf-8"))
    run = _learn(Tuning(rounding, network, run.centres.numpy(), own / "rounding", limits), lesson)
    weights = own / WEIGHTS
    save(run.encoder(), weights)
    plans = {"tuning": asdict(tuning), "rounding": asdict(rounding)}
    (own / "plan.json").write_text(json.dumps(plans, indent=2), encoding="utf-8")
    return weights


def blend(before: keras.Model, after: keras.Model, share: float = TUNED) -> keras.Model:
    """Return the network between two, whose weights are ``share`` of the way from one to the other.

    What was learned of the voices of training is kept for the most part, and less is forgotten of
    all others (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    pairs = zip(before.get_weights(), after.get_weights(), strict=True)
    network = campplus.build()
    network.set_weights([first + share * (last - first) for first, last in pairs])
    return network


def _learn(run: Tuning, lesson: Lesson) -> Tuning:
    """Go on with a run to the end of its plan."""
    run.checkpoints.restore_or_initialize()
    plan = run.plan
    steps = range(int(run.step.numpy()), plan.steps)
    began = time.monotonic()
    recent: list[dict[str, float]] = []
    for batch in ahead(_produce, lesson.heard, plan.seed, steps):
        recent.append(run.learn(batch.features, batch.speakers, lesson.anchors(batch)))
        done = batch.step + 1
        if done % 20 == 0:
            mean = {name: float(np.mean([r[name] for r in recent])) for name in recent[0]}
            speed = (done - steps.start) * SIZE / (time.monotonic() - began)
            figures = "  ".join(f"{name} {value:.3f}" for name, value in mean.items())
            log.info("step %d/%d  %s  %.0f takes/s", done, plan.steps, figures, speed)
            recent.clear()
        if done % plan.save_every == 0 or done == plan.steps:
            run.checkpoints.save()
    return run


def save(network: keras.Model, path: Path) -> None:
    """Write a network's weights as 16-bit floats: half the size, and far finer than int8."""
    network.save_weights(path)
    with h5py.File(path, "r+") as file:
        found: list[str] = []
        file.visititems(lambda name, each: found.append(name) if hasattr(each, "dtype") else None)
        for name in found:
            values = file[name][()].astype(np.float16)
            del file[name]
            file.create_dataset(name, data=values, compression="gzip")


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
