"""Whose files a school's are: the gate can use them, and nobody else can read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from kaimen.doctor.finding import Finding, Patient, attention, broken, ok


def check(patient: Patient) -> Iterator[Finding]:
    """Tell whether all files belong to whom the folder does, and to nobody else."""
    path, key = patient.settings.gallery.file, patient.settings.gallery.key_file
    folder = path.parent
    if not folder.exists():
        return
    found = _status([*folder.rglob("*"), key])
    others = [each for each in found if found[each].st_uid != folder.stat().st_uid]
    if others:
        more = f" (and {len(others) - 1} more)" if others[1:] else ""
        yield broken(
            "files",
            f"{others[0]} belongs to another user than {folder}: the gate cannot use it{more}",
            f"sudo chown --reference={folder} {others[0]}",
        )
        return
    # A calibration tells of nobody; the key has a line of its own.
    private = [each for each in found if each != key and not each.match("*.calibration.json")]
    ours = [each for each in private if each.name.startswith((path.stem, "audit-", "head"))]
    readable = [each for each in ours if found[each].st_mode & 0o077]
    if readable:
        yield attention("files", f"others may read {readable[0]}", f"sudo chmod 600 {readable[0]}")
    else:
        yield ok("files", f"{len(found)}, for their owner alone")


def _status(paths: Iterable[Path]) -> dict[Path, os.stat_result]:
    """Return the status of files, less those that are gone: a gate may be at work."""
    found = {}
    for path in sorted(paths):
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found[path] = status
    return found
