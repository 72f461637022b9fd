"""Measures an encoder, or a peer, by the protocols, on the eval split of a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import SettingsError
from edge.sound import Samples
from edge.voice import features
from edge.voice.encoder import Encoder
from training import protocols
from training.corpus import Row, of_split, speech_of
from training.peers import call, mfcc39
from training.progress import track

WORKERS = 2
PEERS = ("ge2e", "mfcc39")
PEER_BATCH = 600  # sounds a call of a peer

_encoder: Encoder | None = None  # one a worker process: interpreters cannot be sent to one


def _begin(path: Path) -> None:
    global _encoder
    _encoder = Encoder(path)


def _embed(samples: Samples) -> protocols.Points:
    assert _encoder is not None
    return _encoder.embed(samples)


def _speech(row: Row) -> Samples:
    return speech_of(row.file)


@contextmanager
def of_encoder(path: Path) -> Iterator[protocols.Embed]:
    """Embed by an encoder's file, in several processes. Raises EncoderError."""
    Encoder(path)  # a bad file is an error here, not a broken pool
    with ProcessPoolExecutor(WORKERS, initializer=_begin, initargs=(path,)) as pool:

        def embed(sounds: Sequence[Samples]) -> protocols.Points:
            made = pool.map(_embed, sounds, chunksize=16)
            return np.stack(list(track(made, "embedding", len(sounds))))

        yield embed


@contextmanager
def of_weights(path: Path, frames: int) -> Iterator[protocols.Embed]:
    """Embed by the float network that was quantized: what int8 is compared with."""
    from training.networks import deep

    network = deep.build(frames=frames)
    network.load_weights(path)

    def embed(sounds: Sequence[Samples]) -> protocols.Points:
        windows = [
            features.fit_frames(features.level_free(features.log_mel(sound)), frames)
            for sound in sounds
        ]
        points = network.predict(np.concatenate(windows), 64, verbose=0)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        ends = np.cumsum([len(each) for each in windows])
        sums = np.stack([own.sum(axis=0) for own in np.split(points, ends[:-1])])
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    yield embed


@contextmanager
def of_peer(name: str) -> Iterator[protocols.Embed]:
    """Embed by one of PEERS; GE2E in its own environment. Raises SettingsError without it."""
    if name == "mfcc39":
        yield mfcc39.embed
        return
    with ThreadPoolExecutor(WORKERS) as pool:

        def embed(sounds: Sequence[Samples]) -> protocols.Points:
            whole = [np.int16(np.clip(sound, -1, 1) * 32767) for sound in sounds]
            batches = [whole[at : at + PEER_BATCH] for at in range(0, len(whole), PEER_BATCH)]
            made = pool.map(lambda batch: call.embed(batch, name), batches)
            return np.concatenate(list(track(made, f"asking {name}", len(batches))))

        yield embed


def speech(rows: Sequence[Row], corpus: str) -> list[Samples]:
    """Trimmed speech of the recordings of one corpus, read in several processes."""
    chosen = [row for row in rows if row.corpus == corpus]
    with ProcessPoolExecutor(WORKERS) as pool:
        cutting = pool.map(_speech, chosen, chunksize=16)
        return list(track(cutting, f"reading {corpus}", len(chosen)))


def evaluate(rows: Sequence[Row], embed: protocols.Embed) -> dict[str, Any]:
    """Figures by protocol and corpus; protocols whose corpora are missing are left out.

    Raises SettingsError where none of them can be measured.
    """
    found: dict[str, Any] = {"pair": {}, "phrase": {}, "open_set": {}, "wrong_phrase": {}}
    rows = of_split(rows, "eval")
    for corpus in protocols.PAIRED:
        chosen = [row for row in rows if row.corpus == corpus]
        if not chosen:
            continue
        points = embed(speech(chosen, corpus))
        found["pair"][corpus] = protocols.pair(chosen, points)
        texts = protocols.by_text(chosen, points)
        if corpus == "arabic40":
            openly = protocols.open_set(texts, protocols.PROBES[corpus])
            found["open_set"][corpus] = _open_set(openly)
        if corpus == "mandarin20":
            joined = protocols.phrases(chosen, embed)
            probes = protocols.PROBES[corpus]
            found["phrase"] = protocols.verify(joined, probes)
            found["open_set"]["phrase"] = _open_set(protocols.open_set(joined, probes))
            _, threshold = protocols.open_set(texts, probes).fnir(max(protocols.FPIRS))
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
