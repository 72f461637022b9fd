"""Recordings that are quickly judged: files of JSON that say whose voice they would hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kaimen.enrollment.enrollment import Outcome, enroll
from kaimen.enrollment.entries import Entry, entries_in
from kaimen.enrollment.judging import Judge, Recorded
from kaimen.enrollment.workers import in_one
from kaimen.errors import NoSpeech
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.voice.encoder import Card
from kaimen.voice.evidence import Evidence
from kaimen.voice.score import RULE
from tests.gallery.points import unit

DIMENSION = 64
ENCODER = "pretended"
STRANGERS = {"mean": 0.0, "deviation": 0.15}
SPREAD = 0.4  # how far recordings lie from their voice


def recording(path: Path, voice: int | None, take: int = 0) -> Path:
    """Write a recording of a voice; None: of nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([voice, take]))
    return path


def hear(contents: bytes) -> Recorded:
    """What is made of such a recording."""
    voice, take = json.loads(contents)
    if voice is None:
        raise NoSpeech("no phrase is heard in it; speak closer to the microphone")
    centre = unit(np.random.default_rng(voice).standard_normal(DIMENSION))
    aside = unit(np.random.default_rng((voice, take)).standard_normal(DIMENSION))
    return Recorded(unit(centre + SPREAD * aside), Evidence())


def school(folder: Path, students: int, recordings: int = 5) -> Path:
    """Folders of students s000, s001 and so on, each with a voice of their own."""
    for voice in range(students):
        for take in range(recordings):
            recording(folder / f"s{voice:03}" / f"{take}.mp3", voice, take)
    return folder


JUDGE = Judge(hear, STRANGERS)


def card() -> Card:
    """The card of the encoder that is pretended."""
    return Card(
        name=ENCODER, sha256=ENCODER, frames=1, values=1, dimension=DIMENSION, features={},
        strangers=STRANGERS, training={}, measured={}, score=RULE,
    )  # fmt: skip


def gallery_at(folder: Path) -> Gallery:
    """The gallery of a folder, made with its key where there is none."""
    key = folder / "key"
    if not key.exists():
        Vault().save(key)
    return Gallery.open(folder / "gallery.sqlite", Vault.load(key), ENCODER, DIMENSION)


def enrolled(
    gallery: Gallery, entries: Path | list[Entry], *, accept_alike: bool = False
) -> list[Outcome]:
    """What becomes of entries, or of those of a folder, judged in this process."""
    if isinstance(entries, Path):
        entries = entries_in(entries)
    work = lambda tasks: in_one(tasks, JUDGE)  # noqa: E731
    return list(enroll(entries, gallery, card(), work, accept_alike=accept_alike))
