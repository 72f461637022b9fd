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
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
from kaimen.gallery.known_students import KnownStudent, KnownStudents, highest_speech
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
STEP = 4  # points added at a time, so that a phrase never waits long
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
        self._known = KnownStudents(self.registry, encoder)
        self._members = Members.of([], dimension)
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

    def refresh(self, track: Track | None = None, *, pause: float = 0.0) -> bool:
        """Take over what changed in the registry since; whether anything did.

        ``track`` shows how far it is where many were enrolled. ``pause``: seconds between small
        steps, where a gate answers meanwhile.
        """
        if self._seen == self.registry.database.version():
            return False
        self._take_over(track, pause)
        return True

    def _current(self, track: Track | None = None) -> Members:
        if self._seen is None:
            self._take_over(track)
        return self._members

    def _take_over(self, track: Track | None = None, pause: float = 0.0) -> None:
        def rest() -> None:
            if pause:
                time.sleep(pause)

        seen = self.registry.database.version()
        try:
            with self.registry.database.reading():
                self._align(track, rest)
        except BaseException:
            self._known.forget()
            raise
        self._seen = seen

    def _align(self, track: Track | None, rest: Callable[[], None]) -> None:
        """Bring members and index in line with the registry."""
        known = self._known
        changed = known.look(rest)
        assert known.state is not None
        state = known.state
        fits = self._index.fits(state) or not len(self._index)
        if self._rotated != self.registry.database.rotated:  # another file is in its place
            self._look_how_it_is_rotated()
            fits = False
        if not fits:
            self._went_back = True
            self._say(
                "the index is of another registry, or of a later state of this one; it is made anew"
            )
        if changed is None or not fits or self._index.worn:
            self._take_over_all(fits, track, rest)
        else:
            self._take_over_some(changed, track, rest)
        self._index.registry, self._index.changes = state.registry, state.changes
        self._state = state
        roll = known.roll()
        self._left_out = len(roll.changed)
        self._tell(roll)

    def _take_over_all(self, fits: bool, track: Track | None, rest: Callable[[], None]) -> None:
        """Take over everybody, into a new index where the one that there is does not fit."""
        known = self._known.by_number
        everybody = [each.recognised for each in known.values() if each.recognised is not None]
        members = Members.of(everybody, self.dimension)
        left = np.setdiff1d(self._index.numbers, members.ascending, assume_unique=True)
        if not fits or len(left) > len(self._index) // 2 or self._index.worn:
            index = Index(self.dimension)
            self._fill(index, members.ascending, track, rest)
        else:
            index = self._index
            come = np.setdiff1d(members.ascending, index.numbers, assume_unique=True)
            missing = frozenset(come.tolist())
            there = [
                (each, own if missing.isdisjoint(own.tolist()) else np.setdiff1d(own, come))
                for each, own in everybody
            ]
            at_once = Members.of([each for each in there if len(each[1])], self.dimension)
            self._show(self._with_centroids(at_once, index, at_once.take_centroids(self._members)))
            self._remove(left, rest)
            self._fill(index, come, track, rest)
        new = members.take_centroids(self._members) if fits else np.arange(len(members.students))
        members = self._with_centroids(members, index, new)
        with self._lock:
            self._index = index
            self._members = members
            self._growth = Growth(
                {number: each.grown for number, each in known.items() if each.grown is not None}
            )
        self._band = GalleryBand.of(highest_speech(known.values()))

    def _take_over_some(
        self,
        before: Mapping[int, KnownStudent | None],
        track: Track | None,
        rest: Callable[[], None],
    ) -> None:
        """Take over those who changed, given as they were before."""
        known = self._known.by_number
        now = {number: known.get(number) for number in before}
        recognised = {
            number: None if each is None else each.recognised for number, each in now.items()
        }
        were = _recordings_of(each.recognised for each in before.values() if each is not None)
        are = _recordings_of(recognised.values())
        come = np.setdiff1d(are, were, assume_unique=True)
        at_once = {
            number: None if each is None else (each[0], np.setdiff1d(each[1], come))
            for number, each in recognised.items()
        }
        there = {
            number: None if each is None or not len(each[1]) else each
            for number, each in at_once.items()
        }
        # Who left is out before the index is touched.
        members, new = self._members.after(there)
        self._show(self._with_centroids(members, self._index, new))
        self._remove(np.setdiff1d(were, are, assume_unique=True), rest)
        if len(come):
            self._fill(self._index, come, track, rest)
            members, new = self._members.after(recognised)
            self._show(self._with_centroids(members, self._index, new))
        grown = {
            number: each.grown
            for number, each in now.items()
            if each is not None and each.grown is not None
        }
        if grown or any(number in self._growth.by_student for number in now):
            others = {n: own for n, own in self._growth.by_student.items() if n not in now}
            with self._lock:
                self._growth = Growth(others | grown)
        if list(map(_highest, before.values())) != list(map(_highest, now.values())):
            self._band = GalleryBand.of(highest_speech(known.values()))

    def _show(self, members: Members) -> None:
        with self._lock:
            self._members = members

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

    def _with_centroids(self, members: Members, index: Index, places: Places) -> Members:
        """Compute the centroids of students at places, from points in the index."""
        for start in range(0, len(places), STRIDE):
            some = places[start : start + STRIDE]
            own, starts = members.of_students(some)
            with self._lock:
                points = index.points(own)
            members.centroids[some] = centroids_of(points, starts)
        return members

    def _remove(self, recordings: Numbers, rest: Callable[[], None]) -> None:
        for start in range(0, len(recordings), STEP):
            with self._lock:
                self._index.remove(recordings[start : start + STEP])
            rest()

    def _fill(
        self, index: Index, recordings: Numbers, track: Track | None, rest: Callable[[], None]
    ) -> None:
        """Add recordings to an index; a phrase waits for no more than a few, where one is used."""
        in_use = index is self._index and bool(self._members.students)
        step = STEP if in_use else STRIDE
        starts = range(0, len(recordings), step)
        every = starts if track is None else track(starts, "building the index", len(starts))
        for start in every:
            numbers = recordings[start : start + step]
            points = self.registry.recordings.kept(numbers, self.encoder)
            with self._lock if in_use else contextlib.nullcontext():
                index.add(numbers, points)
            rest()

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


def _recordings_of(recognised: Iterable[tuple[Student, Numbers] | None]) -> Numbers:
    pieces = [each[1] for each in recognised if each is not None]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *pieces]))


def _highest(known: KnownStudent | None) -> tuple[str, tuple[float, ...]]:
    return ("", ()) if known is None else (known.row.name, known.highest)


def _allowed(
    members: Members, groups: frozenset[str] | None, day: datetime.date
) -> tuple[NDArray[np.bool_], bool]:
    """Which students may be recognised, and whether to score them all rather than search."""
    allowed = members.allowed(groups, day)
    recordings = int(np.diff(members.starts)[allowed].sum())
    # A search among all for a few that may enter would have to be long.
    return allowed, recordings <= (FEW if allowed.all() else FEW_OF_MANY)
