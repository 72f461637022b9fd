"""How broadly the graph must be searched: chosen by measured recall, not copied.

Recordings of the school itself are the probes. A student's other nearest recording, where an
exact scan puts it on the shortlist, must be on the graph's shortlist, too; the least breadth
that misses none of the sample is taken, and the next one up, to be sure.
"""

from __future__ import annotations

import numpy as np

from kaimen.gallery.index import Index
from kaimen.gallery.members import Members, Numbers

SAMPLE = 2_000  # recordings
BLOCK = 128  # of them at a time
BREADTHS = (64, 128, 256, 512, 1024, 2048)


def chosen(index: Index, members: Members, shortlist: int) -> int:
    """Return the breadth of search for an index of all the members' recordings."""
    probes, wanted = _wanted(index, members, shortlist)
    sample = index.points(probes)
    kept = index.breadth
    try:
        for breadth, surer in zip(BREADTHS, (*BREADTHS[1:], BREADTHS[-1]), strict=True):
            index.breadth = breadth
            if all(
                recording in index.search(probe, shortlist)[0]
                for probe, recording in zip(sample, wanted, strict=True)
            ):
                return surer
        return BREADTHS[-1]
    finally:
        index.breadth = kept


def _wanted(index: Index, members: Members, shortlist: int) -> tuple[Numbers, Numbers]:
    """Return probes, and the recording of the same student that each must find."""
    everything = index.points(members.recordings)
    owners = np.repeat(np.arange(len(members.students)), np.diff(members.starts))
    several = np.flatnonzero(np.diff(members.starts)[owners] > 1)
    random = np.random.default_rng(0)
    sample = random.choice(several, min(SAMPLE, len(several)), replace=False)
    probes, wanted = [], []
    for start in range(0, len(sample), BLOCK):
        rows = sample[start : start + BLOCK]
        cosines = everything[rows] @ everything.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        for row, found in zip(rows.tolist(), cosines, strict=True):
            own = slice(members.starts[owners[row]], members.starts[owners[row] + 1])
            best = own.start + int(found[own].argmax())
            if np.sum(found > found[best]) < shortlist - 1:  # the probe itself takes a place
                probes.append(members.recordings[row])
                wanted.append(members.recordings[best])
    return np.array(probes, np.int64), np.array(wanted, np.int64)
