"""Writing a backup anew without whoever was erased since."""

from __future__ import annotations

from contextlib import closing

from kaimen.backup.restoring import BackupContent, Restored, unpacked
from kaimen.backup.taking import write_pieces
from kaimen.errors import StorageError
from kaimen.progress import Track
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.school.files import BACKED_UP, SchoolFiles


def reseal(backup: BackupContent, school: SchoolFiles, track: Track | None = None) -> Restored:
    """Put in a backup's place one that holds nobody who was removed since, in one step.

    Raises GalleryError and StorageError; the file is untouched then. What a stick's memory keeps
    of the file before is out of reach: only destroying the stick ends that.
    """
    with unpacked(backup, school, track=track) as (aside, restored):
        with closing(Registry(aside.registry, aside.vault)) as registry:
            registry.database.compact()
        with closing(ReplayMemory(aside.pieces["heard"], aside.vault)) as memory:
            memory.compact()
        pieces = {name: aside.pieces[name] for name in BACKED_UP if name in aside.there}
        try:
            written = write_pieces(
                backup.file, backup.passphrase, pieces, backup.settings, restored.students
            )
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{error.filename}: {error.strerror}; nothing is changed") from None
    with closing(Registry(school.registry, school.vault)) as registry:
        if backup.identity:
            registry.erasures.give_up_backup(backup.identity)
        registry.erasures.add_backup(written)
        registry.events.note("resealed", backup=written.identity, removed=restored.removed)
    return restored
