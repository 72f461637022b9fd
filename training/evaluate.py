"""Measures an encoder by the protocols, on the eval split of a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import SettingsError
from edge.sound import Samples
from edge.voice.encoder import Encoder
from training import protocols
from training.corpus import Row, of_split, speech_of
from training.progress import track

_encoder: Encoder | None = None  # one a worker process: interpreters cannot be sent to one


def _begin(path: Path) -> None:
    global _encoder
    _encoder = Encoder(path)


def _speech(row: Row) -> Samples:
    return speech_of(row.file)


def _embed(samples: Samples) -> protocols.Points:
    assert _encoder is not None
    return _encoder.embed(samples)


def evaluate(rows: Sequence[Row], encoder: Path, *, workers: int = 2) -> dict[str, Any]:
    """Figures by protocol and corpus; protocols whose corpora are missing are left out.

    Raises SettingsError where none of them can be measured.
    """
    found: dict[str, Any] = {"pair": {}, "phrase": {}, "open_set": {}, "wrong_phrase": {}}
    rows = of_split(rows, "eval")
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(encoder,)) as pool:

        def embed(sounds: Sequence[Samples]) -> protocols.Points:
            made = pool.map(_embed, sounds, chunksize=16)
            return np.stack(list(track(made, "embedding", len(sounds))))

        for corpus in protocols.PAIRED:
            chosen = [row for row in rows if row.corpus == corpus]
            if not chosen:
                continue
            cutting = pool.map(_speech, chosen, chunksize=16)
            points = embed(list(track(cutting, f"reading {corpus}", len(chosen))))
            found["pair"][corpus] = protocols.pair(chosen, points)
            texts = protocols.by_text(chosen, points)
            if corpus == "arabic40":
                openly = protocols.open_set(texts, protocols.PROBES[corpus])
                found["open_set"][corpus] = _open_set(openly)
            if corpus == "mandarin20":
                joined = protocols.phrases(chosen, embed)
                probes = protocols.PROBES[corpus]
                found["phrase"] = protocols.verify(joined, probes)
                openly = protocols.open_set(joined, probes)
                found["open_set"]["phrase"] = _open_set(openly)
                of_words = protocols.open_set(texts, probes)
                _, threshold = of_words.fnir(max(protocols.FPIRS))
                found["wrong_phrase"] = protocols.wrong_phrase(texts, threshold)
    if not found["pair"]:
        raise SettingsError(
            f"the manifest has no eval rows of {', '.join(protocols.PAIRED)}; see docs"
        )
    return found


def _open_set(openly: protocols.OpenSet) -> dict[str, Any]:
    measured: dict[str, Any] = {
        "strangers": sum(map(len, openly.strangers.values())),
        "students": sum(map(len, openly.students.values())),
    }
    for fpir in protocols.FPIRS:
        fnir, threshold = openly.fnir(fpir)
        measured[f"fnir_at_fpir_{fpir:g}"] = fnir
        measured[f"interval_at_fpir_{fpir:g}"] = openly.interval(fpir)
        measured[f"threshold_at_fpir_{fpir:g}"] = threshold
    return measured
