"""Phrases that are kept for a while: sealed sound, one file each, and what somebody said of them.

A file's name says when it was heard, so that it is erased in time by whoever holds no key, too.
What was marked of a phrase is kept apart and longer: it says whether the gate was right, and of
nobody.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import secrets
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaimen.clock import utc_now
from kaimen.errors import GalleryError, StorageError
from kaimen.names import as_kept
from kaimen.parsing import read_json
from kaimen.registry.vault import Vault
from kaimen.storage import make_folder, sync, unwritten, write_whole

MOST = 500  # phrases; the oldest goes when another comes
MARKED = datetime.timedelta(days=365)  # that marks are kept
NEVER_SET = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # no clock that is right is before
TIME = "%Y%m%dT%H%M%S"
NUMBER = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{6}")
LENGTH = struct.Struct("<I")  # of what is told, before the sound


@dataclass(frozen=True, slots=True)
class KeptPhrase:
    """A phrase that was kept, without its sound."""

    number: str  # when it was heard, UTC, and six digits
    told: dict[str, Any]  # what was decided of it
    students: tuple[str, ...]  # whom it may be of: erased with any of them

    @property
    def at(self) -> datetime.datetime:
        """Return when it was heard, in UTC."""
        return _time(self.number)


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said of a phrase after listening."""

    number: str
    stratum: str  # what kind of phrase it is a sample of
    right: bool  # whether the gate was

    @property
    def at(self) -> datetime.datetime:
        """Return when the phrase was heard, in UTC."""
        return _time(self.number)


def kept_phrases_path(registry: Path) -> Path:
    """Return the folder of a registry's kept phrases."""
    return registry.with_suffix(".review")


class KeptPhrases:
    """The phrases of one folder. Several processes may use it: each file is whole or not there."""

    def __init__(
        self, folder: Path, vault: Vault, *, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._folder = folder
        self._vault = vault
        self._now = now

    def keep(self, sound: bytes, told: dict[str, Any], students: Collection[str]) -> str:
        """Keep a phrase, with what is told of it; return its number. Raises StorageError."""
        number = f"{self._now():{TIME}}-{secrets.token_hex(3)}"
        names = sorted({as_kept(each) for each in students})
        about = json.dumps({"told": told, "students": names}).encode()
        content = LENGTH.pack(len(about)) + about + sound
        self._keep_sealed(self._phrase(number), content, _context(number))
        for old in self.numbers()[:-MOST]:
            self._forget(self._phrase(old))
        return number

    def numbers(self) -> list[str]:
        """Return the numbers of the phrases that are there, the oldest first."""
        return sorted(path.stem for path in self._files(".phrase"))

    def phrases(self) -> Iterator[KeptPhrase]:
        """Yield phrases that open under this key, the latest first. Raises StorageError."""
        for number in reversed(self.numbers()):
            with contextlib.suppress(GalleryError):  # of another key, or erased meanwhile
                yield self._opened(number)[0]

    def phrase(self, number: str) -> KeptPhrase:
        """Return one of them. Raises GalleryError where it is not there or does not open."""
        return self._opened(number)[0]

    def sound(self, number: str) -> bytes:
        """Return its sound, a FLAC file's content. Raises GalleryError likewise."""
        return self._opened(number)[1]

    def mark(self, mark: Mark) -> None:
        """Write down what somebody said, in place of what was said before. Raises StorageError."""
        content = json.dumps({"stratum": mark.stratum, "right": mark.right}).encode()
        path = self._folder / f"{mark.number}.mark"
        self._keep_sealed(path, content, _context_of_mark(mark.number))

    def marks(self) -> list[Mark]:
        """Return what was marked, the oldest first; also of phrases that are erased since."""
        found = []
        for path in sorted(self._files(".mark")):
            with contextlib.suppress(GalleryError, OSError):
                opened = self._vault.unseal(path.read_bytes(), _context_of_mark(path.stem))
                found.append(Mark(path.stem, **read_json(opened)))
        return found

    def erase(self, number: str) -> None:
        """Erase a phrase; what was marked of it stays. Raises GalleryError and StorageError."""
        if number not in self.numbers():
            raise _absent(number)
        self._forget(self._phrase(number))

    def erase_all(self) -> int:
        """Erase all phrases; return how many there were. Raises StorageError."""
        numbers = self.numbers()
        for number in numbers:
            self._forget(self._phrase(number))
        return len(numbers)

    def seal_anew(self, to: KeptPhrases) -> None:
        """Write all phrases and marks that open into another folder, under its key.

        Raises StorageError.
        """
        for suffix, context in ((".phrase", _context), (".mark", _context_of_mark)):
            for path in self._files(suffix):
                try:
                    content = self._vault.unseal(_content(path), context(path.stem))
                except (GalleryError, FileNotFoundError):  # of another key, or erased meanwhile
                    continue
                to._keep_sealed(to._folder / path.name, content, context(path.stem))

    def expire(self, days: int) -> int:
        """Erase what was kept longer than so many days; return how many. Raises StorageError.

        By a clock that was never set nothing is erased, unless nothing is to be kept.
        """
        now = self._now()
        if now < NEVER_SET and days:
            return 0
        # What a clock that ran ahead put into the future would stay for longer.
        least, most = now - datetime.timedelta(days=days), now + datetime.timedelta(days=1)
        old = [each for each in self.numbers() if not days or not least < _time(each) < most]
        for number in old:
            self._forget(self._phrase(number))
        for path in self._files(".mark"):
            if _time(path.stem) < now - MARKED:
                self._forget(path)
        return len(old)

    def forget(self, student: str) -> None:
        """Erase every phrase that may be of a student. Raises StorageError."""
        for path in self._of(student):
            self._forget(path)

    def sealed_of(self, student: str) -> list[bytes]:
        """Return the sealed content of what ``forget`` would erase. Raises StorageError."""
        found = []
        for path in self._of(student):
            with contextlib.suppress(FileNotFoundError):  # its time was over meanwhile
                found.append(_content(path))
        return found

    def _of(self, student: str) -> list[Path]:
        """Return the files of phrases that may be of a student. Raises StorageError."""
        name, found = as_kept(student), []
        for number in self.numbers():
            try:
                phrase, _ = self._opened(number)
            except GalleryError:  # of another key: nobody can tell whose it is
                phrase = None
            if phrase is None or name in phrase.students:
                found.append(self._phrase(number))
        return found

    def _opened(self, number: str) -> tuple[KeptPhrase, bytes]:
        if NUMBER.fullmatch(number) is None:
            raise _absent(number)
        try:
            sealed = _content(self._phrase(number))
        except FileNotFoundError:
            raise _absent(number) from None
        content = self._vault.unseal(sealed, _context(number))
        (length,) = LENGTH.unpack_from(content)
        end = LENGTH.size + length
        about = read_json(content[LENGTH.size : end])
        return KeptPhrase(number, about["told"], tuple(about["students"])), content[end:]

    def _files(self, suffix: str) -> list[Path]:
        try:
            found = list(self._folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError(f"{self._folder}: cannot be read ({error.strerror})") from None
        return [each for each in found if each.suffix == suffix and NUMBER.fullmatch(each.stem)]

    def _keep_sealed(self, path: Path, content: bytes, context: str) -> None:
        sealed = self._vault.seal(content, context)
        try:
            make_folder(self._folder, 0o700)
        except OSError as error:
            raise unwritten(self._folder, error) from None
        write_whole(path, sealed, private=True)

    def _forget(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            sync(path.parent)
        except OSError as error:
            raise unwritten(path, error) from None

    def _phrase(self, number: str) -> Path:
        return self._folder / f"{number}.phrase"


def _content(path: Path) -> bytes:
    """Return a file's content. Raises FileNotFoundError and StorageError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from None


def _context(number: str) -> str:
    return f"kept phrase {number}"


def _context_of_mark(number: str) -> str:
    return f"mark of {_context(number)}"


def _absent(number: str) -> GalleryError:
    return GalleryError(f"{number}: no such phrase is kept; see 'kaimen review'")


def _time(number: str) -> datetime.datetime:
    match = NUMBER.fullmatch(number)
    try:
        found = datetime.datetime.strptime(match[1] if match else "", TIME)
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return found.replace(tzinfo=datetime.UTC)
