"""How students are forgotten in what lies beside a registry."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from kaimen.gallery.index import index_paths
from kaimen.gallery.latent_map import forget_places, map_path
from kaimen.names import as_kept
from kaimen.registry.kept_phrases import KeptPhrases, kept_phrases_path
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.storage import forget, unwritten


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
    students = [as_kept(each) for each in students]
    with registry.database.writing():
        pass  # a disk that cannot be written says so before anything is deleted
    try:
        for index in index_paths(path):  # other encoders' are made anew, too
            forget(index)
    except OSError as error:
        who = f"{', '.join(students)}, known as before,"
        raise unwritten(index, error, who) from None
    if replay_memory_path(path).exists():
        memory = ReplayMemory(replay_memory_path(path), registry.vault, say=say)
        try:
            for student in students:
                memory.forget(student)
        finally:
            memory.close()
    kept = KeptPhrases(kept_phrases_path(path), registry.vault)
    for student in students:
        kept.forget(student)
    _forget_places(map_path(path), registry, students)


def _forget_places(path: Path, registry: Registry, students: Collection[str]) -> None:
    if not path.exists():
        return
    rows = registry.database.read("SELECT number, name FROM students")
    names = set(students)
    gone = [number for number, name in rows if name in names]
    models = registry.database.read("SELECT encoder FROM students UNION SELECT model FROM points")
    forget_places(path, registry.vault, [str(model) for (model,) in models], gone)
