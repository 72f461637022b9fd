"""Phrases said and phrases replayed, simulated, to train and to measure the loudspeaker detector.

Both come from the same voices, through the same kinds of gates, noise and levels; both were coded
before as often. Live are, besides, recordings as they are: they came through real microphones.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from kaimen.acoustics import codecs, devices, filters, replays, rooms
from kaimen.acoustics.devices import KINDS, MicrophonePath, device, gates
from kaimen.acoustics.replays import SNR, live, replayed
from kaimen.errors import NoSpeech, SettingsError
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase
from kaimen.voice import features
from kaimen.voice.encoder import Encoder
from kaimen_train.data import utterances
from kaimen_train.data.corpus import NOISE, Row, cut, of_split, speech_of
from kaimen_train.data.speakers import held_out, voice_of
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import PHRASED
from kaimen_train.loudspeaker.dataset import (
    EVERY,
    LIVE,
    PHRASE,
    PLAIN,
    SAID,
    Heard,
    One,
    Place,
    ReplayPhrases,
    kept,
    together,
)
from kaimen_train.processes import in_processes
from kaimen_train.progress import track

FEW_SPEEDS = (1.0, 1.1)  # of takes to learn from: nearly twice as many voices
REPLAY = "replay"  # by any kind of device
PART = 4_000  # phrases that are drawn and kept together

Amount = tuple[int, int]  # phrases with nothing beside them, and with what enrolled their speakers


def said_or_played(
    speech: utterances.Speech, counts: dict[str, int], family: str, dimension: int,
    random: np.random.Generator,
) -> Iterator[One]:  # fmt: skip
    """So many phrases of each kind; fewer where the endpointing finds no phrase."""
    unknown = np.full(dimension, np.nan, np.float16)
    for kind in chain.from_iterable([kind] * count for kind, count in counts.items()):
        sound, corpus, voice = speech.draw()
        heard = at_the_gate(sound, kind, family, random)
        if heard is not None:
            yield features_of(heard), kind, corpus, voice, unknown, unknown


def beside(
    takes: utterances.Takes, count: int, family: str, encoder: Encoder, random: np.random.Generator
) -> Iterator[One]:
    """About so many phrases, each beside what its speaker was enrolled with.

    Those recordings were made at the same gate, at another one or with a microphone of their own.
    """
    made = 0
    while made < count:
        enrolled, tried, corpus, voice = takes.draw(family, random)
        gate, other = gates(random, 2, family)
        home = (gate, other, other, None)[random.integers(4)]
        usual = middle(enrolled, home, family, encoder, random)
        for sound in tried:
            kind = (*SAID, REPLAY, REPLAY)[random.integers(4)]
            if kind == REPLAY:
                kind = KINDS[random.integers(len(KINDS))]
            heard = at_the_gate(sound, kind, family, random, gate)
            if heard is not None and usual is not None:
                made += 1
                yield features_of(heard), kind, corpus, voice, placed(heard, encoder), usual


def features_of(heard: Samples) -> Heard:
    """Return what the detector reads of a phrase."""
    return features.log_mel(heard).astype(np.float16)


def placed(heard: Samples, encoder: Encoder) -> Place:
    """Return the voiceprint of a phrase."""
    return encoder.embed(heard).astype(np.float16)


def middle(
    sounds: Sequence[Samples],
    gate: MicrophonePath | None,
    family: str,
    encoder: Encoder,
    random: np.random.Generator,
) -> Place | None:
    """The mean voiceprint of recordings made at a gate, or as they are; None if none is heard."""
    kind = PLAIN if gate is None else LIVE
    heard = [at_the_gate(sound, kind, family, random, gate) for sound in sounds]
    points = [placed(each, encoder) for each in heard if each is not None]
    return np.mean(points, axis=0, dtype=np.float32).astype(np.float16) if points else None


def at_the_gate(
    sound: Samples,
    kind: str,
    family: str,
    random: np.random.Generator,
    gate: MicrophonePath | None = None,
) -> Samples | None:
    """Return trimmed speech as a gate of a family hears it; None if it hears nothing.

    Of PLAIN the gate is the microphone it was recorded with.
    """
    if kind != PLAIN:
        gate = gate or gates(random, 1, family)[0]
        snr = random.uniform(*SNR)
        if kind == LIVE:
            sound = live(sound, gate, snr, random)
        else:
            sound = replayed(sound, device(random, kind, family), snr, random, gate=gate)
        try:
            sound = main_phrase(sound).samples
        except NoSpeech:
            return None
    return None if len(sound) < features.WINDOW else sound


@dataclass(frozen=True, slots=True)
class ReplayPart:
    """So many phrases drawn from one seed."""

    count: int
    beside: bool  # what enrolled their speakers; or nothing
    apart: bool  # of speakers held out of training
    seed: int


def simulate(
    rows: list[Row], folder: Path, learned: Amount, held: Amount, encoder: Path, *, seed: int = 0
) -> tuple[ReplayPhrases, ReplayPhrases]:
    """Return phrases to learn from, and those of held-out speakers; kept, a part each.

    A quarter of them are recordings as they are, a quarter live phrases, half replays. Raises
    SettingsError.
    """
    rows = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    if not rows:
        raise SettingsError("the manifest has no speech to train on; see docs/how/loudspeaker.md")
    cut(rows, folder / "corpus", speeds=FEW_SPEEDS)
    parts = [
        ReplayPart(min(PART, amount - start), beside, apart, seed + number)
        for apart, amounts in ((False, learned), (True, held))
        for beside, amount in zip((False, True), amounts, strict=True)
        for number, start in enumerate(range(0, amount, PART))
    ]
    making = partial(_part, rows, folder, encoder)
    made = in_processes(making, "replaying phrases", parts, together=1)

    def drawn(apart: bool) -> ReplayPhrases:
        paths = [path for path, part in zip(made, parts, strict=True) if part.apart == apart]
        return ReplayPhrases.joined([ReplayPhrases.load(path) for path in paths])

    return drawn(False), drawn(True)


def _part(rows: list[Row], folder: Path, encoder: Path, part: ReplayPart) -> Path:
    """Return where a part is kept, once it is drawn. Raises SettingsError."""
    name = _name(rows, encoder, part)
    path = folder / "loudspeaker" / f"{name}.npz"
    kept(path, lambda: together(list(_drawn_part(rows, folder, Encoder(encoder), part))))
    return path


def _drawn_part(rows: list[Row], folder: Path, encoder: Encoder, part: ReplayPart) -> Iterator[One]:
    clips, kept_back = cut(rows, folder / "corpus", speeds=FEW_SPEEDS), held_out(rows)
    speeds = FEW_SPEEDS if part.beside and not part.apart else (1.0,)
    chosen = [
        index
        for index, label in enumerate(clips.labels)
        if label["speed"] in speeds
        and ((label["corpus"], voice_of(label)) in kept_back) == part.apart
    ]
    if not chosen:
        raise SettingsError("too few speakers to hold some out; see docs/how/loudspeaker.md")
    clips = clips.only(np.array(chosen))
    random = np.random.default_rng([part.seed, part.beside, part.apart])
    if not part.beside:
        each = part.count // 4
        counts = {PLAIN: each, LIVE: each, **dict.fromkeys(KINDS, each // 2)}
        return said_or_played(
            utterances.Speech(clips, random), counts, "training", encoder.card.dimension, random
        )
    takes = utterances.Takes.among(clips)
    if not takes.of:
        raise SettingsError("no speaker says a text often enough; see docs/how/loudspeaker.md")
    return beside(takes, part.count, "training", encoder, random)


def unseen(rows: list[Row], folder: Path, encoder: Path, *, seed: int = 2) -> ReplayPhrases:
    """Return the eval split as it is, live and replayed by devices of the family "test"; kept.

    Each recording is replayed by one kind of device in turn, each joined phrase by all of them.
    Raises SettingsError.
    """
    rows = of_split(rows, "eval")
    if not rows:
        raise SettingsError("the manifest has no eval rows; see docs/how/loudspeaker.md")

    def make() -> ReplayPhrases:
        random, loaded = np.random.default_rng(seed), Encoder(encoder)
        found: list[One] = []

        def add(sound: Samples, kind: str, corpus: str, speaker: str, usual: Place) -> None:
            heard = at_the_gate(sound, kind, "test", random)
            if heard is not None:
                found.append(
                    (features_of(heard), kind, corpus, speaker, placed(heard, loaded), usual)
                )

        sounds = [speech_of(row.file) for row in track(rows, "reading")]
        names = [(row.corpus, row.speaker, row.text) for row in rows]
        others = among_others(names, sounds, loaded, seed)
        for number, sound in enumerate(track(sounds, "replaying recordings")):
            for kind in (*SAID, KINDS[number % len(KINDS)]):
                add(sound, kind, rows[number].corpus, rows[number].speaker, others[number])
        words = [index for index, row in enumerate(rows) if row.corpus == PHRASED]
        said, phrases = protocols.joined([rows[i] for i in words], [sounds[i] for i in words])
        others = among_others([each[:2] for each in said], phrases, loaded, seed)
        for (_, speaker, _), sound, usual in zip(said, phrases, others, strict=True):
            for kind in EVERY:
                add(sound, kind, PHRASE, speaker, usual)
        return together(found)

    return kept(folder / "loudspeaker" / f"unseen-{_name(rows, encoder, seed)}.npz", make)


def among_others(
    names: Sequence[tuple[str, ...]], sounds: Sequence[Samples], encoder: Encoder, seed: int
) -> list[Place]:
    """For each sound the middle of others of the same name, had they enrolled its speaker.

    Of every second name they were recorded at another gate, of the rest they are as they are;
    unknown where there are too few.
    """
    random = np.random.default_rng([seed, 0])
    takes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        takes[name].append(number)
    found = [np.full(encoder.card.dimension, np.nan, np.float16)] * len(names)
    for place, numbers in enumerate(track(takes.values(), "enrolling")):
        if len(numbers) <= utterances.FEWEST:
            continue
        gate = gates(random, 1, "test")[0] if place % 2 else None
        enrolled = numbers[: utterances.MOST]
        points = {
            number: point
            for number in enrolled
            if (point := middle([sounds[number]], gate, "test", encoder, random)) is not None
        }
        for number in numbers:
            others = [points[other] for other in points if other != number]
            if others:
                found[number] = np.mean(others, axis=0, dtype=np.float32).astype(np.float16)
    return found


def _name(rows: Sequence[Row], encoder: Path, what: ReplayPart | int) -> str:
    """Changes with the recordings, the encoder, the seed and how replays are simulated."""
    sources = [
        inspect.getsource(module)
        for module in (codecs, devices, filters, replays, rooms, utterances)
    ]
    heard_by = hashlib.sha256(encoder.read_bytes()).hexdigest()
    said = json.dumps([repr(what), heard_by, sources, *(row.path for row in rows)])
    return hashlib.sha256(said.encode()).hexdigest()[:12]
