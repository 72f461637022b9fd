"""The protocol *gate*: what a phrase keeps out and whom it misses, word by word.

A phrase is one to four words of one speaker in one take. Five takes enroll, another comes to the
gate, and every other speaker of the corpus who says the same is a stranger to it. Sentences that
nobody says twice, and calls of another day, are tried as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.voice.score import score_of
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.gate_phrases import CALLS, SENTENCES, WORDS, GatePhrases, SpeakerFacts
from kaimen_train.evaluation.metrics import interval_of_equal_error_rate
from kaimen_train.evaluation.protocols import Points, TextTakes, VoiceTrials
from kaimen_train.evaluation.tail import Errors

FMRS = (1e-3, 1e-4, 1e-5, 5e-7)  # the last is an FPIR of 1 % among 20,000 students
USUAL = 1e-4  # the FMR of what is compared
ENROLLED = 5  # takes
ADULT = 16  # years
EVERYBODY, ANOTHER_DAY = "everybody", "another day"


def evaluate(
    phrases: Sequence[GatePhrases], known: SpeakerFacts, embed: protocols.Embed
) -> dict[str, Any]:
    """Figures by corpus, group of speakers or trials, and length; and what four words leave."""
    found: dict[str, Any] = {}
    sentences: dict[str, Any] = {}
    for each in phrases:
        points = embed(each.sounds)
        for group, trials in tried(each, points, known).items():
            of_group = found.setdefault(each.corpus, {}).setdefault(group, {})
            of_group[each.length] = figures(trials)
        if each.corpus == SENTENCES:
            sentences = _sentences(each, points, known)
    return {
        "by_corpus": found, "left_by_four_words": left_by_four_words(found), "sentences": sentences,
    }  # fmt: skip


def _sentences(phrases: GatePhrases, points: Points, known: SpeakerFacts) -> dict[str, Any]:
    """Return the protocol *sentences*: takes 1 to 5 enroll, the others come; EER by group."""
    found = {}
    (said,) = protocols.by_phrase(phrases.names, points)
    last = max(take for _, _, take in phrases.names)
    for group, speakers in _groups(phrases, known).items():
        own = TextTakes(said.text, {name: said.takes[name] for name in speakers})
        trials = protocols.verifications([own], range(1 + ENROLLED, 1 + last))
        if trials.both_kinds:
            errors = trials.errors()
            found[group] = {key: errors[key] for key in ("eer", "interval", "targets", "strangers")}
    return found


def figures(trials: VoiceTrials) -> dict[str, Any]:
    """Return EER, and FNIR at each of the FMRS: counted where it can be, else by the tail."""
    every, sides = trials.scores.astype(np.float64), trials.sides
    errors = Errors(every, *sides)
    counted, fitted = errors.fnir(FMRS)
    intervals = errors.intervals(FMRS)
    return {
        "speakers": len(np.unique(sides[0])),
        "targets": len(trials.targets),
        "strangers": len(trials.strangers),
        "eer": trials.eer,
        "interval": interval_of_equal_error_rate(every, *sides),
        "fnir": {
            f"{fmr:g}": {
                "share": float(fitted[at] if np.isnan(counted[at]) else counted[at]),
                "interval": intervals[at].tolist(),
                "counted": not np.isnan(counted[at]),
                "by_the_tail": float(fitted[at]),
            }
            for at, fmr in enumerate(FMRS)
        },
    }


def left_by_four_words(by_corpus: Mapping[str, Any]) -> dict[str, float]:
    """Return FNIR of four words over that of one at the USUAL FMR, by corpus and their mean."""
    found = {}
    for corpus, groups in by_corpus.items():
        lengths = next(iter(groups.values()))
        if {"1", str(WORDS)} <= set(lengths):
            one, four = (lengths[each]["fnir"][f"{USUAL:g}"]["share"] for each in ("1", str(WORDS)))
            if one:
                found[corpus] = four / one
    return {**found, "mean": float(np.mean(list(found.values())))} if found else {}


def tried(phrases: GatePhrases, points: Points, known: SpeakerFacts) -> dict[str, VoiceTrials]:
    """Return trials by group; groups without both kinds of trials are left out."""
    if phrases.corpus == CALLS:
        found = _days(phrases, points, known)
    else:
        texts = protocols.by_phrase(phrases.names, points)
        groups = _groups(phrases, known)
        found = {name: takes_in_turn(texts, group) for name, group in groups.items()}
    return {name: trials for name, trials in found.items() if trials.both_kinds}


def _groups(phrases: GatePhrases, known: SpeakerFacts) -> dict[str, set[str]]:
    """Speakers who are strangers to each other: an adult is none to a child, nor a test of it."""
    everybody = {speaker for _, speaker, _ in phrases.names}
    if phrases.corpus != SENTENCES or not known.ages:
        return {EVERYBODY: everybody}
    children = {name for name in everybody if known.ages.get(name, ADULT) < ADULT}
    return {"children": children, "adults": everybody - children}


def takes_in_turn(texts: Iterable[TextTakes], speakers: Iterable[str]) -> VoiceTrials:
    """Each take comes once to a gate where the five after it, in a circle, enrolled its speaker.

    Strangers to each of these enrollments are all takes of all others who say the same. Where
    there are fewer than six takes, all but the one that comes enroll.
    """
    order = {name: number for number, name in enumerate(sorted(speakers))}
    found = VoiceTrials()
    for said in texts:
        takes = {
            name: np.stack([said.takes[name][take] for take in sorted(said.takes[name])])
            for name in order
            if name in said.takes
        }
        if not takes:
            continue
        every = np.concatenate(list(takes.values()))
        who = np.array([order[name] for name, own in takes.items() for _ in own], int)
        for student, own in takes.items():
            others = who != order[student]
            for at in range(len(own) if len(own) > 1 else 0):
                circle = np.roll(own, -at, axis=0)
                probes = np.concatenate((circle[:1], every[others]))
                scored = score_of(circle[1 : 1 + ENROLLED], probes)
                sides = np.append(order[student], who[others])
                found.add(scored, np.full(len(scored), order[student]), sides)
    return found


def _days(phrases: GatePhrases, points: Points, known: SpeakerFacts) -> dict[str, VoiceTrials]:
    """First calls enroll; phrases of other days come, and everybody else's of any day.

    Words alone are tried once more at an enrollment by the other words of the call, so that the
    word that comes may be of the same call.
    """
    speakers = sorted({speaker for _, speaker, _ in phrases.names})
    order = {name: number for number, name in enumerate(speakers)}
    who = np.array([order[speaker] for _, speaker, _ in phrases.names])
    texts = np.array([text for text, _, _ in phrases.names])
    calls = [(speaker, call) for _, speaker, call in phrases.names]
    days, phones = np.array([known.calls.get(call, ("", "")) for call in calls]).T
    found: dict[str, VoiceTrials] = defaultdict(VoiceTrials)
    for student, number in order.items():
        own = who == number
        first = min(call for call in calls if call[0] == student)
        of_first = np.array([call == first for call in calls])
        day, phone = known.calls.get(first, ("", ""))
        comes = {ANOTHER_DAY: ~own | (days != day)}
        comes["same phone"] = comes[ANOTHER_DAY] & (phones == phone)
        comes["other phone"] = comes[ANOTHER_DAY] & (phones != phone)
        for group, chosen in comes.items():
            _add(found[group], points[of_first], points[chosen], number, who[chosen])
        if phrases.length != "1":
            continue
        for text in np.unique(texts[of_first]):
            enrolled = points[of_first & (texts != text)]
            comes = {
                "same call, four": (~own | of_first) & (texts == text),
                "another day, four": (~own | (days != day)) & (texts == text),
            }
            for group, chosen in comes.items():
                _add(found[group], enrolled, points[chosen], number, who[chosen])
    return found


def _add(
    trials: VoiceTrials, enrolled: Points, probes: Points, student: int, who: NDArray[np.int_]
) -> None:
    if len(enrolled) and len(probes):
        scored = score_of(enrolled, probes)
        trials.add(scored, np.full(len(scored), student), who)
