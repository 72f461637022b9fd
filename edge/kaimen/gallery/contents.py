"""What a gallery searches in: members and their points, brought in line with the registry."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from kaimen.gallery.band import GalleryBand
from kaimen.gallery.growth import Growth
from kaimen.gallery.index import Index
from kaimen.gallery.known_students import KnownStudent, KnownStudents, highest_speech
from kaimen.gallery.members import Members, Numbers, Places
from kaimen.gallery.search import Search
from kaimen.progress import Track
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Roll, Student
from kaimen.voice.score import centroids_of

STEP = 4  # points added at a time, so that a phrase never waits long
STRIDE = 1_000  # the same where nobody waits; and students whose centroids are computed at a time

Recognised = tuple[Student, Numbers] | None  # with their recordings; None: not recognised any more


class Contents:
    """Members of an encoder, and the index that holds their points.

    One thread aligns them with the registry; another may read meanwhile, under the ``lock``.
    """

    def __init__(
        self,
        registry: Registry,
        encoder: str,
        index: Index,
        say: Callable[[str], None],
    ) -> None:
        """``say`` gets what an operator should know, as the gallery's does."""
        self.registry = registry
        self.encoder = encoder
        self.dimension = index.dimension
        self.index = index
        self.members = Members.of([], index.dimension)
        self.band = GalleryBand()
        self.growth = Growth()
        self.state = registry.database.state()  # of the registry, when it was last looked at
        self.left_out = 0  # students whom something else changed
        self.went_back = False  # whether indexes of other encoders are of no use any more
        self.lock = threading.Lock()  # over members and index, held for moments
        self._known = KnownStudents(registry, encoder)
        self._say = say
        self._said = ""
        self._look_how_it_is_rotated()

    @property
    def search(self) -> Search:
        """Return a search in what there is now; under the lock."""
        return Search(self.index, self.members, self.growth)

    def _look_how_it_is_rotated(self) -> None:
        """Points are kept and compared where the key puts them: see ``Rotation``."""
        self._rotated = self.registry.database.rotated
        self.rotation = self.registry.recordings.rotation(self.encoder, self.dimension)

    def align(self, track: Track | None, pause: float) -> None:
        """Bring members and index in line with the registry.

        ``pause``: seconds between small steps, where a gate answers meanwhile.
        """

        def rest() -> None:
            if pause:
                time.sleep(pause)

        try:
            with self.registry.database.reading():
                self._align(track, rest)
        except BaseException:
            self._known.forget()
            raise

    def _align(self, track: Track | None, rest: Callable[[], None]) -> None:
        known = self._known
        changed = known.look(rest)
        assert known.state is not None
        state = known.state
        fits = self.index.fits(state) or not len(self.index)
        if self._rotated != self.registry.database.rotated:  # another file is in its place
            self._look_how_it_is_rotated()
            fits = False
        if not fits:
            self.went_back = True
            self._say(
                "the index is of another registry, or of a later state of this one; it is made anew"
            )
        if changed is None or not fits or self.index.worn:
            self._take_over_all(fits, track, rest)
        else:
            self._take_over_some(changed, track, rest)
        self.index.registry, self.index.changes = state.registry, state.changes
        self.state = state
        roll = known.roll()
        self.left_out = len(roll.changed)
        self._tell(roll)

    def _take_over_all(self, fits: bool, track: Track | None, rest: Callable[[], None]) -> None:
        """Take over everybody, into a new index where the one that there is does not fit."""
        known = self._known.by_number
        everybody = [each.recognised for each in known.values() if each.recognised is not None]
        members = Members.of(everybody, self.dimension)
        left = np.setdiff1d(self.index.numbers, members.ascending, assume_unique=True)
        if not fits or len(left) > len(self.index) // 2 or self.index.worn:
            index = Index(self.dimension)
            self._fill(index, members.ascending, track, rest)
        else:
            index = self.index
            come = np.setdiff1d(members.ascending, index.numbers, assume_unique=True)
            at_once = members
            if len(come):
                at_once = Members.of(filter(None, _without(come, everybody)), self.dimension)
            self._show(self._with_centroids(at_once, index, at_once.take_centroids(self.members)))
            self._remove(left, rest)
            self._fill(index, come, track, rest)
        if members is not self.members:
            new = members.take_centroids(self.members) if fits else np.arange(len(members.students))
            members = self._with_centroids(members, index, new)
        with self.lock:
            self.index = index
            self.members = members
            self.growth = Growth(
                {number: each.grown for number, each in known.items() if each.grown is not None}
            )
        self.band = GalleryBand.of(highest_speech(known.values()))

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
        there = dict(zip(recognised, _without(come, recognised.values()), strict=True))
        # Who left is out before the index is touched.
        members, new = self.members.after(there)
        self._show(self._with_centroids(members, self.index, new))
        self._remove(np.setdiff1d(were, are, assume_unique=True), rest)
        if len(come):
            self._fill(self.index, come, track, rest)
            members, new = self.members.after(recognised)
            self._show(self._with_centroids(members, self.index, new))
        grown = {
            number: each.grown
            for number, each in now.items()
            if each is not None and each.grown is not None
        }
        if grown or any(number in self.growth.by_student for number in now):
            others = {n: own for n, own in self.growth.by_student.items() if n not in now}
            with self.lock:
                self.growth = Growth(others | grown)
        if list(map(_highest, before.values())) != list(map(_highest, now.values())):
            self.band = GalleryBand.of(highest_speech(known.values()))

    def _show(self, members: Members) -> None:
        with self.lock:
            self.members = members

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
            with self.lock:
                points = index.points(own)
            members.centroids[some] = centroids_of(points, starts)
        return members

    def _remove(self, recordings: Numbers, rest: Callable[[], None]) -> None:
        for start in range(0, len(recordings), STEP):
            with self.lock:
                self.index.remove(recordings[start : start + STEP])
            rest()

    def _fill(
        self, index: Index, recordings: Numbers, track: Track | None, rest: Callable[[], None]
    ) -> None:
        """Add recordings to an index; a phrase waits for no more than a few, where one is used."""
        in_use = index is self.index and bool(self.members.students)
        step = STEP if in_use else STRIDE
        starts = range(0, len(recordings), step)
        every = starts if track is None else track(starts, "building the index", len(starts))
        for start in every:
            numbers = recordings[start : start + step]
            points = self.registry.recordings.kept(numbers, self.encoder)
            with self.lock if in_use else contextlib.nullcontext():
                index.add(numbers, points)
            rest()


def _without(come: Numbers, recognised: Iterable[Recognised]) -> Iterator[Recognised]:
    """Yield each with those recordings that are in the index already; None of whom none is."""
    missing = frozenset(come.tolist())
    for each in recognised:
        if each is not None and not missing.isdisjoint(each[1].tolist()):
            left = np.setdiff1d(each[1], come)
            each = (each[0], left) if len(left) else None
        yield each


def _recordings_of(recognised: Iterable[Recognised]) -> Numbers:
    pieces = [each[1] for each in recognised if each is not None]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *pieces]))


def _highest(known: KnownStudent | None) -> tuple[str, tuple[float, ...]]:
    return ("", ()) if known is None else (known.row.name, known.highest)
