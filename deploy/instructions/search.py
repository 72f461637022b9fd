"""Build an index of a synthetic school and search it: what `search.sh` counts.

python search.py ENGINE POINTS PROBES

Prints one JSON object: how many of the students whom an exact search puts first the engine finds,
what it holds in memory and how long it took. What a counter of instructions must know is said by
closing file -7: before the index is built, after that, and after the searches.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

DIMENSION = 192
TAKES = 5
APART = 0.55  # length of what two takes of a student differ by, of 1
LINKS, BUILD_BREADTH, SEARCH_BREADTH = 16, 200, 128
SHORTLIST = 50  # points; where each student is one point, a fifth of it
ROWS = 2048  # of one piece of a scan
MARK = -7  # no file has that number; plugin.c knows it

# From a probe, shape (192,), to numbers of students; and bytes of the index, as the engine counts.
Built = tuple[Callable[[np.ndarray], np.ndarray], int]


def main(engine: str, points: int, probes: int) -> None:
    """Make a school and probes, an index of it, and search for each probe."""
    random = np.random.default_rng(0)
    school = _unit(random.standard_normal((points // TAKES, DIMENSION), np.float32))
    gallery = _unit(_take(random, np.repeat(school, TAKES, axis=0)))
    wanted = random.integers(len(school), size=probes)
    asked = _unit(_take(random, school[wanted]))
    _mark()
    began = time.process_time()
    search, held = _built(engine, gallery)
    built = time.process_time() - began
    _mark()
    began = time.process_time()
    found = [search(probe) for probe in asked]
    searched = time.process_time() - began
    _mark()
    exact = np.array([np.argmax(gallery @ probe) // TAKES for probe in asked])
    fair = exact == wanted
    hits = sum(
        one in some for one, some, is_fair in zip(wanted, found, fair, strict=True) if is_fair
    )
    said = {
        "engine": engine, "points": points, "probes": int(fair.sum()), "found": hits,
        "megabytes": round(held / 1e6, 1), "build_seconds": round(built, 2),
        "search_milliseconds": round(1000 * searched / max(1, probes), 3),
    }  # fmt: skip
    print(json.dumps(said))


def _built(engine: str, gallery: np.ndarray) -> Built:
    kind, *rest = engine.split("-")
    return {"hnswlib": _hnswlib, "usearch": _usearch, "faiss": _faiss, "centroids": _centroids}[
        kind
    ](gallery, *rest)


def _hnswlib(gallery: np.ndarray, space: str, breadth: str) -> Built:
    import hnswlib

    graph = hnswlib.Index(space, DIMENSION)
    graph.init_index(len(gallery), LINKS, int(breadth))
    graph.set_num_threads(1)
    graph.add_items(gallery, np.arange(len(gallery)))
    graph.set_ef(SEARCH_BREADTH)
    return (
        lambda probe: graph.knn_query(probe, SHORTLIST, num_threads=1)[0][0] // TAKES,
        graph.index_file_size(),
    )


def _usearch(gallery: np.ndarray, dtype: str, breadth: str) -> Built:
    from usearch.index import Index

    index = Index(
        ndim=DIMENSION, metric="cos" if dtype == "i8" else "ip", dtype=dtype,
        connectivity=LINKS, expansion_add=int(breadth), expansion_search=SEARCH_BREADTH,
    )  # fmt: skip
    index.add(np.arange(len(gallery)), gallery, threads=1)
    return (
        lambda probe: index.search(probe, SHORTLIST, threads=1).keys.astype(int) // TAKES,
        index.memory_usage,
    )


def _faiss(gallery: np.ndarray, kind: str) -> Built:
    import faiss

    faiss.omp_set_num_threads(1)
    byte, inner = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    if kind == "scan":
        index = faiss.IndexScalarQuantizer(DIMENSION, byte, inner)
    else:
        index = (
            faiss.IndexHNSWFlat(DIMENSION, LINKS, inner)
            if kind == "float"
            else faiss.IndexHNSWSQ(DIMENSION, byte, LINKS, inner)
        )
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_BREADTH, SEARCH_BREADTH
    index.train(gallery)
    index.add(gallery)
    return (
        lambda probe: index.search(probe[None], SHORTLIST)[1][0] // TAKES,
        len(faiss.serialize_index(index)),
    )


def _centroids(gallery: np.ndarray, dtype: str) -> Built:
    """One point a student, all of them compared."""
    means = _unit(gallery.reshape(-1, TAKES, DIMENSION).mean(axis=1))
    if dtype == "i8":  # numpy multiplies no int8 matrices: a piece becomes float when it is needed
        means = np.round(means * (127 / np.abs(means).max())).astype(np.int8)

    def search(probe: np.ndarray) -> np.ndarray:
        scores = [
            means[at : at + ROWS].astype(np.float32, copy=False) @ probe
            for at in range(0, len(means), ROWS)
        ]
        return np.argpartition(-np.concatenate(scores), SHORTLIST // TAKES)[: SHORTLIST // TAKES]

    return search, means.nbytes


def _take(random: np.random.Generator, points: np.ndarray) -> np.ndarray:
    noise = random.standard_normal(points.shape, np.float32)
    return points + APART / DIMENSION**0.5 * noise


def _unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)


def _mark() -> None:
    with contextlib.suppress(OSError):
        os.close(MARK)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
