"""What a gallery searches in: members and their points, brought in line with the registry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from kaimen.gallery.band import GalleryBand
from kaimen.gallery.growth import Growth
from kaimen.gallery.index import Index
from kaimen.gallery.members import Members, Numbers
from kaimen.gallery.search import Search
from kaimen.progress import Track
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Roll, Student
from kaimen.voice.score import centroids_of

STEP = 16  # points added at a time, so that a phrase never waits long
STRIDE = 1_000  # the same where nobody waits; and students whose centroids are computed at a time


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
        self.members = Members.of([], *registry.recordings.numbers(""), index.dimension)
        self.band = GalleryBand()
        self.growth = Growth()
        self.state = registry.database.state()  # of the registry, when it was last looked at
        self.left_out = 0  # students whom something else changed
        self.went_back = False  # whether indexes of other encoders are of no use any more
        self.lock = threading.Lock()  # over members and index, held for moments
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

    def align(self, track: Track | None) -> None:
        """Bring members and index in line with the registry."""
        state = self.registry.database.state()
        roll, recordings, owners = self.registry.recognised(self.encoder)
        students = roll.students
        fits = self.index.fits(state) or not len(self.index)
        if self._rotated != self.registry.database.rotated:  # another file is in its place
            self._look_how_it_is_rotated()
            fits = False
        highest = self.registry.recordings.highest_speech(self.encoder)
        self.band = GalleryBand.of(highest)
        growth = Growth.of(students, *self.registry.grown.points(self.encoder))
        left = np.setdiff1d(self.index.numbers, recordings, assume_unique=True)
        if not fits:
            self.went_back = True
            self._say(
                "the index is of another registry, or of a later state of this one; it is made anew"
            )
        if not fits or len(left) > len(self.index) // 2 or self.index.worn:
            index = Index(self.dimension)
            self._fill(index, recordings, track)
            before = self.members if fits else None
            members = self._members_of(students, recordings, owners, index, before)
            with self.lock:
                self.index = index
                self.members = members
        else:
            index = self.index
            there = np.isin(recordings, index.numbers, assume_unique=True)
            members = self._members_of(
                students, recordings[there], owners[there], index, self.members
            )
            with self.lock:
                self.members = members
                index.remove(left)
            self._fill(index, recordings[~there], track)
            members = self._members_of(students, recordings, owners, index, self.members)
            with self.lock:
                self.members = members
        index.registry, index.changes = state.registry, state.changes
        with self.lock:
            self.growth = growth
        self.state = state
        self.left_out = len(roll.changed)
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
            members.centroids[same] = before.centroids[was[same]]
        changed = np.flatnonzero(~same)
        for start in range(0, len(changed), STRIDE):
            places = changed[start : start + STRIDE]
            own, starts = members.of_students(places)
            with self.lock:
                points = index.points(own)
            members.centroids[places] = centroids_of(points, starts)
        return members

    def _fill(self, index: Index, recordings: Numbers, track: Track | None) -> None:
        step = STEP if len(self.members.students) else STRIDE
        starts = range(0, len(recordings), step)
        every = starts if track is None else track(starts, "building the index", len(starts))
        for start in every:
            numbers = recordings[start : start + step]
            points = self.registry.recordings.kept(numbers, self.encoder)
            with self.lock:
                index.add(numbers, points)
