"""Other ways to the nearest recordings, to measure the gallery's search against."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaimen.gallery.index import BUILD_BREADTH, LINKS
from kaimen.gallery.members import Numbers
from kaimen.gallery.search import SHORTLIST
from kaimen.voice.score import Points


@dataclass(frozen=True)
class Engine:
    """A way from a probe to the numbers of the recordings nearest to it, nearest first."""

    name: str
    find: Callable[[Points], Numbers]
    broaden: Callable[[int], None] | None = None  # of one that may miss: look at so many points


def scan(points: Points) -> Engine:
    """All cosines by numpy, and whoever owns the highest: the least that an exact search costs."""

    def find(probe: Points) -> Numbers:
        return np.array([np.argmax(points @ probe)])

    return Engine("numpy scan", find)


def faiss_flat(points: Points) -> Engine:
    """Return the same by faiss. Raises ImportError."""
    faiss: Any = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)

    def find(probe: Points) -> Numbers:
        found: Numbers = index.search(probe[np.newaxis], 1)[1][0]
        return found

    return Engine("faiss flat", find)


def usearch(points: Points) -> Engine:
    """Return a graph of neighbours by usearch. Raises ImportError."""
    library: Any = importlib.import_module("usearch.index")
    index = library.Index(
        ndim=points.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=BUILD_BREADTH,
    )
    index.add(np.arange(len(points)), points)

    def broaden(breadth: int) -> None:
        index.expansion_search = breadth

    def find(probe: Points) -> Numbers:
        return np.asarray(index.search(probe, SHORTLIST, threads=1).keys, np.int64)

    return Engine("usearch", find, broaden)


def plain_hnswlib(points: Points) -> Engine:
    """Return a graph of neighbours by hnswlib, with nothing around it."""
    import hnswlib

    index = hnswlib.Index("ip", points.shape[1])
    index.init_index(len(points), LINKS, BUILD_BREADTH)
    index.add_items(points)

    def find(probe: Points) -> Numbers:
        found: Numbers = index.knn_query(probe, SHORTLIST, num_threads=1)[0][0].astype(np.int64)
        return found

    return Engine("hnswlib", find, index.set_ef)


PEERS: dict[str, Callable[[Points], Engine]] = {
    "faiss": faiss_flat,
    "usearch": usearch,
    "hnswlib": plain_hnswlib,
}
