"""A student as the content of a message: a JSON head that says what the bytes behind it are."""

from __future__ import annotations

import datetime
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from kaimen.errors import ForgedMessage, KaimenError
from kaimen.names import name_of
from kaimen.parsing import read_json
from kaimen.registry.consents import Consent
from kaimen.registry.copying import PointCopy, RecordingCopy, StudentCopy
from kaimen.registry.pins import KEPT

SIZE = struct.Struct(">I")
SLACK = 1e-3  # by which a voiceprint's length may differ from one


def packed(student: StudentCopy) -> bytes:
    """Return a student as bytes, always the same for the same student."""
    blobs: list[bytes] = []

    def place(content: bytes | None) -> int | None:
        if content is None:
            return None
        blobs.append(content)
        return len(content)

    head: dict[str, Any] = {
        "name": student.name,
        "group": student.group,
        "consent": student.consent,
        "enrolled": student.enrolled,
        "encoder": student.encoder,
        "recordings": [
            [
                each.word, each.source, each.said_by, each.highest,
                place(each.voiceprint), place(each.said), place(each.fingerprint),
                [[point.model, point.of_words, place(point.content)] for point in each.points],
            ]
            for each in student.recordings
        ],
    }  # fmt: skip
    if student.consents:
        head["consents"] = [
            [each.by, each.guardian, each.purposes, each.given, each.until, each.withdrawn]
            for each in student.consents
        ]
    if student.pin is not None:
        head["pin"] = place(student.pin)
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([SIZE.pack(len(text)), text, *blobs])


def unpacked(content: bytes) -> StudentCopy:
    """Return the student of a content. Raises ForgedMessage for what no desk packs."""
    try:
        (size,) = SIZE.unpack_from(content)
        head = read_json(content[SIZE.size : SIZE.size + size])
        student = _student(head, _Blobs(content[SIZE.size + size :]))
        name_of(student.name, "the fleet")
        if student.group:
            name_of(student.group, "the fleet")
        if student.consent is not None:
            datetime.date.fromisoformat(student.consent)
        for voiceprint in _voiceprints(student):
            _require_unit(voiceprint)
    except (
        struct.error, ValueError, TypeError, KeyError, IndexError, KaimenError
    ) as error:  # fmt: skip
        raise ForgedMessage(f"no student that this Kaimen reads ({error})") from None
    return student


class _Blobs:
    """The bytes behind a head, one piece after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def next(self, size: int | None) -> bytes | None:
        if size is None:
            return None
        if not 0 <= size <= len(self._content) - self._at:
            raise ValueError("cut off")
        self._at += size
        return self._content[self._at - size : self._at]

    def end(self) -> None:
        if self._at != len(self._content):
            raise ValueError("longer than it says")


def _student(head: dict[str, Any], blobs: _Blobs) -> StudentCopy:
    recordings = tuple(_recording(each, blobs) for each in head["recordings"])
    pin = blobs.next(head.get("pin"))
    blobs.end()
    if bool(head["encoder"]) != any(each.word == "" for each in recordings):
        raise ValueError("without a recording of the passphrase")
    if pin is not None and len(pin) != KEPT:
        raise ValueError("no PIN")
    return StudentCopy(
        str(head["name"]),
        str(head["group"]),
        None if head["consent"] is None else str(head["consent"]),
        str(head["enrolled"]),
        str(head["encoder"]),
        recordings,
        tuple(_consent(each) for each in head.get("consents", [])),
        pin,
    )


def _consent(fields: list[Any]) -> Consent:
    by, guardian, purposes, given, until, withdrawn = fields
    for day in (given, until, withdrawn):
        if day is not None:
            datetime.date.fromisoformat(day)
    return Consent(str(by), str(guardian), tuple(map(str, purposes)), str(given), until, withdrawn)


def _recording(fields: list[Any], blobs: _Blobs) -> RecordingCopy:
    word, source, said_by, highest, voiceprint, said, fingerprint, points = fields
    return RecordingCopy(
        str(word),
        str(source),
        str(said_by),
        None if highest is None else float(highest),
        blobs.next(voiceprint),
        blobs.next(said),
        blobs.next(fingerprint),
        tuple(
            PointCopy(str(model), bool(of_words), blobs.next(int(size)) or b"")
            for model, of_words, size in points
        ),
    )


def _voiceprints(student: StudentCopy) -> Iterator[bytes]:
    for each in student.recordings:
        if each.voiceprint is not None:
            yield each.voiceprint
        yield from (point.content for point in each.points if not point.of_words)


def _require_unit(voiceprint: bytes) -> None:
    length = np.linalg.norm(np.frombuffer(voiceprint, "<f4").astype(np.float64))
    if not abs(length - 1) < SLACK:  # false for NaN, too
        raise ValueError("a voiceprint is not of unit length")
