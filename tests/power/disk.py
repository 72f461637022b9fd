"""A disk as it may be after a plug was pulled.

It is told every system call that changed a folder. What a file held is there for certain once the
file was synced, a name once its folder was. All else may be there or not.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEAD = struct.Struct("<IIIQQq")
LOST, KEPT, STOPPED = "lost", "kept", "stopped"
MODES = (LOST, KEPT, STOPPED)
"""Of what was not synced, neither names nor contents are there; or names, and no contents; or all
of it, with the first half of a write that was under way: what a killed process leaves."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that succeeded."""

    kind: str
    inode: int
    offset: int
    path: str
    other: str
    data: bytes


def read_calls(trace: Path) -> list[Call]:
    """What plug.c wrote down."""
    written, calls, at = trace.read_bytes(), [], 0
    while at < len(written):
        kind, first, second, inode, length, offset = HEAD.unpack_from(written, at)
        at += HEAD.size
        path, other = written[at : at + first], written[at + first : at + first + second]
        at += first + second
        data = written[at : at + length]
        at += length
        calls.append(Call(chr(kind), inode, offset, os.fsdecode(path), os.fsdecode(other), data))
    return calls


@dataclass(eq=False, slots=True)
class File:
    """What a file holds now, and what of it is on the disk for certain."""

    content: bytearray
    synced: bytes = b""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


FOLDER = Link("")  # stands for one
Node = File | Link
Names = dict[str, Node]
Image = dict[str, bytes | Link]  # by path: contents, links and folders


@dataclass(slots=True)
class _Change:
    """A change of names, until all folders concerned are synced."""

    call: Call
    node: Node
    unsynced: set[str]


@dataclass(slots=True)
class Disk:
    """A folder, and what would be left of it."""

    folder: Path
    names: Names = field(default_factory=dict)
    synced: Names = field(default_factory=dict)
    inodes: dict[int, File] = field(default_factory=dict)
    changes: list[_Change] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """A folder as it is, all of it synced."""
        disk = cls(folder)
        disk.names[str(folder)] = FOLDER
        for path in sorted(folder.rglob("*")):
            node: Node = FOLDER
            if path.is_symlink():
                node = Link(str(path.readlink()))
            elif path.is_file():
                content = path.read_bytes()
                node = disk.inodes.setdefault(path.stat().st_ino, File(bytearray(content), content))
            disk.names[str(path)] = node
        disk.synced = dict(disk.names)
        return disk

    def apply(self, call: Call) -> None:
        """Go on by one call."""
        if call.kind == "W":
            content = self.inodes[call.inode].content
            content.extend(bytes(max(0, call.offset - len(content))))
            content[call.offset : call.offset + len(call.data)] = call.data
        elif call.kind == "T":
            content = self.inodes[call.inode].content
            del content[call.offset :]
            content.extend(bytes(call.offset - len(content)))
        elif call.kind == "S":
            file = self.inodes[call.inode]
            file.synced = bytes(file.content)
        elif call.kind == "D":
            self._sync(call.path)
        elif call.kind in "CMRLUY":
            self._rename(call)
        elif call.kind != "O":
            raise AssertionError(f"a call that this disk does not know: {call}")

    def _rename(self, call: Call) -> None:
        node: Node = FOLDER
        if call.kind == "C":
            node = self.inodes[call.inode] = File(bytearray())
        elif call.kind == "L":
            node = self.names[call.path]
        elif call.kind == "Y":
            node = Link(call.other)
        paths = (call.path, call.other) if call.kind in "RL" else (call.path,)
        folders = {str(Path(path).parent) for path in paths}
        self.changes.append(_Change(call, node, folders))
        _change(self.names, call, node)

    def _sync(self, folder: str) -> None:
        waiting = []
        for change in self.changes:
            change.unsynced.discard(folder)
            if change.unsynced:
                waiting.append(change)
            else:
                _change(self.synced, change.call, change.node)
        self.changes = waiting

    def image(self, mode: str) -> Image:
        """What is left."""
        names = self.synced if mode == LOST else self.names
        found: Image = {}
        for path, node in sorted(names.items()):
            if path != str(self.folder) and str(Path(path).parent) not in found:
                continue  # in a folder that is not there
            if isinstance(node, File):
                found[path] = bytes(node.content) if mode == STOPPED else node.synced
            else:
                found[path] = node
        return found


def _change(names: Names, call: Call, node: Node) -> None:
    if call.kind in "CMY":
        names[call.path] = node
    elif call.kind == "L":
        names[call.other] = node
    elif call.kind == "U":
        names.pop(call.path, None)
    elif call.path in names:  # renamed, with all that is in it
        names.pop(call.other, None)
        for path in [each for each in names if f"{each}/".startswith(f"{call.path}/")]:
            names[call.other + path[len(call.path) :]] = names.pop(path)


def half(call: Call) -> Call:
    """A write of which the first half was done."""
    data = call.data[: len(call.data) // 2]
    return Call(call.kind, call.inode, call.offset, call.path, call.other, data)


def images(disk: Disk, calls: list[Call]) -> Iterator[tuple[int, str, Image]]:
    """What is left if the plug is pulled before each of the calls, and after the last."""
    for number, call in enumerate(calls):
        for mode in (LOST, KEPT):
            yield number, mode, disk.image(mode)
        if call.kind == "W":
            file = disk.inodes[call.inode]
            before = bytes(file.content)
            disk.apply(half(call))
            yield number, STOPPED, disk.image(STOPPED)
            file.content[:] = before
        else:
            yield number, STOPPED, disk.image(STOPPED)
        disk.apply(call)
    for mode in MODES:
        yield len(calls), mode, disk.image(mode)


def put(image: Image, folder: Path) -> None:
    """Make a folder what an image says."""
    shutil.rmtree(folder)
    for path, content in sorted(image.items()):
        if content == FOLDER:
            Path(path).mkdir()
        elif isinstance(content, Link):
            Path(path).symlink_to(content.target)
        else:
            Path(path).write_bytes(content)
            Path(path).chmod(0o600)
