"""Takes of students who are enrolled at a microphone: voiceprints and qualities, kept in a file.

A phrase is said twice over: in a quiet room, and where a noise of the corpus ``noise`` is heard or
the microphone is turned up too far. Both stand among half a second of the same room, and are
found, measured and embedded as at an enrollment.
"""

from __future__ import annotations

import hashlib
import inspect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.enrollment.take_quality import TakeQuality
from kaimen.errors import NoSpeech
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.endpoint import Phrase
from kaimen.sound.loudness import decibels
from kaimen.sound.recording import main_phrase
from kaimen.storage import write_whole
from kaimen.voice.encoder import Voiceprint
from kaimen_train.data.corpus import NOISE, Row, cut
from kaimen_train.evaluation.evaluate import identity_of_encoder, loaded
from kaimen_train.evaluation.protocols import PHRASES, one_phrase
from kaimen_train.processes import in_processes

AROUND = 0.5  # seconds of the room before and after a phrase
ROOM = -75.0  # dB of a quiet room
SNR = (3.0, 25.0)  # dB, of a phrase in a noise
TOO_LOUD = 0.2  # share of the worse renditions whose microphone is turned up too far
GAIN = (10.0, 26.0)  # dB that it is turned up
JOINED_TWICE = ("mandarin20",)  # corpora whose phrases are joined from PHRASES
JOINED = ("arabic40",)  # corpora whose words are joined two by two, in the order of their names
PAIRS = {"mandarin20": 3, "arabic40": 4}  # phrases of those
TAKES = 8  # of a phrase, at most
ANY_TEXT = ("commands", "speechocean")  # too few takes of a text: any texts make a student
CALLS = "calls"  # the calls of other days come to the gate
VOICES = {"commands": 40, "speechocean": 30}  # speakers of a split, at most
LONGEST = 4.0  # seconds
FIELDS = tuple(TakeQuality.__dataclass_fields__)


@dataclass(frozen=True)
class Spoken:
    """A phrase of the corpora: who says it, in which split, text and session."""

    corpus: str
    split: str
    speaker: str
    text: str  # of the student's passphrase; empty where any text will do
    session: str  # a call; empty where all takes are of one day
    sound: Samples


@dataclass(frozen=True)
class TakeTable:
    """Takes in two renditions, quiet (0) and worse (1): each of shape (takes, 2, ...)."""

    students: list[tuple[str, str, str, str]]  # corpus, split, speaker, text: one a take
    sessions: list[str]
    points: NDArray[np.float32]  # (takes, 2, dimension)
    qualities: NDArray[np.float32]  # (takes, 2, FIELDS)


def phrases_of(rows: Sequence[Row], folder: Path) -> list[Spoken]:
    """Return the phrases that students are made of."""
    wanted = (*JOINED_TWICE, *JOINED, *ANY_TEXT, CALLS)
    # All of arabic40 and calls is unseen, and its manifest's two splits are told by their paths.
    own = _few_speakers([row for row in rows if row.corpus in wanted])
    clips = cut(own, folder / "corpus", speeds=(1.0,))
    split_of = {row.path: row.path.split("/")[1] for row in own}
    words: dict[tuple[str, str, str], dict[tuple[str, str], Samples]] = defaultdict(dict)
    found: list[Spoken] = []
    for at, label in enumerate(clips.labels):
        corpus, speaker, path = (str(label[key]) for key in ("corpus", "speaker", "path"))
        text, take = str(label["text"]), Path(path).stem.split("-", 1)[1]
        split = split_of[path]
        if corpus in ANY_TEXT:
            sound = clips[at][: round(LONGEST * SAMPLE_RATE)]
            found.append(Spoken(corpus, split, speaker, "", "", sound))
        else:
            words[corpus, split, speaker][text, take] = clips[at]
    for (corpus, split, speaker), said in words.items():
        found += _joined(corpus, split, speaker, said)
    return found


def _few_speakers(rows: Sequence[Row]) -> list[Row]:
    found: list[Row] = []
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.speaker.encode()).digest()):
        split = row.path.split("/")[1]
        speakers = seen[row.corpus, split]
        if row.speaker in speakers or len(speakers) < VOICES.get(row.corpus, len(rows)):
            speakers.add(row.speaker)
            found.append(row)
    return sorted(found, key=lambda row: row.path)


def _joined(
    corpus: str, split: str, speaker: str, said: dict[tuple[str, str], Samples]
) -> Iterable[Spoken]:
    """Words of one take, two by two; of a call, its keywords in a circle."""
    texts = sorted({text for text, _ in said if not text.endswith("sentence")})
    pairs = list(zip(texts, [*texts[1:], texts[0]], strict=True))
    if corpus in JOINED_TWICE:
        pairs = list(PHRASES)
    elif corpus in JOINED:
        pairs = list(zip(texts[::2], texts[1::2], strict=False))
    for one, other in pairs[: PAIRS.get(corpus)]:
        takes = sorted(take for text, take in said if text == one and (other, take) in said)
        for take in takes if corpus == CALLS else takes[:TAKES]:
            sound = one_phrase(said[one, take], said[other, take])
            session = take.split("-")[0] if corpus == CALLS else ""
            text = "" if corpus == CALLS else f"{one} {other}"
            yield Spoken(corpus, split, speaker, text, session, sound)


def renditions(
    sound: Samples, noises: Sequence[Samples], random: np.random.Generator
) -> tuple[Samples, Samples]:
    """Return a phrase in a quiet room, and one in a worse place."""
    around = np.zeros(round(AROUND * SAMPLE_RATE), np.float32)
    dry = np.concatenate((around, sound, around))
    hiss = random.standard_normal(len(dry)).astype(np.float32)
    quiet = dry + hiss * np.float32(10 ** (ROOM / 20))
    if random.random() < TOO_LOUD:
        turned_up = quiet * np.float32(10 ** (random.uniform(*GAIN) / 20))
        return quiet, np.clip(turned_up, -1, 1)
    noise = np.resize(noises[random.integers(len(noises))], len(dry))
    noise = np.roll(noise, random.integers(len(dry)))
    wanted = decibels(sound) - random.uniform(*SNR)
    gain = 10 ** ((wanted - decibels(noise)) / 20)
    return quiet, np.clip(quiet + noise * np.float32(gain), -1, 1)


def _measured(encoder: Path, recording: Samples) -> tuple[Voiceprint, TakeQuality]:
    try:
        phrase = main_phrase(recording)
    except NoSpeech:
        first, last = round(AROUND * SAMPLE_RATE), len(recording) - round(AROUND * SAMPLE_RATE)
        phrase = Phrase(recording[first:last], first, last, len(recording), first)
    return loaded(encoder).embed(phrase.samples), TakeQuality.of(recording, phrase)


def takes_of(rows: Sequence[Row], folder: Path, encoder: Path) -> TakeTable:
    """Return all takes, measured once and kept in ``folder``. Raises EncoderError."""
    spoken = phrases_of(rows, folder)
    told = [
        identity_of_encoder(encoder),
        inspect.getsource(TakeQuality),
        inspect.getsource(renditions),
    ]
    told += [repr((each.corpus, each.speaker, each.text, len(each.sound))) for each in spoken]
    kept = folder / f"takes-{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:16]}.npz"
    if not kept.exists():
        clips = cut([row for row in rows if row.corpus == NOISE], folder / "corpus", speeds=(1.0,))
        noises = [clips[at] for at in range(len(clips))]
        random = np.random.default_rng(0)
        sounds = [each for one in spoken for each in renditions(one.sound, noises, random)]
        measured = in_processes(partial(_measured, encoder), "measuring takes", sounds)
        points = np.stack([point for point, _ in measured])
        qualities = np.array([list(asdict(quality).values()) for _, quality in measured])
        write_whole(kept, lambda file: np.savez(file, points=points, qualities=qualities))
    stored = np.load(kept)
    return TakeTable(
        [(each.corpus, each.split, each.speaker, each.text) for each in spoken],
        [each.session for each in spoken],
        stored["points"].reshape(len(spoken), 2, -1),
        stored["qualities"].astype(np.float32).reshape(len(spoken), 2, -1),
    )
