"""What the thresholds of enrollment were chosen by, and what they do: the tables of its page.

python -m tests.enrollment.thresholds ../shared/speech/manifest.csv
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from kaimen.enrollment.duplicates import EnrolledVoices
from kaimen.enrollment.judging import LIKE_STRANGERS
from kaimen.errors import NoSpeech
from kaimen.sound import Samples, quality
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder, Voiceprint
from kaimen.voice.score import score_of
from kaimen.voice.spread import exceeded_by
from kaimen_train.data.corpus import NOISE, Row, of_split, read_manifest
from kaimen_train.data.speakers import held_out

RECORDINGS = 150  # of each corpus, and as many joined phrases
TWO_WORDS = (("语音", "识别"), ("中国", "上海"), ("北京", "饭店"), ("数字", "语言"))
AROUND = 8_000  # samples of a quiet room around a joined phrase
ROOM = -75.0  # dB
NOISES = (25, 20, 15, 10, 5, 0)  # dB that a phrase is above the noise
GAINS = (1.5, 2, 3, 5, 8, 12, 20)  # over full scale
ENROLLED = 5

Sound = tuple[str, Samples]  # of which kind


def sounds(rows: Sequence[Row], chance: random.Random) -> Iterator[Sound]:
    """Recordings as they are, and phrases of four syllables."""
    for corpus in ("mandarin20", "commands"):
        for row in chance.sample([row for row in rows if row.corpus == corpus], RECORDINGS):
            yield corpus, read(row.file)
    takes = {(row.speaker, row.text, row.take): row for row in rows if row.corpus == "mandarin20"}
    first = [key for key in takes if key[1] in dict(TWO_WORDS)]
    for speaker, text, take in chance.sample(sorted(first), RECORDINGS):
        other = takes.get((speaker, dict(TWO_WORDS)[text], take))
        if other is not None:
            yield "phrase", joined([takes[speaker, text, take], other])


def joined(rows: Sequence[Row]) -> Samples:
    """Words of a speaker one after another, in a quiet room."""
    words = [main_phrase(read(row.file)).samples for row in rows]
    sound = np.pad(np.concatenate(words), AROUND)
    room = np.random.default_rng(0).standard_normal(len(sound)) * 10 ** (ROOM / 20)
    return (sound + room).astype(np.float32)


def measured(sound: Samples, encoder: Encoder) -> tuple[dict[str, float], Voiceprint] | None:
    """What quality measures, and the voiceprint; None where no phrase is found."""
    try:
        phrase = main_phrase(sound)
        point = encoder.embed(phrase.samples)
    except NoSpeech:
        return None
    return {
        "voiced": quality.voiced_seconds(phrase.samples),
        "clipped": quality.clipped_share(phrase.samples),
        "stands out": quality.signal_to_noise(sound, phrase),
    }, point


def of_quality(rows: Sequence[Row], encoder: Encoder) -> None:
    """Good recordings at each threshold; what noise and clipping do to a voiceprint."""
    chance = random.Random(1)
    draw = np.random.default_rng(1)
    noises = [
        read(row.file, longest=None)
        for row in chance.sample([row for row in rows if row.corpus == NOISE], 60)
    ]
    clean: dict[str, list[dict[str, float]]] = defaultdict(list)
    noisy: list[tuple[float, float]] = []
    clipped: list[tuple[float, float]] = []
    for kind, sound in sounds(rows, chance):
        found = measured(sound, encoder)
        if found is None:
            continue
        values, point = found
        clean[kind].append(values)
        if kind != "phrase":
            continue
        peak, level = np.abs(sound).max(), np.std(main_phrase(sound).samples)
        noise = np.resize(np.roll(chance.choice(noises), draw.integers(16_000)), len(sound))
        for decibels in NOISES:
            mixed = sound + level * 10 ** (-decibels / 20) / (np.std(noise) + 1e-6) * noise
            after = measured((mixed / max(1, np.abs(mixed).max())).astype(np.float32), encoder)
            if after is not None:
                noisy.append((after[0]["stands out"], float(after[1] @ point)))
        for gain in GAINS:
            cut = np.clip(sound / peak * gain, -1, 1).astype(np.float32)
            after = measured(cut, encoder)
            if after is not None:
                clipped.append((after[0]["clipped"], float(after[1] @ point)))
    for kind, every in clean.items():
        below = [
            f"{np.mean([value['voiced'] < least for value in every]):.1%} under {least} s"
            for least in (0.08, 0.15, 0.2, 0.25)
        ]
        refused = np.mean([value["stands out"] < quality.LEAST_SIGNAL_TO_NOISE for value in every])
        cut_off = np.mean([value["clipped"] > quality.MOST_CLIPPED for value in every])
        print(f"{kind}: {len(every)}; voiced {', '.join(below)}")
        print(f"  as they are: too noisy {refused:.1%}, clipped {cut_off:.1%}")
    show("stands out by dB", noisy, (-20, 6, 8, 10, 12, 15, 20, 30, 80))
    show("share clipped", clipped, (0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.25, 1))


def show(what: str, pairs: Sequence[tuple[float, float]], edges: Sequence[float]) -> None:
    """Cosines to the clean voiceprint by what was measured."""
    for low, high in pairwise(edges):
        cosines = [cosine for value, cosine in pairs if low <= value < high]
        if len(cosines) >= 10:
            five, half = np.quantile(cosines, [0.05, 0.5])
            print(
                f"{what} {low} to {high}: {len(cosines)}, cosine {half:.2f}, 5 % under {five:.2f}"
            )


def voiceprints(rows: Sequence[Row], encoder: Encoder) -> Iterator[tuple[Row, Voiceprint]]:
    """Of the recordings that enrollment would take."""
    for row in rows:
        sound = read(row.file)
        try:
            phrase = main_phrase(sound)
            quality.require_good(sound, phrase)
            yield row, encoder.embed(phrase.samples)
        except (NoSpeech, quality.Clipped, quality.TooNoisy, quality.TooShort):
            continue


def of_others(rows: Sequence[Row], encoder: Encoder) -> None:
    """Own recordings and strangers' among a speaker's, at the threshold for outliers."""
    apart = held_out(list(rows))
    least = exceeded_by(encoder.card.strangers, LIKE_STRANGERS)
    said: dict[tuple[str, str], dict[str, list[Voiceprint]]] = defaultdict(
        lambda: defaultdict(list)
    )
    chosen = [
        row for row in rows if row.corpus == "mandarin20" and ("mandarin20", row.speaker) in apart
    ]
    for row, point in voiceprints(chosen, encoder):
        said[row.corpus, row.text][row.speaker].append(point)
    for speaker in {row.speaker for row in chosen}:
        for first, second in TWO_WORDS:
            takes = {(r.text, r.take): r for r in chosen if r.speaker == speaker}
            for text, take in takes:
                if text == first and (second, take) in takes:
                    phrase = main_phrase(joined([takes[first, take], takes[second, take]]))
                    said["phrase", first][speaker].append(encoder.embed(phrase.samples))
    for kind in ("phrase", "mandarin20"):
        own, strangers = [], []
        for (corpus, _), speakers in said.items():
            if corpus != kind:
                continue
            several = {name: points for name, points in speakers.items() if len(points) > 2}
            for speaker, points in several.items():
                for at, point in enumerate(points):
                    others = np.stack(points[:at] + points[at + 1 :])[: ENROLLED - 1]
                    own += score_of(others, point[np.newaxis]).tolist()
                    strangers += [
                        float(score_of(others, stranger[np.newaxis])[0])
                        for name, theirs in speakers.items()
                        if name != speaker
                        for stranger in theirs[:1]
                    ]
        print(
            f"{kind}: under {least:.3f}: {np.mean(np.array(own) < least):.1%} of {len(own)} own, "
            f"{np.mean(np.array(strangers) < least):.1%} of {len(strangers)} strangers'"
        )


def of_similarity(rows: Sequence[Row], encoder: Encoder) -> None:
    """Speakers of the eval split as a school: who is taken for another, which twins are found."""
    spoken: dict[str, list[Voiceprint]] = defaultdict(list)
    for row, point in voiceprints([row for row in rows if row.corpus == "commands"], encoder):
        spoken[row.speaker].append(point)
    students = {name: points for name, points in spoken.items() if len(points) >= 2 * ENROLLED}
    voices = EnrolledVoices(encoder.card.dimension, encoder.card.strangers)
    mistaken = 0
    for name, points in students.items():
        mistaken += voices.alike(name, points[:ENROLLED]) is not None
        voices.add(name, np.stack(points[:ENROLLED]))
    found = [voices.alike("", points[ENROLLED : 2 * ENROLLED]) for points in students.values()]
    right = sum(twin == name for twin, name in zip(found, students, strict=True))
    print(f"{len(students)} speakers: {mistaken} taken for another; {right} of as many twins found")


if __name__ == "__main__":
    every = read_manifest(sys.argv[1])
    shipped = Encoder()
    train = of_split(every, "train")
    of_quality(train, shipped)
    of_others([row for row in train if row.corpus != NOISE], shipped)
    of_similarity(of_split(every, "eval"), shipped)
