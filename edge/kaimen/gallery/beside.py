"""What lies beside a registry, of its students: indexes, and how all of it is forgotten."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection
from pathlib import Path

from kaimen.registry.kept_phrases import KeptPhrases, kept_phrases_of
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_of
from kaimen.storage import forget, unwritten


def index_of(registry: Path, space: str = "") -> Path:
    """Where the index of a registry's file is kept, of an encoder's space (``Registry.space``).

    Hidden with the bundles, but for the first space's: it is made anew, and no backup needs it.
    """
    if not space:
        return registry.with_suffix(".index")
    return registry.parent / "bundles" / f".{registry.stem}{space}.index"


def forget_beside(
    registry: Registry, students: Collection[str], say: Callable[[str], None] = lambda text: None
) -> None:
    """Forget students in all that lies beside a registry, before they go from it.

    The registry is the last: while they are in it, whatever was interrupted is begun again. Indexes
    are made anew. Raises GalleryError and StorageError; the students are known as before then.
    """
    path = registry.path
    if not isinstance(path, Path):
        return
    with registry.database.writing():
        pass  # a disk that cannot be written says so before anything is deleted
    try:
        for index in indexes_of(path):  # other encoders' are made anew, too
            forget(index)
    except OSError as error:
        who = f"{', '.join(students)}, known as before,"
        raise unwritten(index, error, who) from None
    if replay_memory_of(path).exists():
        memory = ReplayMemory(replay_memory_of(path), registry.vault, say=say)
        try:
            for student in students:
                memory.forget(student)
        finally:
            memory.close()
    kept = KeptPhrases(kept_phrases_of(path), registry.vault)
    for student in students:
        kept.forget(student)


def indexes_of(registry: Path) -> list[Path]:
    """Those of all spaces that are there."""
    others = (registry.parent / "bundles").glob(f".{glob.escape(registry.stem)}.*.index")
    return [index_of(registry), *others]
