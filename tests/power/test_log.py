"""The log of a gate whose plug is pulled: every line that it was told is written is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kaimen.audit import Audit, export, verify
from tests.power.disk import Disk, images, put
from tests.power.plug import KAIMEN, Plug

KEY = bytes(range(32))
LINES = 40
WRITE = """
import os, sys
from pathlib import Path
from kaimen.audit import Audit
with Audit(Path({folder!r}) / "audit", bytes(range(32)), largest={largest}, kept={kept}) as log:
    for number in range({lines}):
        log.write({{"count": number}})
        os.write(1, b"told " + str(number).encode() + b";")
"""


@pytest.mark.parametrize(("largest", "kept"), [(4 << 20, 256), (2_000, 256), (700, 2)])
def test_no_line_that_was_told_is_lost(plug: Plug, largest: int, kept: int) -> None:
    """In one file, over files that are begun, and over files that are removed."""
    code = WRITE.format(folder=str(plug.folder), largest=largest, kept=kept, lines=LINES)
    start = Disk.of(plug.folder)
    calls = plug.calls([KAIMEN[0], "-c", code])
    told = [0]
    for call in calls:
        found = re.findall(rb"told (\d+);", call.data) if call.kind == "O" else []
        told.append(int(found[-1]) + 1 if found else told[-1])
    assert told[-1] == LINES
    for number, mode, image in plug.spread(images(start, calls)):
        put(image, plug.folder)
        where = f"{mode} before call {number + 1} of {len(calls)}: {calls[number:][:1]}"[:300]
        counts = after_a_start(plug.folder / "audit", where)
        assert counts == list(range(counts[0], counts[-1] + 1)) if counts else True, where
        last = counts[-1] if counts else -1
        assert told[number] - 1 <= last <= told[number], where


def after_a_start(folder: Path, where: str) -> list[int]:
    """Start a gate, which goes on with its log; the lines of before that are kept."""
    with Audit(folder, KEY) as log:
        log.write({"event": "started"})
    report = verify(folder, KEY)
    assert report.problems == [] and report.lost <= 1, where
    return [each["count"] for each in export(folder, KEY) if "count" in each]
