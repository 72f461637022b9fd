"""Build an index of a synthetic school and search it: what `search.sh` counts.

python search.py ENGINE POINTS BUILT PROBES    (BUILT 0: only the points are made)
"""

from __future__ import annotations

import sys

import numpy as np

DIMENSION = 192
TAKES = 5
LINKS, BUILD_BREADTH, SEARCH_BREADTH, SHORTLIST = 16, 200, 128, 50


def main(engine: str, points: int, built: bool, probes: int) -> None:
    """Make a school, an index of it and search for probes."""
    random = np.random.default_rng(0)
    school = _unit(random.standard_normal((points // TAKES, 1, DIMENSION)))
    takes = 0.55 * random.standard_normal((points // TAKES, TAKES, DIMENSION)) / DIMENSION**0.5
    gallery = _unit(school + takes).reshape(-1, DIMENSION)
    asked = gallery[:: max(1, points // 200)][:200]
    if not built:
        return
    if engine.startswith("hnswlib"):
        import hnswlib

        _, space, breadth = engine.split("-")
        graph = hnswlib.Index(space, DIMENSION)
        graph.init_index(points, LINKS, int(breadth))
        graph.set_num_threads(1)
        graph.add_items(gallery, np.arange(points))
        graph.set_ef(SEARCH_BREADTH)
        for probe in asked[:probes]:
            graph.knn_query(probe, SHORTLIST, num_threads=1)
    elif engine.startswith("usearch"):
        from usearch.index import Index

        dtype = "i8" if engine.endswith("int8") else "f32"
        index = Index(
            ndim=DIMENSION, metric="cos" if dtype == "i8" else "ip", dtype=dtype,
            connectivity=LINKS, expansion_add=BUILD_BREADTH, expansion_search=SEARCH_BREADTH,
        )  # fmt: skip
        index.add(np.arange(points), gallery, threads=1)
        for probe in asked[:probes]:
            index.search(probe, SHORTLIST, threads=1)
    elif engine == "faiss":
        import faiss

        flat = faiss.IndexHNSWFlat(DIMENSION, LINKS, faiss.METRIC_INNER_PRODUCT)
        flat.hnsw.efConstruction, flat.hnsw.efSearch = BUILD_BREADTH, SEARCH_BREADTH
        flat.add(gallery)
        for probe in asked[:probes]:
            flat.search(probe[None], SHORTLIST)
    else:  # one point a student, all of them compared
        means = _unit(gallery.reshape(-1, TAKES, DIMENSION).mean(axis=1))
        for probe in asked[:probes]:
            np.argpartition(-(means @ probe), 10)


def _unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] != "0", int(sys.argv[4]))
