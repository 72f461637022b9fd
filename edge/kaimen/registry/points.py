"""What other models than a student's own make of recordings: points beside those that enrolled."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from kaimen.errors import GalleryError
from kaimen.registry.database import Database
from kaimen.registry.recordings import KnownRecording, Recordings, context_of
from kaimen.registry.space_map import SpaceMap
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence


class Points:
    """Those of a registry."""

    def __init__(self, database: Database, recordings: Recordings) -> None:
        self._database = database
        self._recordings = recordings

    def add(
        self, points: Iterable[tuple[KnownRecording, Voiceprint, Evidence]], encoder: str
    ) -> None:
        """Write what other models than their students' make of recordings, all of it or nothing.

        Of a model that knows a recording already nothing is written, nor of recordings that are
        gone. Raises GalleryError and StorageError; nothing was changed then.
        """
        with self._database.writing() as database:
            for known, voiceprint, more in points:
                owner = database.execute(
                    "SELECT student FROM recordings WHERE number = ?", (known.number,)
                ).fetchone()
                if owner is None:
                    continue
                if not known.placed:
                    context = context_of(owner[0], known.number, encoder)
                    point = self._recordings.sealed_point(voiceprint, encoder, context)
                    write_point(database, known.number, encoder, point)
                if not known.said and more.said is not None:
                    context = context_of(owner[0], known.number, more.said_by)
                    said = self._recordings.sealed_said(more.said, context)
                    write_point(database, known.number, more.said_by, said)

    def forget(self, models: Collection[str]) -> None:
        """Forget what all other models made of recordings; what enrolled a student stays.

        Raises StorageError; nothing was changed then.
        """
        marks = ", ".join("?" * len(models))
        with self._database.writing() as database:
            database.execute(f"DELETE FROM points WHERE model NOT IN ({marks})", tuple(models))
            database.execute(f"DELETE FROM grown WHERE encoder NOT IN ({marks})", tuple(models))

    def carry(self, space_map: SpaceMap) -> int:
        """Carry all voiceprints of one encoder into another space, all or none; how many students.

        They are known in both then. Raises GalleryError and StorageError.
        """
        there = {each.number for each in self._recordings.known(space_map.old) if each.placed}
        missing = [
            each
            for each in self._recordings.known(space_map.new)
            if not each.placed and each.number in there
        ]
        if not missing:
            return 0
        points = self._recordings.voiceprints([each.number for each in missing], space_map.old)
        if points.shape[1] != len(space_map.way):
            raise GalleryError(f"a map of {len(space_map.way)} dimensions, not {points.shape[1]}")
        moved = space_map(points)
        rows = zip(missing, moved, [Evidence()] * len(missing), strict=True)
        self.add(rows, space_map.new)
        return len({each.student for each in missing})


def write_point(database: sqlite3.Connection, recording: int, model: str, sealed: bytes) -> None:
    """Write a model's point of a recording, in a transaction, unless it has one."""
    database.execute(
        "INSERT OR IGNORE INTO points (recording, model, sealed) VALUES (?, ?, ?)",
        (recording, model, sealed),
    )
