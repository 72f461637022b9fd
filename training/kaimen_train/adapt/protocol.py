"""What adapting is worth, measured: schools at a simulated bad microphone, and as recorded.

A school is one phrase: some training speakers are its students and adapt the encoder, with five
recordings each; the eval speakers say the same phrase and are measured by the phrase protocol.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaimen.registry.space_map import SpaceMap
from kaimen.sound import Samples
from kaimen.voice.encoder import Encoder
from kaimen_train.adapt import whitening
from kaimen_train.adapt.adapt import SchoolRecordings, adapt
from kaimen_train.data.bad_microphone import at_bad_microphone
from kaimen_train.data.corpus import NOISE, UNSEEN, Row, cut, long_enough, of_split
from kaimen_train.data.speakers import held_out
from kaimen_train.evaluation import protocols
from kaimen_train.evaluation.evaluate import PHRASED, hear, of_encoder
from kaimen_train.evaluation.metrics import drawn_equal_error_rates, interval
from kaimen_train.evaluation.protocols import ENROLLED, PROBES, Points, VoiceTrials

STUDENTS = 20
FPIR = 0.05


@dataclass(frozen=True)
class RecordedRows:
    """Speech of one corpus, or joined phrases, and who says what in it."""

    rows: list[Row]
    sounds: list[Samples]

    def only(self, speakers: set[str], texts: set[str]) -> RecordedRows:
        """Return what some speakers say of some texts."""
        every = zip(self.rows, self.sounds, strict=True)
        kept = [(row, s) for row, s in every if row.speaker in speakers and row.text in texts]
        return RecordedRows([row for row, _ in kept], [sound for _, sound in kept])

    def of(self, field: str) -> NDArray[np.str_]:
        """Return speakers, or texts, (recordings,)."""
        return np.array([getattr(row, field) for row in self.rows])


def check(rows: Sequence[Row], folder: Path, encoder: Path, weights: Path) -> dict[str, Any]:
    """Return figures by condition and protocol, and what carrying voiceprints costs."""
    visitors = _eval(rows)
    students = _students(_train(rows, folder), visitors)
    visitors = {name: said for name, said in visitors.items() if name in students}
    plain = {name: [students[name], visitors[name]] for name in visitors}
    heard = {
        name: [RecordedRows(each.rows, at_bad_microphone(each.sounds, seed)) for each in both]
        for seed, (name, both) in enumerate(plain.items())
    }
    found: dict[str, Any] = {}
    for condition, every in (("intercom, simulated", heard), ("as recorded", plain)):
        points = _embedded(every, encoder)
        found[condition] = {name: _schools(name, every[name], points[name]) for name in every}
        if every is heard:
            found["handed on"] = _handed_on(heard, points, encoder, weights)
    return found


def _embedded(every: dict[str, list[RecordedRows]], encoder: Path) -> dict[str, list[Points]]:
    embed = of_encoder(encoder)
    return {
        name: [embed([long_enough(sound) for sound in each.sounds]) for each in both]
        for name, both in every.items()
    }


def _schools(name: str, both: Sequence[RecordedRows], points: Sequence[Points]) -> dict[str, Any]:
    """One corpus: each text is a school; all of commands is one, since few say a word often."""
    (own, others), (known, met) = both, points
    said, asked = (
        np.full(len(each.rows), "") if name == "commands" else each.of("text") for each in both
    )
    always, ruled, shares, certain = met.copy(), met.copy(), [], 0
    texts = np.unique(asked)
    means = []
    for text in texts:
        mine, theirs = said == text, asked == text
        names = own.of("speaker")[mine]
        gained = whitening.gain(known[mine], names)
        way = whitening.fit(known[mine], names, gained.share)
        always[theirs] = whitening.move(met[theirs], way)
        if gained.certain:
            ruled[theirs] = always[theirs]
        certain += gained.certain
        shares.append(gained.share)
        here = [row for row, one in zip(others.rows, theirs, strict=True) if one]
        means.append([_trials(name, here, made[theirs]).eer for made in (met, always, ruled)])
    before, after = (_trials(name, others.rows, made) for made in (met, always))
    drawn = drawn_equal_error_rates([before.scores, after.scores], *before.sides, rounds=1_000)
    usable = drawn[drawn[:, 0] > 0]
    change = interval(usable[:, 1] / usable[:, 0] - 1) if len(usable) else ()
    return {
        "schools": len(texts),
        "students": len(np.unique(own.of("speaker"))),
        "recordings_of_a_school": len(known) // len(texts),
        "speakers": len(np.unique(others.of("speaker"))),
        "before": _without_curve(before.errors()),
        "after": _without_curve(after.errors()),
        "change": after.eer / before.eer - 1 if before.eer else 0.0,
        "change_interval": list(change),
        "adapted_by_the_rule": certain,
        "mean_of_schools": dict(
            zip(("before", "always", "by_the_rule"), np.mean(means, 0).tolist(), strict=True)
        ),
        "shares": {str(share): shares.count(share) for share in whitening.SHARES},
    }


def _handed_on(
    heard: dict[str, list[RecordedRows]],
    points: dict[str, list[Points]],
    encoder: Path,
    weights: Path,
) -> dict[str, Any]:
    """The file itself, of the twenty held-out speakers of commands; and carried voiceprints."""
    own, _ = heard["commands"]
    known = points["commands"][0]
    school = SchoolRecordings(own.sounds, own.of("speaker"), 0)
    gained = whitening.gain(known, school.students)
    way = whitening.fit(known, school.students, gained.share)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "encoder.tflite")
        card = adapt(school, known, gained, Encoder(encoder), weights, out)
        exact = SpaceMap.read(out.with_suffix(".npz"))
        new = _embedded(heard, out)
    speech = [name for name in heard if name != "commands"]
    before, after = (np.concatenate([made[name][0] for name in speech]) for made in (points, new))
    others = whitening.learned(before, after)
    few = whitening.learned(known, new["commands"][0])
    carried = {
        "embedded again": None,
        "carried by the map": exact,
        "by a map learned from the school's recordings": lambda x: whitening.move(x, few),
        "by a map learned from other speakers' recordings": lambda x: whitening.move(x, others),
    }
    found: dict[str, Any] = {
        "agreement": card.measured["runtimes_least_cosine"],
        "share": gained.share,
        "school": [gained.before, gained.after, *gained.separation],
        "files": {},
    }
    for name, (_, visitors) in heard.items():
        old, made = points[name][1], new[name][1]
        moved = whitening.move(old, way)
        figures: dict[str, Any] = {
            "before": _trials(name, visitors.rows, old).eer,
            "map_on_points": _trials(name, visitors.rows, moved).eer,
            "int8_file": _trials(name, visitors.rows, made).eer,
        }
        found["files"][name] = figures
        if name == "commands":
            continue
        enrolls = np.array([row.take in ENROLLED for row in visitors.rows])
        figures["gallery"] = {}
        for kind, carry in carried.items():
            mixed = made.copy()
            cosine = 1.0
            if carry is not None:
                mixed[enrolls] = carry(old[enrolls])
                cosine = float(np.mean(np.sum(mixed[enrolls] * made[enrolls], axis=1)))
            openly = protocols.open_set(protocols.by_text(visitors.rows, mixed), PROBES[PHRASED])
            figures["gallery"][kind] = {
                "eer": _trials(name, visitors.rows, mixed).eer,
                "fnir": openly.fnir(FPIR)[0],
                "mean_cosine": cosine,
            }
    return found


def _trials(name: str, rows: Sequence[Row], points: Points) -> VoiceTrials:
    if name == "commands":
        return protocols.pairs(rows, points)
    return protocols.verifications(protocols.by_text(rows, points), PROBES[PHRASED])


def _without_curve(errors: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in errors.items() if key not in ("det", "min_dcf")}


def _eval(rows: Sequence[Row]) -> dict[str, RecordedRows]:
    heard = hear(rows)
    found = {name: RecordedRows(heard.rows[name], heard.speech[name]) for name in heard.rows}
    if PHRASED in found:
        found = {"phrase": _phrases(found[PHRASED]), **found}
    return found


def _train(rows: Sequence[Row], folder: Path) -> dict[str, RecordedRows]:
    """Named speakers of the train split, as they were cut for training."""
    train = [row for row in of_split(rows, "train") if row.corpus != NOISE]
    clips = cut(train, folder / "corpus")
    by_path = {row.path: row for row in train if row.speaker}
    found = {name: RecordedRows([], []) for name in protocols.PAIRED if name not in UNSEEN}
    kept_back = held_out(train)
    for index, label in enumerate(clips.labels):
        row = by_path.get(str(label["path"]))
        if row is None or row.corpus not in found or label["speed"] != 1:
            continue
        rare = row.corpus == "commands"
        if (row.corpus, row.speaker) in kept_back if rare else row.take in ENROLLED:
            found[row.corpus].rows.append(row)
            found[row.corpus].sounds.append(clips[index])
    return {"phrase": _phrases(found[PHRASED]), **found}


def _students(
    every: dict[str, RecordedRows], visitors: dict[str, RecordedRows]
) -> dict[str, RecordedRows]:
    """At most STUDENTS of each, saying what the visitors say; held-out ones of commands alone."""
    found = {}
    for name, said in every.items():
        if name not in visitors:
            continue
        texts = set(visitors[name].of("text"))
        often = [n for n in np.unique(said.of("speaker")) if np.sum(said.of("speaker") == n) > 1]
        chosen = set(often[:STUDENTS])
        found[name] = said.only(chosen, texts)
    return found


def _phrases(said: RecordedRows) -> RecordedRows:
    names, phrases = protocols.joined(said.rows, said.sounds)
    rows = [
        Row("", Path(f"phrase-{take:02d}"), "phrase", "", speaker, text)
        for text, speaker, take in names
    ]
    return RecordedRows(rows, phrases)
