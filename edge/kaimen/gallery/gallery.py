"""The gallery that a gate searches: the registry's students, by way of the index.

The registry is the truth. Whatever the index holds too much or too little, because somebody
was enrolled or removed, because a file is old, damaged or missing, is brought in line with it.
Recordings' numbers are never used twice, so which ones are there is all that must be compared.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.clock import today
from kaimen.closing import close_all
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.band import GalleryBand
from kaimen.gallery.contents import Contents
from kaimen.gallery.forgetting import forget_beside
from kaimen.gallery.growth import GrownPoints, Growth
from kaimen.gallery.index import Index, index_path, index_paths
from kaimen.gallery.match import Match
from kaimen.gallery.members import Numbers
from kaimen.gallery.search import FEW, SHORTLIST, allowed_among
from kaimen.gallery.search_breadth import chosen
from kaimen.names import as_kept
from kaimen.progress import Track
from kaimen.registry.database import MEMORY
from kaimen.registry.lock import Lock
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry
from kaimen.registry.seals import RegistryState
from kaimen.registry.student_rows import Student
from kaimen.registry.vault import Vault
from kaimen.storage import forget
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence

GROWTH = 0.1  # share by which a gallery changes before its breadth of search is chosen anew


class Gallery:
    """Students and their voiceprints, of one encoder.

    One thread searches; another may call ``refresh`` meanwhile.
    """

    def __init__(
        self,
        encoder: str,
        dimension: int,
        *,
        registry: Registry | None = None,
        index: Index | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """The gallery of an encoder's identity; without a registry, one kept nowhere.

        ``say`` gets what an operator should know: whom the gate does not recognise any more, and
        why the index is made anew.
        """
        self.encoder = encoder
        self.dimension = dimension
        self.registry = Registry(MEMORY, Vault()) if registry is None else registry
        self._say = say
        self._held = Contents(
            self.registry, encoder, Index(dimension) if index is None else index, say
        )
        self._in_use: Lock | None = None  # of a gallery that is kept somewhere
        self._seen: int | None = None  # the registry's version; None: look again
        self._allowed = lru_cache(maxsize=4)(allowed_among)

    @classmethod
    def open(
        cls,
        path: Path,
        vault: Vault,
        encoder: str,
        dimension: int,
        *,
        say: Callable[[str], None] = lambda text: None,
    ) -> Gallery:
        """Open the gallery of a registry's file, made if need be, with the index beside it.

        While it is open, no backup is restored over it. Raises GalleryError and StorageError.
        """
        in_use = Lock(path)
        registry = Registry(path, vault)
        if registry.database.read_only:
            say(f"{registry.database.read_only}; nobody can be enrolled or removed until then")
        kept = index_path(path, registry.recordings.space(encoder))
        try:
            index = Index.load(kept, vault, encoder)
        except GalleryError as error:
            index = None
            if kept.exists():
                say(f"{error}; the index is made anew from the registry")
        gallery = cls(encoder, dimension, registry=registry, index=index, say=say)
        gallery._in_use = in_use
        return gallery

    def close(self) -> None:
        """Close the registry, and let a backup be restored over it."""
        leaving = [] if self._in_use is None else [self._in_use.leave]
        close_all(self.registry.close, *leaving)

    def __len__(self) -> int:
        """Return how many students can be recognised."""
        return len(self._current().members.students)

    def __contains__(self, student: object) -> bool:
        return isinstance(student, str) and as_kept(student) in self._current().members.places

    @property
    def left_out(self) -> int:
        """Return how many are enrolled and not recognised: something else changed their rows."""
        return self._current().left_out

    @property
    def members(self) -> list[Student]:
        """Return everybody who can be recognised."""
        return self._current().members.students

    @property
    def by_group(self) -> dict[str, int]:
        """Return how many students of each group can be recognised."""
        return self._current().members.by_group

    @property
    def students(self) -> list[str]:
        """Return their names, in order."""
        return sorted(self._current().members.places)

    @property
    def hash(self) -> str:
        """Return which gallery it is: of which recordings of whom, and of which encoder."""
        recordings = self._current().members.hash
        return hashlib.sha256(f"{self.encoder} {recordings}".encode()).hexdigest()

    @property
    def newest(self) -> datetime.datetime:
        """Return when somebody was enrolled last, in UTC: no clock that is right is before it."""
        return self._current().members.newest

    @property
    def state(self) -> RegistryState:
        """Return which registry it is of, and how far that had come when last looked at."""
        return self._held.state

    @property
    def band(self) -> GalleryBand:
        """Return how high the recordings reach: a probe is compared as if it reached no higher."""
        return self._current().band

    @property
    def space(self) -> str:
        """Return what names of its files hold besides the registry's: see ``Registry.space``."""
        return self.registry.recordings.space(self.encoder)

    @property
    def growth(self) -> Growth:
        """Return the grown voiceprints of those who can be recognised."""
        return self._current().growth

    @property
    def recordings(self) -> int:
        """Return how many voiceprints there are."""
        return len(self._current().members.recordings)

    def voiceprints(self, student: str) -> NDArray[np.float32]:
        """Return a student's voiceprints, shape (recordings, dimension). Raises GalleryError."""
        held = self._current()
        with held.lock:
            kept = held.index.points(held.members.of_student(self._place(student)))
        return held.rotation.undo(kept)

    def everything(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return all points, each student's together, and how many each student has."""
        held = self._current()
        with held.lock:
            kept = held.index.points(held.members.recordings)
            counts = np.diff(held.members.starts)
        return held.rotation.undo(kept), counts

    def centroids(self) -> tuple[Numbers, NDArray[np.float32]]:
        """Return students' numbers in the registry, and their centroids, (students, dimension)."""
        held = self._current()
        members = held.members
        numbers = np.array([each.number for each in members.students], np.int64)
        return numbers, held.rotation.undo(members.centroids)

    def students_near(self, student: str, count: int) -> list[tuple[Student, float]]:
        """Return whose centroids are nearest to a student's own, and the cosines between them.

        Raises GalleryError.
        """
        members = self._current().members
        place = self._place(student)
        cosines = members.centroids @ members.centroids[place]
        best = [at for at in np.argsort(-cosines).tolist() if at != place][:count]
        return [(members.students[at], float(cosines[at])) for at in best]

    def grown_of_all(self) -> GrownPoints:
        """Return all grown voiceprints, beside what ``everything`` returns."""
        held = self._current()
        kept = held.growth.beside(held.members.students, self.dimension)
        return replace(kept, points=held.rotation.undo(kept.points))

    def _place(self, student: str) -> int:
        try:
            return self._held.members.places[as_kept(student)]
        except KeyError:
            raise GalleryError(f"{student} is not enrolled; see 'kaimen students'") from None

    def enroll(
        self,
        student: str,
        voiceprints: Sequence[Voiceprint],
        *,
        sources: Sequence[str] = (),
        group: str | None = None,
        consent: datetime.date | None = None,
        guardian: str = "",
        refused: Sequence[Refused] = (),
        evidence: Sequence[Evidence] = (),
        word: str = "",
        add: bool = False,
    ) -> None:
        """Enroll a student, in place of what was known of their voice, or of a ``word``.

        With ``add``, beside what was known of it.

        Raises GalleryError and StorageError; nothing was changed then.
        """
        points = np.asarray(voiceprints, np.float32)
        if points.ndim != 2 or points.shape[1] != self.dimension or not len(points):
            raise GalleryError(
                f"{student}: voiceprints of shape {points.shape} do not fit a gallery of "
                f"{self.dimension} dimensions; embed them with its encoder"
            )
        lengths = np.linalg.norm(points, axis=1)
        if not (np.abs(lengths - 1) < 1e-3).all():  # false for NaN, too
            raise GalleryError(f"{student}: a voiceprint is not of unit length; embed it again")
        self.registry.enroll(
            student,
            points,
            self.encoder,
            sources=sources,
            group=group,
            consent=consent,
            guardian=guardian,
            refused=refused,
            evidence=evidence,
            word=word,
            add=add,
        )
        self._seen = None

    def describe(
        self,
        student: str,
        *,
        group: str | None = None,
        consent: datetime.date | None = None,
        guardian: str = "",
        until_withdrawn: bool = False,
    ) -> None:
        """Change a student's group or consent; what is not given stays what it was."""
        self.registry.describe(
            student,
            group=group,
            consent=consent,
            guardian=guardian,
            until_withdrawn=until_withdrawn,
        )
        self._seen = None

    def remove(self, student: str) -> None:
        """Forget a student at once, in the index's file, too.

        Raises GalleryError and StorageError; the student is known as before then.
        """
        self.registry.require(student)
        forget_beside(self.registry, [student], self._say)
        self.registry.remove(student)
        self._seen = None
        with contextlib.suppress(StorageError):  # it is made anew from the registry
            self.save()

    def remove_recordings(self, student: str, numbers: Collection[int]) -> None:
        """Forget recordings of a student, in the index's file, too.

        Raises GalleryError and StorageError; nothing was changed then.
        """
        self.registry.remove_recordings(student, numbers)
        self._seen = None
        self.save()

    def save(self, track: Track | None = None) -> None:
        """Keep the index in its file, if the registry has one. Raises StorageError.

        ``track`` shows how far it is where the index has to be built.
        """
        held = self._current(track)
        if not isinstance(self.registry.path, Path):
            return
        members = held.members
        if held.went_back:
            for other in index_paths(self.registry.path):
                with contextlib.suppress(OSError):
                    forget(other)
            held.went_back = False
        with held.lock:
            index = held.index
            if len(index) > FEW and abs(len(index) - index.tuned) > GROWTH * len(index):
                index.breadth, index.tuned = chosen(index, members, SHORTLIST), len(index)
            path = index_path(self.registry.path, self.space)
            index.save(path, self.registry.vault, self.encoder)

    def refresh(self, track: Track | None = None, *, pause: float = 0.0) -> bool:
        """Take over what changed in the registry since; whether anything did.

        ``track`` shows how far it is where many were enrolled. ``pause``: seconds between small
        steps, where a gate answers meanwhile.
        """
        if self._seen == self.registry.database.version():
            return False
        self._take_over(track, pause)
        return True

    def _current(self, track: Track | None = None) -> Contents:
        """Return what is searched in, with what was changed through this gallery."""
        if self._seen is None:
            self._take_over(track)
        return self._held

    def _take_over(self, track: Track | None = None, pause: float = 0.0) -> None:
        seen = self.registry.database.version()
        self._held.align(track, pause)
        self._seen = seen

    def nearest(
        self,
        probe: Voiceprint,
        count: int = 3,
        *,
        groups: Collection[str] | None = None,
        day: datetime.date | None = None,
        sure: float = math.inf,
        grown: int = 0,
    ) -> list[Match]:
        """Return the nearest students, best first: scored by an HNSW shortlist and their centroids.

        Only students of ``groups`` (of any, without) who consent on ``day`` (today, without).
        A glance is enough where it finds a score of at least ``sure``: a gate that would open
        need not look further, and only who looked far may turn somebody away.
        Grown voiceprints count up to the number ``grown``; none of them without.
        """
        held = self._current()
        probe = held.rotation.apply(probe)
        with held.lock:
            who = None if groups is None else frozenset(groups)
            allowed, few = self._allowed(held.members, who, day or today())
            if few:
                return held.search.exactly(probe, np.flatnonzero(allowed), count, grown=grown)
            return held.search.nearest(probe, count, allowed, sure=sure, grown=grown)

    def nearest_enrolled(self, probe: Voiceprint) -> list[Match]:
        """Return the two nearest of all students, may they enter or not, by what enrolled them."""
        held = self._current()
        probe = held.rotation.apply(probe)
        with held.lock:
            return held.search.nearest(probe, 2, np.full(len(held.members.students), True))

    def claimed(
        self,
        student: str,
        probe: Voiceprint,
        *,
        groups: Collection[str] | None = None,
        day: datetime.date | None = None,
        grown: int = 0,
    ) -> list[Match]:
        """Return how well a probe fits the one student somebody claims to be.

        Nothing for one who is not enrolled or whom ``nearest`` would not look for.
        """
        held = self._current()
        probe = held.rotation.apply(probe)
        with held.lock:
            place = held.members.places.get(as_kept(student))
            if place is None:
                return []
            asked = held.members.students[place]
            if not asked.consents(day or today()):
                return []
            if groups is not None and asked.group not in groups:
                return []
            return held.search.exactly(probe, np.array([place]), 1, grown=grown)
