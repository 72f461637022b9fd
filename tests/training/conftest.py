"""A run of training as small as can be.

TensorFlow is imported here once, where its packages may announce their deprecations.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from kaimen.sound import SAMPLE_RATE
from kaimen_train.data.corpus import Row, read_manifest
from tests.sounds import in_a_room, noise, silence, spoken

if TYPE_CHECKING:
    from tests.training.tiny import Batches

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.keras.layers  # noqa: B018 - loaded when first asked for
    # fit() asks for one thread, too, and TensorFlow refuses another number once it has begun.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Six speakers of mandarin20, three of commands, one without a name, noise; some of eval."""
    folder = tmp_path_factory.mktemp("speech")
    lines = ["path,corpus,split,speaker,text"]

    def record(name: str, sound: np.ndarray, *fields: str) -> None:
        soundfile.write(folder / name, sound, SAMPLE_RATE)
        lines.append(",".join((name, *fields)))

    voices = [("mandarin20", "train", f"m{n}") for n in range(6)]
    voices += [("commands", "train", f"c{n}") for n in range(3)]
    voices += [("commands", "train", ""), ("mandarin20", "eval", "e0")]
    for number, (corpus, split, speaker) in enumerate(voices):
        for take in range(4):
            text = "ab"[take % 2]
            word = spoken(0.45 + 0.02 * take, 90 + 12 * number + take)
            sound = in_a_room(silence(0.2), word, silence(0.4), seed=number)
            record(f"{number}-{take}.wav", sound, corpus, split, speaker, text)
    record("noise.wav", noise(1.0, -30), "noise", "train", "", "")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(folder / "manifest.csv")


@pytest.fixture
def tiny_phrases(tiny_rows: list[Row], tmp_path: Path) -> list[Row]:
    """The tiny corpus, and three eval speakers who say the words of a phrase."""
    lines = ["path,corpus,split,speaker,text"]
    for (number, text), speaker, take in product(
        enumerate(("语音", "识别")), range(3), range(1, 9)
    ):
        word = spoken(0.4, 100 + 60 * speaker + take + 20 * number)
        sound = in_a_room(silence(0.2), word, silence(0.35), seed=take)
        name = f"{number}-{speaker}-{take}.wav"
        soundfile.write(tmp_path / name, sound, SAMPLE_RATE)
        lines.append(f"{name},mandarin20,eval,e{speaker},{text}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [row for row in tiny_rows if row.split == "train"] + read_manifest(
        tmp_path / "manifest.csv"
    )


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """A run is small, and its batches are watched."""
    from kaimen_train.data import batches as batching
    from kaimen_train.encoder import fit as fitting
    from kaimen_train.encoder import teacher
    from tests.training import tiny

    monkeypatch.setattr(teacher, "points", tiny.fake_points)
    monkeypatch.setattr(fitting, "rooms", lambda *_: [np.ones(1, np.float32)])
    monkeypatch.setattr(batching, "GROUPS", 2)
    monkeypatch.setattr(batching, "SPEAKERS", 2)
    monkeypatch.setattr(batching, "FRAMES", (tiny.FRAMES,))
    monkeypatch.setattr(batching, "FRAMES_SHARE", (1.0,))
    watched = tiny.Batches()
    monkeypatch.setattr(fitting, "batches", watched)
    return watched
