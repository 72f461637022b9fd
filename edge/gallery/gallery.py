"""Voiceprints by student, with an approximate shortlist and exact scores.

On disk a gallery is one ``.npz`` file with a checksum over its content. It is written to a
file beside it and moved into place, so at every moment the old or the new one is there,
whole. The search index is derived, and built when it is first needed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import hnswlib
import numpy as np
from numpy.typing import NDArray

from edge.decision import Match, student_score
from edge.errors import GalleryError
from edge.storage import write_whole
from edge.voice.encoder import Voiceprint

FORMAT = 1
SHORTLIST = 50  # recordings whose students are scored exactly
LINKS = 16  # HNSW's M
BUILD_BREADTH = 200  # HNSW's ef_construction
SEARCH_BREADTH = 128  # HNSW's ef


class Gallery:
    """Students and their voiceprints; every point belongs to one student.

    Not thread-safe: whoever enrolls does not search meanwhile.
    """

    def __init__(self, encoder: str, dimension: int) -> None:
        """An empty gallery of points that the encoder of this identity made."""
        self.encoder = encoder
        self.dimension = dimension
        self._points: dict[str, NDArray[np.float32]] = {}
        self._index: hnswlib.Index | None = None
        self._owners: list[str] = []  # of the index's points

    def __len__(self) -> int:
        """How many students are enrolled."""
        return len(self._points)

    def __contains__(self, student: object) -> bool:
        return student in self._points

    @property
    def students(self) -> list[str]:
        """Everybody, in the order of their names."""
        return sorted(self._points)

    @property
    def recordings(self) -> int:
        """How many voiceprints there are."""
        return sum(map(len, self._points.values()))

    def voiceprints(self, student: str) -> NDArray[np.float32]:
        """A student's voiceprints, shape (recordings, dimension). Raises GalleryError."""
        try:
            return self._points[student]
        except KeyError:
            raise GalleryError(f"{student} is not enrolled; see 'kaimen students'") from None

    def enroll(self, student: str, voiceprints: Sequence[Voiceprint]) -> None:
        """Enroll a student, in place of what was known of them. Raises GalleryError."""
        if "\0" in student or any("\ud800" <= letter <= "\udfff" for letter in student):
            raise GalleryError(f"{student!a}: not a name that can be stored; rename the student")
        points = np.asarray(voiceprints, np.float32)
        if points.ndim != 2 or points.shape[1] != self.dimension or not len(points):
            raise GalleryError(
                f"{student}: voiceprints of shape {points.shape} do not fit a gallery of "
                f"{self.dimension} dimensions; embed them with its encoder"
            )
        lengths = np.linalg.norm(points, axis=1)
        if not (np.abs(lengths - 1) < 1e-3).all():  # false for NaN, too
            raise GalleryError(f"{student}: a voiceprint is not of unit length; embed it again")
        self._points[student] = points
        self._index = None

    def remove(self, student: str) -> None:
        """Forget a student. Raises GalleryError for one who is not enrolled."""
        self.voiceprints(student)
        del self._points[student]
        self._index = None

    def nearest(self, probe: Voiceprint, count: int = 3) -> list[Match]:
        """The nearest students, best first: an HNSW shortlist, then exact scores."""
        if not self._points:
            return []
        index = self._index or self._build()
        labels, _ = index.knn_query(probe, min(SHORTLIST, len(self._owners)))
        shortlist = {self._owners[label] for label in labels[0]}
        return self._score(probe, sorted(shortlist), count)

    def nearest_exactly(self, probe: Voiceprint, count: int = 3) -> list[Match]:
        """The same by scoring everybody: what the shortlist is measured against."""
        return self._score(probe, self.students, count)

    def _score(self, probe: Voiceprint, students: Sequence[str], count: int) -> list[Match]:
        found = [Match(name, student_score(self._points[name] @ probe)) for name in students]
        return sorted(found, key=lambda match: -match.score)[:count]

    def _build(self) -> hnswlib.Index:
        students = self.students
        self._owners = [name for name in students for _ in range(len(self._points[name]))]
        index = hnswlib.Index("ip", self.dimension)
        index.init_index(len(self._owners), ef_construction=BUILD_BREADTH, M=LINKS)
        index.add_items(np.concatenate([self._points[name] for name in students]))
        index.set_ef(SEARCH_BREADTH)
        self._index = index
        return index

    def checksum(self) -> str:
        """SHA-256 of who is enrolled with which points by which encoder."""
        digest = hashlib.sha256(f"{FORMAT} {self.encoder} {self.dimension}".encode())
        for student in self.students:
            points = self._points[student]
            digest.update(f"\0{student}\0{len(points)}\0".encode())
            digest.update(points.tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the gallery in one step: afterwards the old or the new file is there, whole."""
        students = self.students
        points = [self._points[name] for name in students]
        fields = {
            "format": FORMAT,
            "encoder": self.encoder,
            "dimension": self.dimension,
            "students": np.array(students, np.str_),
            "counts": np.array([len(each) for each in points], np.int64),
            "points": np.concatenate([np.zeros((0, self.dimension), np.float32), *points]),
            "checksum": self.checksum(),
        }
        # In memory first: a zip file that cannot be finished complains once more when it is freed.
        whole = io.BytesIO()
        np.savez(whole, **fields)
        write_whole(path, lambda file: file.write(whole.getbuffer()), private=True)

    @classmethod
    def load(cls, path: Path, encoder: str) -> Gallery:
        """Read a gallery that the encoder of this identity made. Raises GalleryError."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                fields = {name: stored[name] for name in stored.files}
            if int(fields["format"]) != FORMAT:
                raise GalleryError(f"{path}: a format of another version; enroll again")
            gallery = cls(str(fields["encoder"]), int(fields["dimension"]))
            ends = np.cumsum(fields["counts"])
            pieces = np.split(fields["points"], ends[:-1]) if len(ends) else []
            gallery._points = dict(zip(fields["students"].tolist(), pieces, strict=True))
            sound = gallery.checksum() == str(fields["checksum"])
        except GalleryError:
            raise
        except FileNotFoundError:
            raise GalleryError(f"{path}: no gallery there; begin with 'kaimen enroll'") from None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None
        except Exception:  # a damaged archive makes zipfile and numpy raise a dozen kinds
            sound = False
        if not sound:
            raise GalleryError(f"{path}: damaged; restore it from a backup or enroll again")
        if gallery.encoder != encoder:
            raise GalleryError(f"{path}: made by another encoder; enroll again with this one")
        return gallery
