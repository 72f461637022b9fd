"""The index: points by number, and a quick way to those near a probe.

A graph of neighbours (HNSW: Y. Malkov and D. Yashunin, 2018, arXiv 1603.09320, by hnswlib).
It is derived from the registry and can be made anew at any time. On disk it is sealed, which
is its checksum, too: a file that was changed anywhere does not open.
"""

from __future__ import annotations

import glob
import json
import os
import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import hnswlib
import numpy as np
from numpy.typing import NDArray

from kaimen.errors import GalleryError
from kaimen.parsing import read_json
from kaimen.registry.seals import RegistryState
from kaimen.registry.vault import Vault
from kaimen.storage import write_whole

# On the unit sphere squared distances, 2 - 2 cosines, rank as cosines do. hnswlib's plain loop for
# them is one that a compiler turns into vector instructions; that for inner products is not.
SPACE = "l2"
LINKS = 16  # HNSW's M
BUILD_BREADTH = 100  # HNSW's ef_construction
SEARCH_BREADTH = 128  # HNSW's ef, where none was chosen by measured recall
ROOM = 1.1  # times as many points as there are fit in before it must grow
VACANT = 0.1  # share of vacant places from which building anew is better
FETCHED = 256  # points taken out at a time
PIECE = 1 << 22  # bytes sealed at a time
LONGEST = 1 << 30  # bytes of a piece that can be

Numbers = NDArray[np.int64]


class Index:
    """Points by number. Not thread-safe: one caller at a time."""

    def __init__(self, dimension: int) -> None:
        """An empty index of points of this dimension."""
        self.dimension = dimension
        self.breadth = SEARCH_BREADTH
        self.tuned = 0  # how many points there were when the breadth was chosen
        self.registry = ""  # whose points they are
        self.changes = 0  # of the registry, until then
        self._numbers: Numbers = np.zeros(0, np.int64)  # ascending
        self._vacant = 0
        self._torn = False
        self._graph = hnswlib.Index(SPACE, dimension)
        self._graph.init_index(1, LINKS, BUILD_BREADTH, allow_replace_deleted=True)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def numbers(self) -> Numbers:
        """Return the numbers of all points, ascending."""
        return self._numbers

    @property
    def worn(self) -> bool:
        """Return whether so many points were removed that it should be built anew."""
        return self._torn or self._vacant > VACANT * max(1, len(self._numbers))

    def fits(self, state: RegistryState) -> bool:
        """Return whether it was made of this registry, in this state or an earlier one.

        A registry that went back gives numbers a second time, to other recordings.
        """
        return self.registry == state.registry and self.changes <= state.changes

    def add(self, numbers: Numbers, points: NDArray[np.float32]) -> None:
        """Add points (points, dimension) under numbers that never were in it before."""
        if not len(numbers):
            return
        taken = min(len(numbers), self._vacant)
        needed = self._graph.get_current_count() + len(numbers) - taken
        if needed > self._graph.get_max_elements():
            self._graph.resize_index(int(ROOM * needed) + 1)
        if taken:  # places of those who left are given to those who come
            self._graph.add_items(points[:taken], numbers[:taken], replace_deleted=True)
        if taken < len(numbers):
            self._graph.add_items(points[taken:], numbers[taken:])
        self._vacant -= taken
        if not len(self._numbers) or self._numbers[-1] < numbers.min():
            self._numbers = np.concatenate([self._numbers, np.sort(numbers)])
        else:
            self._numbers = np.union1d(self._numbers, numbers)

    def remove(self, numbers: Numbers) -> None:
        """Remove points: they are overwritten with noise, and their places vacant."""
        random = np.random.default_rng()
        self._numbers = np.setdiff1d(self._numbers, numbers)
        for number in numbers.tolist():
            # Zeros would be as near to everybody, and tear the graph.
            noise = random.standard_normal((1, self.dimension)).astype(np.float32)
            self._graph.add_items(noise / np.linalg.norm(noise), [number])
            self._graph.mark_deleted(number)
            self._vacant += 1

    def search(
        self, probe: NDArray[np.float32], count: int, *, part: int = 1
    ) -> tuple[Numbers, NDArray[np.float32]]:
        """Return the numbers of about ``count`` nearest points and their cosines, nearest first.

        Only a ``part`` of the breadth is searched: one divided by it.
        """
        count = min(count, len(self._numbers))
        if not count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        self._graph.set_ef(max(self.breadth // part, count + min(self._vacant, count)))
        try:
            found, distances = self._graph.knn_query(probe, count, num_threads=1)
        except RuntimeError:  # so many left that the others cannot be reached from each other
            self._torn = True
            cosines = self.points(self._numbers) @ probe
            order = np.argsort(-cosines, kind="stable")[:count]
            return self._numbers[order], cosines[order]
        return np.asarray(found[0], np.int64), 1 - distances[0] / 2

    def points(self, numbers: Numbers) -> NDArray[np.float32]:
        """Return points by number, (numbers, dimension)."""
        found = np.empty((len(numbers), self.dimension), np.float32)
        # hnswlib makes an object of each coordinate first, of 32 bytes.
        for start in range(0, len(numbers), FETCHED):
            some = slice(start, start + FETCHED)
            found[some] = self._graph.get_items(numbers[some], return_type="numpy")
        return found

    def save(self, path: Path, vault: Vault, encoder: str) -> None:
        """Write it sealed, in one step. Raises StorageError."""
        head = {
            "encoder": encoder,
            "dimension": self.dimension,
            "breadth": self.breadth,
            "tuned": self.tuned,
            "vacant": self._vacant,
            "registry": self.registry,
            "changes": self.changes,
            "count": self._graph.get_current_count(),
        }
        with _nowhere() as graph:
            self._graph.save_index(f"/proc/self/fd/{graph.fileno()}")
            graph.seek(0)
            first = [json.dumps(head).encode(), self._numbers.astype("<i8").tobytes()]
            write_whole(path, lambda file: _seal(first, graph, file, vault), private=True)

    @classmethod
    def load(cls, path: Path, vault: Vault, encoder: str) -> Index:
        """Read it; raises GalleryError for one that is missing, changed or another encoder's."""
        try:
            with path.open("rb") as file, _nowhere() as graph:
                pieces = _unseal(file, vault)
                head = read_json(next(pieces))
                if head["encoder"] != encoder:
                    raise GalleryError(f"{path}: an index of another encoder's points")
                index = cls(int(head["dimension"]))
                index.breadth = int(head["breadth"])
                index.tuned = int(head["tuned"])
                index._vacant = int(head["vacant"])
                # An earlier Kaimen did not say: it fits no registry, and is made anew once.
                index.registry = str(head.get("registry", ""))
                index.changes = int(head.get("changes", 0))
                index._numbers = np.frombuffer(next(pieces), "<i8").astype(np.int64)
                for piece in pieces:
                    graph.write(piece)
                graph.flush()
                index._graph = hnswlib.Index(SPACE, index.dimension)
                index._graph.load_index(
                    f"/proc/self/fd/{graph.fileno()}",
                    max_elements=int(ROOM * head["count"]) + 1,
                    allow_replace_deleted=True,
                )
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None
        except (KeyError, ValueError, RuntimeError, StopIteration, struct.error) as error:
            raise GalleryError(f"{path}: not an index ({error})") from None
        return index


def _nowhere() -> IO[bytes]:
    """Return a file in memory alone: points are written unsealed to no disk."""
    return os.fdopen(os.memfd_create("kaimen-index", os.MFD_CLOEXEC), "w+b")


def _seal(first: list[bytes], graph: IO[bytes], file: IO[bytes], vault: Vault) -> None:
    for piece in chain(first, iter(lambda: graph.read(PIECE), b"")):
        sealed = vault.seal(piece, f"index at {file.tell()}")
        file.write(struct.pack("<Q", len(sealed)) + sealed)
    end = vault.seal(b"", f"index ends at {file.tell()}")  # what is cut off is missed
    file.write(struct.pack("<Q", 0) + end)


def _unseal(file: IO[bytes], vault: Vault) -> Iterator[bytes]:
    while True:
        place = file.tell()
        (length,) = struct.unpack("<Q", file.read(8))
        if not length:
            vault.unseal(file.read(), f"index ends at {place}")
            return
        # No file is longer than itself, whatever a changed length says.
        yield vault.unseal(file.read(min(length, LONGEST)), f"index at {place}")


def index_path(registry: Path, space: str = "") -> Path:
    """Return where the index of a registry's file is kept, of a space (``Registry.space``).

    Hidden with the bundles, but for the first space's: it is made anew, and no backup needs it.
    """
    if not space:
        return registry.with_suffix(".index")
    return registry.parent / "bundles" / f".{registry.stem}{space}.index"


def index_paths(registry: Path) -> list[Path]:
    """Return those of all spaces that are there."""
    others = (registry.parent / "bundles").glob(f".{glob.escape(registry.stem)}.*.index")
    return [index_path(registry), *others]
