"""Corpora from a manifest, trimmed by the gate's own endpointing.

A manifest is a CSV file with the columns ``path, corpus, split, speaker, text``; paths are
relative to it. Rows without a speaker are voices nobody named (they still teach); rows of
the corpus ``noise`` are no voices at all; rows of the ``UNSEEN`` corpora teach nothing.
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from kaimen.errors import NoSpeech, RecordingError, SettingsError
from kaimen.sound import SAMPLE_RATE, Samples, endpoint, high_pass, recording
from kaimen.sound.recording import main_phrase, phrases, read, said
from kaimen.voice import features
from kaimen_train.progress import track

MANIFEST = Path("../shared/speech/manifest.csv")
MANIFEST_PAGE = "docs/use/workshop.md"  # what a manifest is
NOISE = "noise"
# Corpora that are for evaluation alone, whatever the manifest says: a figure of them cannot be
# learned by heart, and the licence of calls allows nothing else.
UNSEEN = ("arabic40", "calls")
SPEEDS = (1.0, 0.9, 1.1, 0.8, 1.25)  # a voice at another speed is another speaker
RUNNING_SPEECH = 2.5  # seconds of file from which it is cut into all its phrases
LONG_ENOUGH = 0.8  # seconds such a phrase must last
TOLD = ("path", "corpus", "speaker", "text")  # of a row, in the label of its clips


@dataclass(frozen=True, slots=True)
class Row:
    """One recording of a manifest."""

    path: str  # as in the manifest
    file: Path
    corpus: str
    split: str  # as in the manifest; eval in a corpus that is UNSEEN
    speaker: str  # empty: nobody named it
    text: str

    @property
    def take(self) -> int:
        """Return the number at the end of the file's name: word-07.flac is take 7; 0 if none."""
        number = self.file.stem.rpartition("-")[2]
        return int(number) if number.isdigit() else 0


def read_manifest(path: Path | str) -> list[Row]:
    """Return the rows of a manifest, in its order. Raises SettingsError with what is wrong."""
    path = Path(path)
    needed = {"path", "corpus", "split", "speaker", "text"}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = needed - set(reader.fieldnames or ())
            if missing:
                raise SettingsError(
                    f"{path}: no column {', '.join(sorted(missing))}; see {MANIFEST_PAGE}"
                )
            return [
                Row(
                    path=row["path"],
                    file=path.parent / row["path"],
                    corpus=row["corpus"],
                    split="eval" if row["corpus"] in UNSEEN else row["split"],
                    speaker=row["speaker"],
                    text=row["text"],
                )
                for row in reader
            ]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{path}: cannot be read as a manifest ({why}); see {MANIFEST_PAGE}"
        ) from None


def speech_of(file: Path) -> Samples:
    """Return the phrase of a recording's file, as ``phrase_in`` finds it."""
    return phrase_in(read(file, longest=None))


def phrase_in(samples: Samples) -> Samples:
    """Return the phrase of a recording; all of it where no phrase is found, so no trial is lost."""
    try:
        return main_phrase(samples).samples
    except NoSpeech:
        return samples


def at_speed(samples: Samples, speed: float) -> Samples:
    """Return the samples played ``speed`` times as fast, pitch and all."""
    if speed == 1:
        return samples
    return np.asarray(soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE), np.float32)


def long_enough(clip: Samples) -> Samples:
    """Return a clip, or one too short for a frame said again until it is not."""
    return clip if len(clip) >= features.WINDOW else np.resize(clip, features.WINDOW)


@dataclass(frozen=True)
class Clips:
    """Many pieces of sound in one array: clip i is samples[starts[i]:ends[i]]."""

    samples: NDArray[np.int16]  # may be mapped from a file
    starts: NDArray[np.int64]  # (clips,)
    ends: NDArray[np.int64]  # (clips,)
    labels: list[dict[str, str | float]]  # row fields and speed, one a clip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Samples:
        piece = self.samples[self.starts[index] : self.ends[index]]
        return piece.astype(np.float32) / np.float32(32768)

    def only(self, indices: NDArray[np.int64]) -> Clips:
        """Return some of the clips, over the same samples."""
        labels = [self.labels[i] for i in indices]
        return Clips(self.samples, self.starts[indices], self.ends[indices], labels)


def _pieces(row: Row, speeds: Sequence[float]) -> list[tuple[float, NDArray[np.int16]]]:
    try:
        samples = read(row.file, longest=None)
    except RecordingError:
        return []  # a damaged file teaches nothing, and is counted by the caller
    if row.corpus == NOISE:
        found = [samples]
        speeds = (1.0,)
    elif len(samples) >= RUNNING_SPEECH * SAMPLE_RATE:
        found = [p.samples for p in phrases(samples) if p.seconds >= LONG_ENOUGH]
    else:
        found = [p.samples for p in sorted(said(samples), key=lambda p: p.seconds)[-1:]]
    return [
        (speed, (np.clip(at_speed(piece, speed), -1, 1) * 32767).astype(np.int16))
        for piece in found
        for speed in speeds
    ]


def cut(
    rows: Sequence[Row], folder: Path, *, speeds: Sequence[float] = SPEEDS, workers: int = 2
) -> Clips:
    """Decode, trim and speed-perturb rows into ``folder``, once; then map them from there."""
    folder.mkdir(parents=True, exist_ok=True)
    name = _fingerprint(rows, speeds)
    sound, index = folder / f"clips-{name}.i16", folder / f"clips-{name}.json"
    if not index.exists():
        labels: list[dict[str, str | float]] = []
        lengths: list[int] = []
        with sound.open("wb") as out, ProcessPoolExecutor(workers) as pool:
            cutting = pool.map(partial(_pieces, speeds=tuple(speeds)), rows, chunksize=32)
            for row, pieces in zip(rows, track(cutting, "cutting phrases", len(rows)), strict=True):
                for speed, piece in pieces:
                    out.write(piece.tobytes())
                    lengths.append(len(piece))
                    labels.append({**{name: getattr(row, name) for name in TOLD}, "speed": speed})
        index.write_text(json.dumps({"lengths": lengths, "labels": labels}), encoding="utf-8")
    stored = json.loads(index.read_text(encoding="utf-8"))
    lengths_of = np.array(stored["lengths"], np.int64)
    ends = np.cumsum(lengths_of)
    # An empty file cannot be mapped.
    samples = np.memmap(sound, np.int16, "r") if len(ends) else np.zeros(0, np.int16)
    return Clips(samples, ends - lengths_of, ends, stored["labels"])


def _fingerprint(rows: Sequence[Row], speeds: Sequence[float]) -> str:
    """Changes with anything that changes the clips: rows, files, speeds, the endpointing."""
    recordings = [
        [row.path, row.corpus, row.speaker, row.text, row.file.stat().st_size]
        for row in rows
        if row.file.exists()
    ]
    cutting = [inspect.getsource(module) for module in (endpoint, high_pass, recording)]
    told = json.dumps([recordings, list(speeds), cutting])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def of_split(rows: Iterable[Row], split: str) -> list[Row]:
    """Return the rows of one split."""
    return [row for row in rows if row.split == split]
