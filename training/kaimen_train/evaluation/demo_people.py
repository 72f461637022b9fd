"""Choose the real voices of the demo from a manifest, and join, cut and code them.

Run as ``python -m kaimen_train.evaluation.demo_people``.
People are chosen by a hash of their names among the
speakers of the eval split, whom no training has heard, so that the choice is nobody's taste; only
what enrollment would refuse, because hardly a voice is in it, is left out. The same manifest and
the same versions of the Python packages give the same files, byte for byte.

A class is a folder of its own, because its students share a passphrase. Each passphrase is joined
from two words of one speaker, a take from a take of each. ``NOTICE`` says whose the recordings are.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import soundfile

from kaimen.errors import NoSpeech, SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.quality import require_voice
from kaimen.sound.recording import main_phrase, read
from kaimen_train.data.corpus import MANIFEST, Row, of_split, read_manifest
from kaimen_train.evaluation.protocols import one_phrase
from kaimen_train.progress import track

OUT = Path("edge/kaimen/rehearsal/voices")

MARGIN = 0.15  # seconds of the recording's own room kept before and after, where there are
# Variable bit rate, here about 30 kbit/s, for the same reason as in ``demo_voices``.
COMPRESSION = 0.7  # 0 to 1

Pair = tuple[str, str]  # two words that are joined


@dataclass(frozen=True, slots=True)
class Class:
    """Students of one passphrase, and strangers who say it."""

    corpus: str
    phrase: Pair
    others: tuple[Pair, ...]  # other words, the last of them half right
    takes: int  # of the passphrase, that each student has
    students: int
    strangers: int  # further people, who say it once and are never enrolled

    @property
    def folder(self) -> str:
        """Return its name."""
        return _name(self.phrase)


# Written in Latin letters, since not every archive keeps others.
SPELLED = {
    "中国": "zhongguo", "上海": "shanghai", "语音": "yuyin", "识别": "shibie",
    "北京": "beijing", "饭店": "fandian",
}  # fmt: skip
CLASSES = (
    Class(
        corpus="mandarin20",
        phrase=("中国", "上海"),
        others=(("语音", "识别"), ("北京", "饭店"), ("中国", "饭店")),
        takes=8,
        students=7,
        strangers=0,
    ),
    Class(
        corpus="commands",
        phrase=("stop", "yes"),
        others=(("left", "no"), ("go", "down"), ("stop", "no")),
        takes=5,
        students=14,
        strangers=8,
    ),
)
PASSERS_BY = "speechocean"  # who say sentences, each once; beside the last class
CHILDREN, ADULTS = 4, 4  # of them
ADULT = 16  # years
SENTENCES = 2  # of each


class SpokenWords:
    """What a speaker says: words, each of them in takes."""

    def __init__(self, speaker: str, rows: Sequence[Row]) -> None:
        self.speaker = speaker
        self._files = {(row.text, row.take): row.file for row in rows}
        self._said: dict[Pair, list[Samples]] = {}

    def says(self, pair: Pair) -> list[Samples]:
        """Return both words, joined, from every take of them that holds a voice."""
        if pair not in self._said:
            first, second = ({take for text, take in self._files if text == each} for each in pair)
            self._said[pair] = list(self._takes(pair, sorted(first & second)))
        return self._said[pair]

    def _takes(self, pair: Pair, takes: Sequence[int]) -> Iterator[Samples]:
        for take in takes:
            first, second = (read(self._files[text, take]) for text in pair)
            try:
                said = one_phrase(cut(first, after=0), cut(second, before=0))
                require_voice(main_phrase(said).samples)
            except NoSpeech:
                continue
            yield said


def main() -> None:
    """Write the recordings of everybody."""
    parser = argparse.ArgumentParser(
        prog="python -m kaimen_train.evaluation.demo_people",
        description="Make the demo's recordings of real voices.",
        epilog="example: python -m kaimen_train.evaluation.demo_people speech/manifest.csv",
    )
    parser.add_argument("manifest", type=Path, nargs="?", default=MANIFEST, help="of recordings")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="where to write")
    arguments = parser.parse_args()
    try:
        rows = of_split(read_manifest(arguments.manifest), "eval")
        ages = arguments.manifest.parent / PASSERS_BY / "ages.csv"
        people = list(everybody(rows, ages.read_text(encoding="utf-8")))
    except (SettingsError, OSError) as error:
        sys.exit(str(error))
    for each in CLASSES:
        shutil.rmtree(arguments.out / each.folder, ignore_errors=True)
    for folder, said in track(people, "coding"):
        (arguments.out / folder).mkdir(parents=True)
        for name, sound in said.items():
            soundfile.write(
                arguments.out / folder / f"{name}.mp3",
                np.clip(sound, -1, 1),
                SAMPLE_RATE,
                bitrate_mode="VARIABLE",
                compression_level=COMPRESSION,
            )


def everybody(rows: Sequence[Row], ages: str) -> Iterator[tuple[str, dict[str, Samples]]]:
    """Everybody's folder, and what they say by the file's name. Raises SettingsError."""
    numbers = (f"s{number:02}" for number in count(1))
    for each in CLASSES:
        people = _by_hash([row for row in rows if row.corpus == each.corpus])
        often = [who for who in people if len(who.says(each.phrase)) >= each.takes]
        seldom = [who for who in people if 0 < len(who.says(each.phrase)) < each.takes]
        if len(often) < each.students or len(seldom) < each.strangers:
            raise SettingsError(f"too few speakers of {each.corpus} say {' '.join(each.phrase)}")
        for who in often[: each.students]:
            # The last take: where there are enough, none of its words has enrolled anybody.
            others = {_name(pair): who.says(pair)[-1:] for pair in each.others}
            said = _numbered("phrase", who.says(each.phrase)[: each.takes])
            said |= {f"other-{words}": take for words, takes in others.items() for take in takes}
            yield f"{each.folder}/{next(numbers)}", said
        for who in seldom[: each.strangers]:
            yield f"{each.folder}/{next(numbers)}", _numbered("phrase", who.says(each.phrase)[:1])
    years = dict(line.split(",")[:2] for line in ages.splitlines()[1:])
    readers = [row for row in rows if row.corpus == PASSERS_BY]
    for young, wanted in ((True, CHILDREN), (False, ADULTS)):
        group = [row for row in readers if (int(years[row.speaker]) < ADULT) is young]
        for who in _by_hash(group)[:wanted]:
            files = sorted(row.file for row in group if row.speaker == who.speaker)[:SENTENCES]
            sentences = _numbered("other-sentence", [cut(read(file)) for file in files])
            yield f"{CLASSES[-1].folder}/{next(numbers)}", sentences


def _by_hash(rows: Sequence[Row]) -> list[SpokenWords]:
    """Return the speakers, in an order that nobody chose."""
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        own[row.speaker].append(row)
    return [SpokenWords(who, own[who]) for who in sorted(own, key=_hash)]


def _hash(speaker: str) -> str:
    return hashlib.sha256(speaker.encode()).hexdigest()


def _numbered(name: str, takes: Sequence[Samples]) -> dict[str, Samples]:
    return {f"{name}-{number}": take for number, take in enumerate(takes, start=1)}


def _name(pair: Pair) -> str:
    return "-".join(SPELLED.get(word, word) for word in pair)


def cut(samples: Samples, *, before: float = MARGIN, after: float = MARGIN) -> Samples:
    """Return where somebody speaks, and so many seconds around it. Raises NoSpeech."""
    phrase = main_phrase(samples)
    start = max(0, phrase.start - round(before * SAMPLE_RATE))
    return samples[start : phrase.end + round(after * SAMPLE_RATE)]


if __name__ == "__main__":
    main()
