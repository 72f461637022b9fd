"""A plug that is pulled between any two system calls of a command, and what must be found then.

A command runs once while every call by which it changes files is written down (plug.c); what a disk
would hold had the plug been pulled before any one of them is worked out from that (disk.py), and
each is opened as after a start. Whether nothing was missed is checked: what was written down must
make the folder that the command left, byte for byte.
"""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.power.disk import STOPPED, Call, Disk, Image, images, put, read_calls

SOURCE = Path(__file__).with_name("plug.c")
ROOT = Path(__file__).parents[2]
KAIMEN = (sys.executable, "-m", "kaimen.cli.main")
CUT = 99  # exit code of a process that was ended before one of its calls
SPREAD = 25  # folders that are opened where not every one is
State = Callable[[], Hashable]
Left = tuple[int, str, Image]  # before which call, how, and what is left


def built(folder: Path) -> Path:
    """The library that writes calls down; skips where none can be built."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler here (cc), or no Linux: a plug cannot be pulled")
    library = folder / "plug.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return library


@dataclass(frozen=True)
class Pulled:
    """What was found."""

    calls: int  # of the command
    images: int  # different folders that a pulled plug would have left
    found: dict[Hashable, int]  # how many of them were in which state

    def __str__(self) -> str:
        counts = " and ".join(str(count) for count in self.found.values())
        return f"{self.calls} calls, {self.images} different folders: {counts}"


class Plug:
    """Runs commands that change one folder, and pulls the plug."""

    def __init__(self, library: Path, folder: Path, *, every: bool = True) -> None:
        """``folder`` is all that is on the disk; traces are kept beside it.

        Not ``every`` folder that may be left is opened then, but SPREAD of them.
        """
        self.folder = folder
        self._every = every
        self._library = library
        self._trace = folder.with_name(f"{folder.name}.trace")

    def calls(self, command: Sequence[str], *, stop: int = 0) -> list[Call]:
        """Run a command; ``stop`` it before the call of that number, counted from 1."""
        self._trace.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self._library),
            "POWER_FOLDER": str(self.folder),
            "POWER_TRACE": str(self._trace),
            "POWER_STOP": str(stop),
            "PYTHONHASHSEED": "0",
        }
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == (CUT if stop else 0), done.stdout + done.stderr
        return read_calls(self._trace)

    def pull(self, command: Sequence[str], state: State, *, said: str = "") -> Pulled:
        """Pull the plug before each call of a command, in each of three ways.

        ``state`` opens the folder as a new process does, raises where it is not whole, and says
        in which state it is: afterwards in that of before, or in that which the command leads to.
        From the call on by which the command says ``said``, and from its end on, in the latter.
        """
        start = Disk.of(self.folder)
        before = start.image(STOPPED)
        calls = self.calls(command)
        left = _after(start, calls)
        missed = _differing(left, Disk.of(self.folder).image(STOPPED))
        assert not missed, f"a call was missed: {missed}"
        put(left, self.folder)
        new = state()
        put(before, self.folder)
        old = state()
        assert old != new, "the command led to no other state"
        says = [call.kind == "O" and said.encode() in call.data for call in calls]
        acknowledged = says.index(True) + 1 if said else len(calls)
        known: dict[bytes, Hashable] = {}
        for number, mode, image in self.spread(images(start, calls)):
            digest = digest_of(image)
            if digest not in known:
                put(image, self.folder)
                known[digest] = state()
            where = f"{mode} before call {number + 1} of {len(calls)}: {calls[number:][:1]}"
            assert known[digest] in (old, new), f"neither old nor new, {where[:500]}"
            if number >= acknowledged:
                assert known[digest] == new, f"acknowledged, and gone, {where[:500]}"
        put(left, self.folder)
        found = {each: [*known.values()].count(each) for each in (old, new)}
        pulled = Pulled(len(calls), len(known), found)
        sys.stdout.write(f"{pulled}\n")  # shown by pytest -rP
        return pulled

    def spread(self, left: Iterable[Left]) -> list[Left]:
        """Of what may be left, what is to be opened: each folder, or some of them."""
        different: dict[bytes, Left] = {}
        for each in left:
            digest = digest_of(each[2])
            different.pop(digest, None)
            different[digest] = each  # in the order of when it is last left
        found = [*different.values()]
        step = 1 if self._every else max(1, len(found) // SPREAD)
        end = found[-1][0]
        return [each for at, each in enumerate(found) if at % step == 0 or each[0] == end]

    def stop(self, command: Sequence[str], before: int) -> list[Call]:
        """End a command before one of its calls, for real; what it did until then.

        What is left is that which would have been worked out.
        """
        start = Disk.of(self.folder)
        calls = self.calls(command, stop=before)
        assert len(calls) == before - 1
        assert not _differing(_after(start, calls), Disk.of(self.folder).image(STOPPED))
        return calls


def _after(start: Disk, calls: list[Call]) -> Image:
    """What a disk holds after all of these calls."""
    disk = copy.deepcopy(start)
    for call in calls:
        disk.apply(call)
    return disk.image(STOPPED)


def _differing(one: Image, other: Image) -> list[str]:
    """Paths of what differs, but for what processes share in memory and nobody keeps (mmap)."""
    return [
        path
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path) and not path.endswith("-shm")
    ]


def digest_of(image: Image) -> bytes:
    """Tells images apart."""
    found = hashlib.sha256()
    for path, content in image.items():
        written = content if isinstance(content, bytes) else repr(content).encode()
        found.update(f"{path}\0{type(content)}\0{len(written)}\0".encode() + written)
    return found.digest()
