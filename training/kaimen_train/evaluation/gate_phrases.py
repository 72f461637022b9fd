"""What the protocol *gate* tries: phrases joined from words, sentences, and calls as they are."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaimen.sound import Samples
from kaimen_train.data.corpus import Row, of_split
from kaimen_train.evaluation.evaluate import EvalSpeech, speech
from kaimen_train.evaluation.protocols import Name, one_phrase

WORDS = 4  # of the longest phrase
TEXTS = 5  # phrases of a corpus
ORDERS = 500  # of words that are drawn; the phrases are those that most speakers say
SENTENCES, CALLS = "speechocean", "calls"
SENTENCE = "sentence"  # the length of what is no number of words
SPOKEN = ("arabic40", CALLS, SENTENCES, "commands", "mandarin20")  # unseen ones first


@dataclass(frozen=True, slots=True)
class GatePhrases:
    """Phrases of one length of one corpus, and how they sound; a take of a call is the call."""

    corpus: str
    length: str  # a number of words, or SENTENCE
    names: list[Name]
    sounds: list[Samples]


@dataclass(frozen=True, slots=True)
class SpeakerFacts:
    """What is known of speakers and calls, from the tables beside the recordings."""

    ages: dict[str, int]  # years by speaker
    calls: dict[tuple[str, int], tuple[str, str]]  # day and phone by speaker and call


def hear(rows: Sequence[Row], heard: EvalSpeech) -> tuple[list[GatePhrases], SpeakerFacts]:
    """Return all phrases that are tried, and what is known of who says them.

    ``heard`` is what was read of ``rows`` before; the corpora that it has not are read here.
    """
    rows = of_split(rows, "eval")
    found: list[GatePhrases] = []
    for corpus in SPOKEN:
        own = heard.rows.get(corpus) or [row for row in rows if row.corpus == corpus]
        if not own:
            continue
        sounds = heard.speech.get(corpus) or speech(own, corpus)
        if corpus == SENTENCES:
            names = [("", row.speaker, row.take) for row in own]
            found.append(GatePhrases(corpus, SENTENCE, names, sounds))
        elif corpus == CALLS:
            found += _of_calls(own, sounds)
        else:
            found += _of_words(corpus, own, sounds)
    return found, _known(rows)


def orders(said: Mapping[str, set[str]], corpus: str) -> list[tuple[str, ...]]:
    """TEXTS orders of WORDS words that most speakers say, given each speaker's words.

    Drawn by a generator seeded with the corpus's name; fewer where there are fewer words.
    """
    words = sorted(set().union(*said.values()))
    random = np.random.default_rng(list(corpus.encode()))
    length = min(WORDS, len(words))
    drawn = dict.fromkeys(
        tuple(words[at] for at in random.choice(len(words), length, replace=False))
        for _ in range(ORDERS)
    )
    speakers = {order: sum(own >= set(order) for own in said.values()) for order in drawn}
    return sorted(speakers, key=lambda order: -speakers[order])[:TEXTS]


def _of_words(corpus: str, rows: Sequence[Row], sounds: Sequence[Samples]) -> Iterator[GatePhrases]:
    """The first one, two, three and four words of each order, in all takes that have them all."""
    words = {
        (row.text, row.speaker, row.take): sound for row, sound in zip(rows, sounds, strict=True)
    }
    takes: dict[tuple[str, str], set[int]] = defaultdict(set)
    for text, speaker, take in words:
        takes[speaker, text].add(take)
    said: dict[str, set[str]] = defaultdict(set)
    for (speaker, text), own in takes.items():
        if len(own) > 1:  # one enrolls, and one comes
            said[speaker].add(text)
    chosen = orders(said, corpus) if said else []
    for length in range(1, WORDS + 1):
        phrases = GatePhrases(corpus, str(length), [], [])
        for order in chosen:
            for speaker in sorted(said):
                # The same speakers and takes for every length: only the length differs.
                for take in sorted(set.intersection(*(takes[speaker, text] for text in order))):
                    phrases.names.append((" ".join(order), speaker, take))
                    spoken = (words[text, speaker, take] for text in order[:length])
                    phrases.sounds.append(one_phrase(*spoken))
        if phrases.names and length <= len(chosen[0]):
            yield phrases


def _of_calls(rows: Sequence[Row], sounds: Sequence[Samples]) -> Iterator[GatePhrases]:
    """Keywords of a call joined in a circle, as many as there are keywords; and sentences."""
    words = {
        (row.text, row.speaker, _call(row)): sound for row, sound in zip(rows, sounds, strict=True)
    }
    keywords = sorted({row.text for row in rows if not row.text.endswith(SENTENCE)})
    calls = sorted({(row.speaker, _call(row)) for row in rows})
    circles = {
        str(length): [
            tuple(keywords[(at + number) % len(keywords)] for number in range(length))
            for at in range(len(keywords))
        ]
        for length in range(1, min(WORDS, len(keywords)) + 1)
    }
    circles[SENTENCE] = [(f"{keyword}-{SENTENCE}",) for keyword in keywords]
    for length, texts in circles.items():
        phrases = GatePhrases(CALLS, length, [], [])
        for speaker, call in calls:
            for text in texts:
                if all((word, speaker, call) in words for word in text):
                    phrases.names.append((" ".join(text), speaker, call))
                    phrases.sounds.append(
                        one_phrase(*(words[word, speaker, call] for word in text))
                    )
        if phrases.names:
            yield phrases


def _call(row: Row) -> int:
    """Return the number before the take: word-02-01.opus is of call 2."""
    return int(row.file.stem.split("-")[-2])


def _known(rows: Sequence[Row]) -> SpeakerFacts:
    ages = {each["speaker"]: int(each["age"]) for each in _table(rows, SENTENCES, "ages.csv")}
    calls = {
        (each["speaker"], int(each["call"])): (each["date"], each["phone"])
        for each in _table(rows, CALLS, "calls.csv")
    }
    return SpeakerFacts(ages, calls)


def _table(rows: Sequence[Row], corpus: str, name: str) -> list[dict[str, str]]:
    """Return a table beside the recordings of a corpus; empty where there is none."""
    for row in rows:
        if row.corpus == corpus:
            path = Path(str(row.file).removesuffix(row.path), corpus, name)
            if path.exists():
                with path.open(newline="", encoding="utf-8") as file:
                    return list(csv.DictReader(file))
            break
    return []
