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
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaimen.clock import today
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.band import GalleryBand
from kaimen.gallery.beside import forget_beside, index_of, indexes_of
from kaimen.gallery.growth import GrownPoints, Growth
from kaimen.gallery.index import Index
from kaimen.gallery.latent_map import forget_place, map_of
from kaimen.gallery.match import Match
from kaimen.gallery.members import Members, Numbers, Places
from kaimen.gallery.search_breadth import chosen
from kaimen.names import as_kept
from kaimen.progress import Track
from kaimen.registry.database import MEMORY
from kaimen.registry.lock import Lock
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry, Roll, Student
from kaimen.registry.seals import RegistryState
from kaimen.registry.vault import Vault
from kaimen.storage import forget, unwritten
from kaimen.voice.encoder import Voiceprint
from kaimen.voice.evidence import Evidence
from kaimen.voice.score import LIFT, Scores, centroids_of, combined, lifted, scores

SHORTLIST = 50  # recordings whose students are scored exactly
AT_LEAST = 8  # students on the shortlist: one with many recordings alike crowds nobody out
GLANCE = 8  # times as narrow as it may have to be, a search begins
FEW = 100  # recordings that are all scored rather than searched
FEW_OF_MANY = 2_000  # the same, where others may not enter
GROWTH = 0.1  # share by which a gallery changes before its breadth of search is chosen anew
STEP = 16  # points added at a time, so that a phrase never waits long
STRIDE = 1_000  # the same where nobody waits; and students whose centroids are computed at a time


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
        self._index = Index(dimension) if index is None else index
        self._members = Members.of([], *self.registry.recordings.numbers(""), dimension)
        self._look_how_it_is_rotated()
        self._say = say
        self._said = ""
        self._state = self.registry.database.state()  # of the registry, when it was last looked at
        self._left_out = 0
        self._went_back = False  # whether indexes of other encoders are of no use any more
        self._in_use: Lock | None = None  # of a gallery that is kept somewhere
        self._seen: int | None = None  # the registry's version; None: look again
        self._band = GalleryBand()
        self._growth = Growth()
        self._lock = threading.Lock()  # over members and index, held for moments
        self._allowed = lru_cache(maxsize=4)(_allowed)

    def _look_how_it_is_rotated(self) -> None:
        """Points are kept and compared where the key puts them: see ``Rotation``."""
        self._rotated = self.registry.database.rotated
        self._rotation = self.registry.recordings.rotation(self.encoder, self.dimension)

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
        """The gallery of a registry's file, which is made if need be, with the index beside it.

        While it is open, no backup is restored over it. Raises GalleryError and StorageError.
        """
        in_use = Lock(path)
        registry = Registry(path, vault)
        if registry.database.read_only:
            say(f"{registry.database.read_only}; nobody can be enrolled or removed until then")
        kept = index_of(path, registry.recordings.space(encoder))
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
        self.registry.close()
        if self._in_use is not None:
            self._in_use.leave()

    def __len__(self) -> int:
        """How many students can be recognised."""
        return len(self._current().students)

    def __contains__(self, student: object) -> bool:
        return isinstance(student, str) and as_kept(student) in self._current().places

    @property
    def left_out(self) -> int:
        """How many are enrolled and not recognised: something else changed their rows."""
        self._current()
        return self._left_out

    @property
    def members(self) -> list[Student]:
        """Everybody who can be recognised."""
        return self._current().students

    @property
    def students(self) -> list[str]:
        """Their names, in order."""
        return sorted(self._current().places)

    @property
    def hash(self) -> str:
        """Says which gallery it is: of which recordings of whom, and of which encoder."""
        return hashlib.sha256(f"{self.encoder} {self._current().hash}".encode()).hexdigest()

    @property
    def newest(self) -> datetime.datetime:
        """When somebody was enrolled last, in UTC: no clock that is right is before it."""
        return self._current().newest

    @property
    def state(self) -> RegistryState:
        """Return which registry it is of, and how far that had come when last looked at."""
        return self._state

    @property
    def band(self) -> GalleryBand:
        """How high the recordings reach: a probe is compared as if it reached no higher."""
        self._current()
        return self._band

    @property
    def space(self) -> str:
        """What the names of its files hold besides the registry's: see ``Registry.space``."""
        return self.registry.recordings.space(self.encoder)

    @property
    def growth(self) -> Growth:
        """Return the grown voiceprints of those who can be recognised."""
        self._current()
        return self._growth

    @property
    def recordings(self) -> int:
        """How many voiceprints there are."""
        return len(self._current().recordings)

    def voiceprints(self, student: str) -> NDArray[np.float32]:
        """A student's voiceprints, shape (recordings, dimension). Raises GalleryError."""
        self._current()
        with self._lock:
            kept = self._index.points(self._members.of_student(self._place(student)))
        return self._rotation.undo(kept)

    def everything(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """All points, each student's together, and how many each student has."""
        self._current()
        with self._lock:
            members = self._members
            kept, counts = self._index.points(members.recordings), np.diff(members.starts)
        return self._rotation.undo(kept), counts

    def centroids(self) -> tuple[Numbers, NDArray[np.float32]]:
        """All students' numbers in the registry, and their centroids, (students, dimension)."""
        members = self._current()
        numbers = np.array([each.number for each in members.students], np.int64)
        return numbers, self._rotation.undo(members.centroids)

    def students_near(self, student: str, count: int) -> list[tuple[Student, float]]:
        """The students whose centroids are nearest to one's own, and the cosines between them.

        Raises GalleryError.
        """
        members = self._current()
        place = self._place(student)
        cosines = members.centroids @ members.centroids[place]
        best = [at for at in np.argsort(-cosines).tolist() if at != place][:count]
        return [(members.students[at], float(cosines[at])) for at in best]

    def grown_of_all(self) -> GrownPoints:
        """All grown voiceprints, beside what ``everything`` returns."""
        members = self._current()
        kept = self._growth.beside(members.students, self.dimension)
        return replace(kept, points=self._rotation.undo(kept.points))

    def _place(self, student: str) -> int:
        try:
            return self._members.places[as_kept(student)]
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
        path = self.registry.path
        if isinstance(path, Path):
            self._forget_place(student, map_of(path))
        self.registry.remove(student)
        self._seen = None
        with contextlib.suppress(StorageError):  # it is made anew from the registry
            self.save()

    def _forget_place(self, student: str, path: Path) -> None:
        """Take a student off the map. Raises StorageError."""
        rows = self.registry.database.read(
            "SELECT number FROM students WHERE name = ?", as_kept(student)
        )
        try:
            for (number,) in rows:  # none of whom only refused files are known
                forget_place(path, self.registry.vault, self.encoder, int(str(number)))
        except OSError as error:
            raise unwritten(path, error, f"{student}, who is known as before,") from None

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
        members = self._current(track)
        if isinstance(self.registry.path, Path):
            if self._went_back:
                for other in indexes_of(self.registry.path):
                    with contextlib.suppress(OSError):
                        forget(other)
                self._went_back = False
            with self._lock:
                index = self._index
                if len(index) > FEW and abs(len(index) - index.tuned) > GROWTH * len(index):
                    index.breadth, index.tuned = chosen(index, members, SHORTLIST), len(index)
                path = index_of(self.registry.path, self.space)
                self._index.save(path, self.registry.vault, self.encoder)

    def refresh(self, track: Track | None = None) -> bool:
        """Take over what changed in the registry since; whether anything did.

        ``track`` shows how far it is where many were enrolled.
        """
        if self._seen == self.registry.database.version():
            return False
        self._take_over(track)
        return True

    def _current(self, track: Track | None = None) -> Members:
        if self._seen is None:
            self._take_over(track)
        return self._members

    def _take_over(self, track: Track | None = None) -> None:
        seen = self.registry.database.version()
        with self.registry.database.reading():
            self._align(track)
        self._seen = seen

    def _align(self, track: Track | None) -> None:
        """Bring members and index in line with the registry."""
        state = self.registry.database.state()
        roll, recordings, owners = self.registry.recognised(self.encoder)
        students = roll.students
        fits = self._index.fits(state) or not len(self._index)
        if self._rotated != self.registry.database.rotated:  # another file is in its place
            self._look_how_it_is_rotated()
            fits = False
        highest = self.registry.recordings.highest_speech(self.encoder)
        self._band = GalleryBand.of(highest)
        growth = Growth.of(students, *self.registry.grown.points(self.encoder))
        left = np.setdiff1d(self._index.numbers, recordings, assume_unique=True)
        if not fits:
            self._went_back = True
            self._say(
                "the index is of another registry, or of a later state of this one; it is made anew"
            )
        if not fits or len(left) > len(self._index) // 2 or self._index.worn:
            index = Index(self.dimension)
            self._fill(index, recordings, track)
            before = self._members if fits else None
            members = self._members_of(students, recordings, owners, index, before)
            with self._lock:
                self._index = index
                self._members = members
        else:
            index = self._index
            there = np.isin(recordings, index.numbers, assume_unique=True)
            members = self._members_of(
                students, recordings[there], owners[there], index, self._members
            )
            with self._lock:
                self._members = members
                index.remove(left)
            if not there.all():
                self._fill(index, recordings[~there], track)
                members = self._members_of(students, recordings, owners, index, self._members)
                with self._lock:
                    self._members = members
        index.registry, index.changes = state.registry, state.changes
        with self._lock:
            self._growth = growth
        self._state = state
        self._left_out = len(roll.changed)
        self._tell(roll)

    def _tell(self, roll: Roll) -> None:
        """Say once who is not recognised since something else than Kaimen changed the registry."""
        said = ""
        if roll.changed:
            said = (
                f"{len(roll.changed)} students stay outside: something else than Kaimen changed "
                "their rows in the registry; see 'kaimen doctor'"
            )
        elif not roll.complete:
            said = (
                "something else than Kaimen put students into the registry, or took some out of "
                "it; see 'kaimen doctor'"
            )
        if said and said != self._said:
            self._say(said)
        self._said = said

    def _members_of(
        self,
        students: Sequence[Student],
        recordings: Numbers,
        owners: Numbers,
        index: Index,
        before: Members | None,
    ) -> Members:
        """Members with their centroids: of whoever changed since, from points in the index."""
        members = Members.of(students, recordings, owners, self.dimension)
        same = np.zeros(len(members.students), bool)
        if before is not None:
            was = members.as_before(before)
            same = was >= 0
            if same.any():  # without a copy of its own; those that changed are overwritten below
                np.take(before.centroids, was, axis=0, out=members.centroids, mode="clip")
        changed = np.flatnonzero(~same)
        for start in range(0, len(changed), STRIDE):
            places = changed[start : start + STRIDE]
            own, starts = members.of_students(places)
            with self._lock:
                points = index.points(own)
            members.centroids[places] = centroids_of(points, starts)
        return members

    def _fill(self, index: Index, recordings: Numbers, track: Track | None) -> None:
        step = STEP if len(self._members.students) else STRIDE
        starts = range(0, len(recordings), step)
        every = starts if track is None else track(starts, "building the index", len(starts))
        for start in every:
            numbers = recordings[start : start + step]
            points = self.registry.recordings.kept(numbers, self.encoder)
            with self._lock:
                index.add(numbers, points)

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
        """The nearest students, best first: scored by an HNSW shortlist and their centroids.

        Only students of ``groups`` (of any, without) who consent on ``day`` (today, without).
        A glance is enough where it finds a score of at least ``sure``: a gate that would open
        need not look further, and only who looked far may turn somebody away.
        Grown voiceprints count up to the number ``grown``; none of them without.
        """
        self._current()
        probe = self._rotation.apply(probe)
        with self._lock:
            members = self._members
            who = None if groups is None else frozenset(groups)
            allowed, few = self._allowed(members, who, day or today())
            if few:
                return self._score(probe, np.flatnonzero(allowed), count, grown)
            if sure < math.inf:
                found = self._search(probe, count, allowed, GLANCE, grown)
                if found and found[0].score >= sure:
                    return found
            return self._search(probe, count, allowed, 1, grown)

    def _search(
        self, probe: Voiceprint, count: int, allowed: NDArray[np.bool_], part: int, grown: int
    ) -> list[Match]:
        """The nearest of the allowed students by a part of the breadth of search."""
        asked_for = SHORTLIST
        while True:
            recordings, cosines = self._index.search(probe, asked_for, part=part)
            owners = self._members.owners_of(recordings)
            may = (owners >= 0) & allowed[owners]
            places, first = np.unique(owners[may], return_index=True)
            if len(places) >= AT_LEAST or asked_for >= len(self._index):
                # A student's highest cosine is the first of theirs on the list. Where the graph
                # missed a still nearer recording, the score is too low, and never too high.
                middle = self._members.centroids[places] @ probe
                found = combined(cosines[may][first], middle)
                return self._best(probe, places, found, count, grown)
            asked_for *= 4

    def nearest_enrolled(self, probe: Voiceprint) -> list[Match]:
        """The two nearest of all students, whether they may enter or not, by what enrolled them."""
        self._current()
        probe = self._rotation.apply(probe)
        with self._lock:
            everybody = np.full(len(self._members.students), True)
            return self._search(probe, 2, everybody, 1, 0)

    def nearest_exactly(self, probe: Voiceprint, count: int = 3) -> list[Match]:
        """Return the same by scoring everybody: what the shortlist is measured against."""
        self._current()
        probe = self._rotation.apply(probe)
        with self._lock:
            return self._score(probe, np.arange(len(self._members.students)), count, 0)

    def claimed(
        self,
        student: str,
        probe: Voiceprint,
        *,
        groups: Collection[str] | None = None,
        day: datetime.date | None = None,
        grown: int = 0,
    ) -> list[Match]:
        """How well a probe fits the one student somebody claims to be.

        Nothing for one who is not enrolled or whom ``nearest`` would not look for.
        """
        self._current()
        probe = self._rotation.apply(probe)
        with self._lock:
            place = self._members.places.get(as_kept(student))
            if place is None:
                return []
            asked = self._members.students[place]
            if not asked.consents(day or today()):
                return []
            if groups is not None and asked.group not in groups:
                return []
            return self._score(probe, np.array([place]), 1, grown)

    def _score(self, probe: Voiceprint, places: Places, count: int, grown: int) -> list[Match]:
        """The best ``count`` of students, by all of their recordings."""
        if not len(places):
            return []
        recordings, starts = self._members.of_students(places)
        cosines = self._index.points(recordings) @ probe
        middle = self._members.centroids[places] @ probe
        return self._best(probe, places, scores(cosines, starts, middle), count, grown)

    def _best(
        self, probe: Voiceprint, places: Places, scored: Scores, count: int, grown: int
    ) -> list[Match]:
        """The best ``count`` of students with these scores, as grown voiceprints raise them."""
        if grown and len(self._growth):
            scored = self._lifted(probe, places, scored, count, grown)
        best = np.argsort(-scored, kind="stable")[:count].tolist()
        students = self._members.students
        return [Match(students[places[at]].name, float(scored[at])) for at in best]

    def _lifted(
        self, probe: Voiceprint, places: Places, scored: Scores, count: int, grown: int
    ) -> Scores:
        """Scores as grown voiceprints raise them, of those who may come among the best."""
        raised = scored.copy()
        least = np.partition(scored, -min(count, len(scored)))[-min(count, len(scored))]
        for at in np.flatnonzero(scored + LIFT >= least).tolist():
            student = self._members.students[places[at]].number
            more = self._growth.of_student(student, grown)
            if len(more):
                raised[at] = lifted(scored[at], (more @ probe).max())
        return raised


def _allowed(
    members: Members, groups: frozenset[str] | None, day: datetime.date
) -> tuple[NDArray[np.bool_], bool]:
    """Which students may be recognised, and whether to score them all rather than search."""
    allowed = members.allowed(groups, day)
    recordings = int(np.diff(members.starts)[allowed].sum())
    # A search among all for a few that may enter would have to be long.
    return allowed, recordings <= (FEW if allowed.all() else FEW_OF_MANY)
