"""The recordings of a registry, to be read: voiceprints, and what else is kept of each, sealed.

Each opens only as the one recording it is of, and as made by the one model that made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError
from kaimen.names import as_kept
from kaimen.progress import Track
from kaimen.registry.database import Database, among
from kaimen.registry.evidence import pack, unpack_fingerprint, unpack_said
from kaimen.registry.rotation import Rotation
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence
from kaimen.voice.phrase import PhraseEmbedding

SHORT = 12  # characters of an identity that only tell apart

# Whether an encoder, named twice, made a point of a recording; and the same of what was said.
_ELSEWHERE = "EXISTS (SELECT 1 FROM points WHERE recording = recordings.number AND model = ?)"
PLACED = f"(encoder = ? AND voiceprint != x'' OR {_ELSEWHERE})"
SAID = f"(said_by = ? AND said IS NOT NULL OR {_ELSEWHERE})"


@dataclass(frozen=True, slots=True)
class KnownRecording:
    """A recording that somebody is enrolled with, and which of two models know it."""

    number: int
    student: str
    word: str
    source: str  # SHA-256 of the file it was made from, empty if unknown
    placed: bool  # whether the encoder made a point of it
    said: bool  # whether the phrase encoder did, or there is nothing said of it to be known


@dataclass(frozen=True, slots=True)
class ListedRecording:
    """A recording of one student."""

    number: int
    word: str  # of a challenge; empty: the passphrase
    source: str  # SHA-256 of the file it was made from, empty if unknown
    said_by: str  # the phrase encoder of what was said


class Recordings:
    """What is known of all recordings. Raises GalleryError where something was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._vault = database.vault

    def rotation(self, encoder: str, dimension: int) -> Rotation:
        """Return how an encoder's voiceprints are moved before they are kept."""
        if not self._database.rotated:
            return Rotation.none(dimension)
        return Rotation.of(self._vault, encoder, dimension)

    def space(self, encoder: str) -> str:
        """Return what tells files of an encoder's points from others': nothing for the first's."""
        ((first,),) = self._database.read("SELECT encoder FROM vault")
        return "" if first in ("", encoder) else f".{encoder[:SHORT]}"

    def known(self, encoder: str, said_by: str = "") -> list[KnownRecording]:
        """Return all recordings, and whether an encoder and a phrase encoder know them.

        Where no phrase encoder is named, or nothing was kept of what was said, nothing is missed.
        """
        rows = self._database.read(
            f"SELECT recordings.number, name, word, source, {PLACED}, "
            f"? = '' OR said IS NULL OR {SAID} FROM recordings "
            "JOIN students ON student = students.number ORDER BY recordings.number",
            encoder, encoder, said_by, said_by, said_by,
        )  # fmt: skip
        return [
            KnownRecording(number, str(name), str(word), str(source), bool(placed), bool(said))
            for number, name, word, source, placed, said in rows
        ]

    def listed(self, name: str) -> list[ListedRecording]:
        """Return a student's recordings, the passphrase's first."""
        rows = self._database.read(
            "SELECT recordings.number, word, source, said_by FROM recordings "
            "JOIN students ON student = students.number WHERE name = ? "
            "ORDER BY word, recordings.number",
            as_kept(name),
        )
        return [
            ListedRecording(number, str(word), str(source), str(said_by))
            for number, word, source, said_by in rows
        ]

    def sources(self) -> dict[str, set[str]]:
        """Return SHA-256 of the files that each student was enrolled from."""
        found: dict[str, set[str]] = {}
        for name, source in self._database.read(
            "SELECT name, source FROM recordings JOIN students ON student = students.number "
            "WHERE word = ''"
        ):
            found.setdefault(str(name), set()).add(str(source))
        return found

    def numbers(self, encoder: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return numbers of an encoder's recordings, ascending, and of the students they are of."""
        with self._database.reading():
            rows = self._database.each(
                "SELECT recordings.number, student FROM recordings "
                f"JOIN students ON student = students.number WHERE word = '' AND {PLACED} "
                "ORDER BY recordings.number",
                encoder,
                encoder,
            )
            both = np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2)
        return both[:, 0].copy(), both[:, 1].copy()

    def of_students(
        self, encoder: str, students: Sequence[int] | None = None
    ) -> Iterator[tuple[int, int, float | None]]:
        """Yield an encoder's recordings of everybody, or of some students by number, ascending.

        Of each the student's number, its own, and how high its speech reaches, in Hz, if known.
        Whoever asks is inside ``reading``.
        """
        which, values = among("student", students)
        return self._database.each(
            "SELECT student, recordings.number, highest FROM recordings "
            f"JOIN students ON student = students.number WHERE word = '' AND {PLACED} "
            f"AND {which} ORDER BY recordings.number",
            encoder, encoder, *values,
        )  # fmt: skip

    def highest_speech(self, encoder: str) -> Iterator[list[float]]:
        """Yield how high the speech of a student's recordings reaches, in Hz, student by student.

        Of an encoder's passphrases; recordings of earlier releases were not measured.
        """
        with self._database.reading():
            rows = self._database.each(
                "SELECT student, highest FROM recordings "
                "JOIN students ON student = students.number "
                f"WHERE word = '' AND highest IS NOT NULL AND {PLACED} ORDER BY student",
                encoder,
                encoder,
            )
            for _, own in groupby(rows, key=itemgetter(0)):
                yield [float(highest) for _, highest in own]

    def unmeasured(self) -> set[str]:
        """Return the students who have a recording of which the band is not known."""
        rows = self._database.read(
            "SELECT DISTINCT name FROM recordings JOIN students ON student = students.number "
            "WHERE word = '' AND highest IS NULL AND fingerprint IS NOT NULL"
        )
        return {str(name) for (name,) in rows}

    def voiceprints(
        self, numbers: Sequence[int] | NDArray[np.int64], encoder: str | None = None
    ) -> NDArray[np.float32]:
        """Return the voiceprints of recordings, (recordings, dimension). Raises GalleryError.

        Those of an encoder; each student's own one's without. As the encoder made them.
        """
        both = self._kept(numbers, encoder)
        return np.array([self.rotation(by, len(kept)).undo(kept) for by, kept in both], np.float32)

    def kept(self, numbers: Sequence[int] | NDArray[np.int64], encoder: str) -> NDArray[np.float32]:
        """Return the same as they are kept: see ``rotation``. Raises GalleryError."""
        return np.array([kept for _, kept in self._kept(numbers, encoder)], np.float32)

    def _kept(
        self, numbers: Sequence[int] | NDArray[np.int64], encoder: str | None
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield the encoder and the kept point of each recording."""
        for number in numbers:
            rows = self._database.read(
                "SELECT student, encoder, voiceprint, sealed FROM recordings "
                "JOIN students ON student = students.number "
                "LEFT JOIN points ON recording = recordings.number AND model = ? "
                "WHERE recordings.number = ?",
                encoder,
                int(number),
            )
            if not rows:
                raise GalleryError(f"{self._database.path}: recording {number} is gone; ask again")
            student, home, own, other = rows[0]
            sealed = own if encoder in (None, home) else other
            if not isinstance(sealed, bytes):
                raise GalleryError(
                    f"{self._database.path}: recording {number} is of another encoder"
                )
            by = encoder or str(home)
            context = context_of(student, int(number), by)
            yield by, np.frombuffer(self._vault.unseal(sealed, context), "<f4")

    def words(self, name: str, encoder: str | None = None) -> list[str]:
        """Return the words of a challenge that a student is enrolled with, in order.

        Those that an encoder knows; all of them without.
        """
        rows = self._database.read(
            "SELECT DISTINCT word FROM recordings JOIN students ON student = students.number "
            f"WHERE name = ? AND word != '' AND (? IS NULL OR {PLACED}) ORDER BY word",
            as_kept(name), encoder, encoder, encoder,
        )  # fmt: skip
        return [str(word) for (word,) in rows]

    def of_word(self, name: str, word: str, encoder: str) -> NDArray[np.float32]:
        """Return voiceprints of a student's word, (recordings, dimension). Raises GalleryError."""
        rows = self._database.read(
            "SELECT recordings.number FROM recordings JOIN students ON student = students.number "
            f"WHERE name = ? AND word = ? AND {PLACED} ORDER BY recordings.number",
            as_kept(name), as_kept(word), encoder, encoder,
        )  # fmt: skip
        return self.voiceprints([number for (number,) in rows], encoder)

    def evidence(self, name: str, said_by: str, word: str = "") -> list[Evidence]:
        """Return what is kept of a student's recordings, but what other phrase encoders made.

        Raises GalleryError.
        """
        found = []
        for student, number, encoder, said, by, fingerprint, also_said in self._database.read(
            "SELECT student, recordings.number, encoder, said, said_by, fingerprint, sealed "
            "FROM recordings JOIN students ON student = students.number "
            "LEFT JOIN points ON recording = recordings.number AND model = ? "
            "WHERE name = ? AND word = ? ORDER BY recordings.number",
            said_by, as_kept(name), as_kept(word),
        ):  # fmt: skip
            context = context_of(student, number, encoder)
            point = print_ = None
            if isinstance(said, bytes) and by == said_by:
                point = unpack_said(self._vault.unseal(said, f"said, {context}"))
            elif isinstance(also_said, bytes):
                other = f"said, {context_of(student, number, said_by)}"
                point = unpack_said(self._vault.unseal(also_said, other))
            if isinstance(fingerprint, bytes):
                opened = self._vault.unseal(fingerprint, f"fingerprint, {context}")
                print_ = unpack_fingerprint(opened)
            found.append(Evidence(point, said_by if point is not None else "", print_))
        return found

    def examine(self, track: Track | None = None) -> None:
        """Require that the file is sound and all sealed in it opens. Raises GalleryError."""
        for check in ("integrity_check", "foreign_key_check"):
            found = self._database.read(f"PRAGMA {check}")
            if found not in ([], [("ok",)]):
                raise GalleryError(f"{self._database.path}: damaged ({found[0][0]})")
        rows = self._database.read(
            "SELECT recordings.number, student, encoder FROM recordings "
            "JOIN students ON student = students.number"
        )
        for number, student, encoder in track(rows, "checking", len(rows)) if track else rows:
            context = context_of(student, number, encoder)
            ((voiceprint, said, fingerprint),) = self._database.read(
                "SELECT voiceprint, said, fingerprint FROM recordings WHERE number = ?", number
            )
            for sealed, place in (
                (voiceprint, context),
                (said, f"said, {context}"),
                (fingerprint, f"fingerprint, {context}"),
            ):
                if sealed:
                    self._vault.unseal(sealed, place)
            for model, sealed in self._database.read(
                "SELECT model, sealed FROM points WHERE recording = ?", number
            ):
                context = context_of(student, number, model)
                try:
                    self._vault.unseal(sealed, context)
                except GalleryError:  # it may be a phrase encoder's
                    self._vault.unseal(sealed, f"said, {context}")

    def without_words(self, said_by: str) -> set[str]:
        """Return students with no recording that a phrase encoder could compare a phrase with."""
        rows = self._database.read(
            "SELECT name FROM students WHERE encoder != '' "
            "AND NOT EXISTS (SELECT 1 FROM recordings "
            f"WHERE student = students.number AND word = '' AND {SAID})",
            said_by,
            said_by,
        )
        return {str(name) for (name,) in rows}

    def knows(self, student: int, encoder: str) -> bool:
        """Return whether an encoder knows a student's passphrase."""
        return bool(
            self._database.read(
                f"SELECT 1 FROM recordings JOIN students ON student = students.number "
                f"WHERE student = ? AND word = '' AND {PLACED} LIMIT 1",
                student, encoder, encoder,
            )
        )  # fmt: skip

    def sealed_point(self, voiceprint: Voiceprint, encoder: str, context: str) -> bytes:
        """Return an encoder's voiceprint as it is stored."""
        point = np.asarray(voiceprint, np.float32)
        moved = self.rotation(encoder, len(point)).apply(point)
        return self._vault.seal(moved.astype("<f4").tobytes(), context)

    def opened_point(self, sealed: bytes, encoder: str, context: str) -> Voiceprint:
        """Return what ``sealed_point`` stored as the encoder made it. Raises GalleryError."""
        kept = np.frombuffer(self._vault.unseal(sealed, context), "<f4")
        return self.rotation(encoder, len(kept)).undo(kept)

    def sealed_said(self, said: PhraseEmbedding, context: str) -> bytes:
        """Return what a phrase encoder made as it is stored."""
        return self._vault.seal(pack(said.astype("<f2")), f"said, {context}")

    def sealed_evidence(self, context: str, more: Evidence) -> tuple[bytes | None, bytes | None]:
        """Return what was said and the fingerprint as they are stored."""
        said, heard = more.said, more.fingerprint
        return (
            None if said is None else self.sealed_said(said, context),
            None if heard is None else self._vault.seal(pack(heard), f"fingerprint, {context}"),
        )


def context_of(student: int, recording: int, encoder: str) -> str:
    """Return what something sealed is of: it opens as nothing else."""
    return f"recording {recording} of student {student} by encoder {encoder[:SHORT]}"
