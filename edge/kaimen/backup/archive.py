"""What a backup holds, as a stream of named files: a tar archive that is sealed.

``made.json``, ``settings`` where the gate has any, then the pieces of the school under their names;
those that are folders file by file.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from kaimen.backup.sealing import CHUNK, Opener, Sealer
from kaimen.errors import GalleryError, StorageError
from kaimen.school.files import BACKED_UP

MADE = "made.json"
SETTINGS = "settings"
FOLDERS = ("audit", "acts", "bundles")
FILE = re.compile(r"(?!\.)[^/\0]+")  # a name of a file or folder that leads nowhere else


class Writer:
    """Puts files into a sealed archive."""

    def __init__(self, file: IO[bytes], passphrase: bytes) -> None:
        self._sealer = Sealer(file, passphrase)
        sealed = cast(IO[bytes], self._sealer)
        self._tar = tarfile.open(fileobj=sealed, mode="w|")  # noqa: SIM115  # see ``finish``

    def add(self, name: str, content: bytes) -> None:
        """Add a small file."""
        self._add(name, len(content), io.BytesIO(content))

    def add_path(self, name: str, path: Path) -> None:
        """Add a file, or all files of a folder but what is being written there. Raises OSError."""
        if path.is_dir():
            for each in sorted(path.iterdir()):
                if FILE.fullmatch(each.name):
                    self.add_path(f"{name}/{each.name}", each)
            return
        with path.open("rb") as file:
            self._add(name, file.seek(0, io.SEEK_END), file)

    def _add(self, name: str, size: int, file: IO[bytes]) -> None:
        file.seek(0)
        info = tarfile.TarInfo(name)
        info.size = size
        self._tar.addfile(info, file)

    def finish(self) -> None:
        """End it; without that nobody reads it."""
        self._tar.close()
        self._sealer.finish()


@contextmanager
def reading(path: Path, passphrase: bytes) -> Iterator[Iterator[tuple[str, int, IO[bytes]]]]:
    """Names, sizes and contents of a backup's files, each to be read before the next.

    Only when the last was asked for is it known that nothing is missing. Raises GalleryError for
    what was changed or cut off, StorageError for what cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield _files(Opener(file, passphrase))
    except GalleryError as error:
        raise GalleryError(f"{path}: {error}") from None
    except tarfile.TarError as error:
        raise GalleryError(f"{path}: not a backup that this Kaimen reads ({error})") from None
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        where = error.filename or path
        raise StorageError(f"{where}: cannot be read or written ({error.strerror})") from None


def _files(opener: Opener) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(fileobj=cast(IO[bytes], opener), mode="r|") as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            if content is None or not _known(info.name):
                raise GalleryError(f"holds {info.name!a}, which this Kaimen does not know")
            yield info.name, info.size, content
    while opener.read(CHUNK):
        pass


def _known(name: str) -> bool:
    first, *rest = name.split("/")
    if first in FOLDERS:
        return bool(rest) and all(FILE.fullmatch(each) for each in rest)
    return not rest and first in (MADE, SETTINGS, *BACKED_UP)
