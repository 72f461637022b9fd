"""Measures an encoder, or a peer, by the protocols, on the eval split of a manifest."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.errors import SettingsError
from kaimen.sound import Samples
from kaimen.storage import write_whole
from kaimen.voice import encoder, features
from kaimen.voice.encoder import Encoder
from kaimen_train.data.corpus import MANIFEST_PAGE, Row, of_split, speech_of
from kaimen_train.evaluation import protocols
from kaimen_train.peers import call, mfcc39
from kaimen_train.processes import WORKERS, in_processes
from kaimen_train.progress import track

PEERS = ("ge2e", "campplus", "mfcc39")
PHRASED = "mandarin20"  # the corpus whose words are joined to phrases
PEER_BATCH = 600  # sounds a call of a peer


@cache
def loaded(path: Path) -> Encoder:
    """Return an encoder, once a worker process: interpreters cannot be sent to one."""
    return Encoder(path)


def _embed(path: Path, samples: Samples) -> protocols.Points:
    return loaded(path).embed(samples)


def of_encoder(path: Path) -> protocols.Embed:
    """Embed by an encoder's file, in several processes. Raises EncoderError."""
    Encoder(path)  # a bad file is an error here, not a broken pool
    return lambda sounds: np.stack(in_processes(partial(_embed, path), "embedding", sounds))


def of_peer(name: str) -> protocols.Embed:
    """Embed by one of PEERS, networks in an environment of theirs. SettingsError without it."""
    if name == "mfcc39":
        return mfcc39.embed

    def embed(sounds: Sequence[Samples]) -> protocols.Points:
        whole = [np.int16(np.clip(sound, -1, 1) * 32767) for sound in sounds]
        batches = [whole[at : at + PEER_BATCH] for at in range(0, len(whole), PEER_BATCH)]
        with ThreadPoolExecutor(WORKERS) as pool:
            made = pool.map(lambda batch: call.embed(batch, name), batches)
            return np.concatenate(list(track(made, f"asking {name}", len(batches))))

    return embed


def keeping(embed: protocols.Embed, folder: Path, identity: str) -> protocols.Embed:
    """Embed as ``embed`` does, and keep the points of these sounds in a file of ``folder``.

    ``identity`` changes with whatever would change the points.
    """

    def kept(sounds: Sequence[Samples]) -> protocols.Points:
        said = hashlib.sha256(identity.encode())
        for sound in sounds:
            said.update(len(sound).to_bytes(8, "little"))
            said.update(np.ascontiguousarray(sound).data)
        path = folder / f"points-{said.hexdigest()[:16]}.npy"
        if not path.exists():
            points = embed(sounds)
            write_whole(path, lambda file: np.save(file, points))
        found: protocols.Points = np.load(path)
        return found

    return kept


def identity_of_encoder(path: Path) -> str:
    """Changes with an encoder's file and with how the gate embeds a phrase by it."""
    sources = [inspect.getsource(module) for module in (encoder, features)]
    return json.dumps([hashlib.sha256(path.read_bytes()).hexdigest(), *sources])


def identity_of_peer(name: str) -> str:
    """Changes with how a peer is called; its weights come with its environment."""
    path = Path(call.__file__).with_name(f"{name}.py")
    return json.dumps([name, path.read_text(encoding="utf-8"), inspect.getsource(features)])


@dataclass(frozen=True, slots=True)
class EvalSpeech:
    """The eval split as the protocols need it, read once: trimmed speech and joined phrases."""

    rows: dict[str, list[Row]]  # by corpus
    speech: dict[str, list[Samples]]
    names: list[protocols.Name]  # of the phrases
    phrases: list[Samples]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What an encoder made of it."""

    heard: EvalSpeech
    points: dict[str, protocols.Points]  # by corpus
    phrases: list[protocols.TextTakes]


def speech(rows: Sequence[Row], corpus: str) -> list[Samples]:
    """Trimmed speech of the recordings of one corpus, read in several processes."""
    files = [row.file for row in rows if row.corpus == corpus]
    return in_processes(speech_of, f"reading {corpus}", files)


def hear(rows: Sequence[Row]) -> EvalSpeech:
    """Read the eval split. Raises SettingsError where no protocol has anything to measure."""
    rows = of_split(rows, "eval")
    by_corpus = {
        corpus: chosen
        for corpus in protocols.PAIRED
        if (chosen := [row for row in rows if row.corpus == corpus])
    }
    if not by_corpus:
        raise SettingsError(
            f"the manifest has no eval rows of {', '.join(protocols.PAIRED)}; see {MANIFEST_PAGE}"
        )
    sounds = {corpus: speech(chosen, corpus) for corpus, chosen in by_corpus.items()}
    names, phrases = protocols.joined(by_corpus.get(PHRASED, []), sounds.get(PHRASED, []))
    return EvalSpeech(by_corpus, sounds, names, phrases)


def embedded(heard: EvalSpeech, embed: protocols.Embed) -> Embedded:
    """Embed all that was heard."""
    points = {corpus: embed(sounds) for corpus, sounds in heard.speech.items()}
    phrases = protocols.by_phrase(heard.names, embed(heard.phrases)) if heard.names else []
    return Embedded(heard, points, phrases)


def evaluate(made: Embedded) -> dict[str, Any]:
    """Return figures by protocol and corpus; protocols whose corpora are missing are left out."""
    found: dict[str, Any] = {"pair": {}, "phrase": {}, "open_set": {}, "wrong_phrase": {}}
    for corpus, points in made.points.items():
        rows = made.heard.rows[corpus]
        found["pair"][corpus] = protocols.pairs(rows, points).errors()
        texts = protocols.by_text(rows, points)
        if corpus == "arabic40":
            openly = protocols.open_set(texts, protocols.PROBES[corpus])
            found["open_set"][corpus] = _open_set(openly)
        if corpus == PHRASED:
            probes = protocols.PROBES[corpus]
            found["phrase"] = protocols.verifications(made.phrases, probes).errors()
            found["open_set"]["phrase"] = _open_set(protocols.open_set(made.phrases, probes))
            _, threshold = protocols.open_set(texts, probes).fnir(max(protocols.FPIRS))
            found["wrong_phrase"] = protocols.wrong_phrase(texts, threshold)
    return found


def cost_of_int8(made: Embedded, exact: Embedded) -> dict[str, dict[str, float]]:
    """What quantization costs, by protocol: EER over float's, mean cosine, flipped verdicts."""
    found = {}
    for corpus, points in made.points.items():
        rows = made.heard.rows[corpus]
        trials = [protocols.pairs(rows, each) for each in (points, exact.points[corpus])]
        cosines = np.sum(points * exact.points[corpus], axis=1)
        found[f"pair, {corpus}"] = _cost(*trials) | {"mean_cosine": float(cosines.mean())}
    if made.phrases:
        probes = protocols.PROBES[PHRASED]
        trials = [protocols.verifications(each.phrases, probes) for each in (made, exact)]
        found["phrase"] = _cost(*trials)
    return found


def _cost(int8: protocols.VoiceTrials, exact: protocols.VoiceTrials) -> dict[str, float]:
    return {"eer": int8.eer, "eer_float": exact.eer, "flipped": int8.flipped(exact)}


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
