"""All that a school keeps of one student, as one object that the student may be given."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kaimen.registry.recordings import ListedRecording
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.voice.evidence import Evidence


def export(registry: Registry, name: str) -> dict[str, Any]:
    """Return what is kept of a student, unsealed; arrays as shape, type and base64.

    Raises GalleryError and StorageError.
    """
    student = registry.student(name)
    name = student.name
    listed = registry.recordings.listed(name)
    refused = registry.database.read(
        "SELECT source, kind, reason FROM refused WHERE student = ?", name
    )
    return {
        "student": student.name,
        "group": student.group,
        "consent": None if student.consent is None else student.consent.isoformat(),
        "enrolled": student.enrolled,
        "encoder": student.encoder,
        "recordings": [_recording(registry, name, each) for each in listed],
        "grown": [
            {"number": each.number, "at": each.at, "voiceprint": _array(point)}
            for each, point in registry.grown.of_student(name)
        ],
        "refused": [
            {"source_sha256": source, "kind": kind, "reason": reason}
            for source, kind, reason in refused
        ],
        "consents": [asdict(each) for each in registry.consents.of(student.number)],
        "pin": registry.pins.has(student.number),
        "heard": _heard(registry, name, sorted({each.word for each in listed})),
    }


def _recording(registry: Registry, name: str, listed: ListedRecording) -> dict[str, Any]:
    by_another = registry.database.read(
        "SELECT 1 FROM recordings WHERE number = ? AND voiceprint = x''", listed.number
    )  # a word of a student whose own encoder never heard it
    voiceprint = None if by_another else registry.recordings.voiceprints([listed.number])[0]
    kept = _evidence(registry, name, listed)
    return {
        "number": listed.number,
        "word": listed.word or None,
        "source_sha256": listed.source or None,
        "voiceprint": _array(voiceprint),
        "said": _array(kept.said),
        "fingerprint": _array(kept.fingerprint),
    }


def _evidence(registry: Registry, name: str, listed: ListedRecording) -> Evidence:
    of_word = [each for each in registry.recordings.listed(name) if each.word == listed.word]
    kept = registry.recordings.evidence(name, listed.said_by, listed.word)
    return kept[of_word.index(listed)]


def _heard(registry: Registry, name: str, words: list[str]) -> list[dict[str, Any]]:
    """Return what opened the door lately."""
    if not isinstance(registry.path, Path) or not replay_memory_path(registry.path).exists():
        return []
    with closing(ReplayMemory(replay_memory_path(registry.path), registry.vault)) as memory:
        return [
            {"word": word or None, "fingerprint": _array(each)}
            for word in words
            for each in memory.of(name, word)
        ]


def _array(values: np.ndarray[Any, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    packed = values.astype(values.dtype.newbyteorder("<"))
    return {
        "shape": list(packed.shape),
        "type": packed.dtype.name,
        "base64": base64.b64encode(packed.tobytes()).decode(),
    }
