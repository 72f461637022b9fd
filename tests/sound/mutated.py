"""Files with bytes changed, lost and put in: driven through reading and the commands.

``python -m tests.sound.mutated 5000`` prints what became of them.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import soundfile

from kaimen.cli.main import main as kaimen
from kaimen.errors import RecordingError
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.sound.made_files import amr

PHRASE = RECORDINGS / "anning" / "phrase-1.mp3"
BY_FFMPEG = {
    "none.mp3": ("-q:a", "5", "-write_xing", "0"),
    "phrase.m4a": ("-c:a", "aac"),
    "phrase.aac": ("-c:a", "aac"),
    "phrase.webm": ("-c:a", "libopus"),
    "phrase.opus": ("-c:a", "libopus"),
    "flac.oga": ("-c:a", "flac"),
    "phrase.wma": (),
}
STUDENT = 5  # files of each, as they are enrolled


def seeds() -> dict[str, bytes]:
    """Return sound files of every format that can be made here, by name."""
    found = {"phrase.mp3": PHRASE.read_bytes(), "phrase.amr": amr(1.5)}
    sound = read(PHRASE)
    both = np.stack((sound, sound / 2), axis=1)
    for name, subtype in (
        ("16.wav", "PCM_16"), ("float.wav", "FLOAT"), ("ulaw.wav", "ULAW"), ("24.aiff", "PCM_24"),
        ("phrase.flac", "PCM_16"), ("phrase.ogg", "VORBIS"),
    ):  # fmt: skip
        file = io.BytesIO()
        form = {"wav": "WAV", "aiff": "AIFF", "flac": "FLAC", "ogg": "OGG"}[name.split(".")[1]]
        soundfile.write(file, both, SAMPLE_RATE, format=form, subtype=subtype)
        found[name] = file.getvalue()
    if shutil.which("ffmpeg"):
        with tempfile.TemporaryDirectory() as folder:
            for name, options in BY_FFMPEG.items():
                path = Path(folder, name)
                command = ["ffmpeg", "-v", "error", "-i", PHRASE, *options, path]
                subprocess.run(command, check=True)
                found[name] = path.read_bytes()
    return found


def mutate(content: bytes, other: bytes, draw: np.random.Generator) -> bytes:
    """Return a file with one to three accidents: cut, flipped, spliced, or more put in."""
    changed = bytearray(content)
    for _ in range(draw.integers(1, 4)):
        # Where formats say what is in them it hurts most.
        within = min(len(changed), 200) if draw.random() < 0.3 else len(changed)
        at = int(draw.integers(0, within + 1))
        length = int(draw.integers(1, 400))
        kind = draw.integers(0, 6)
        if kind == 0:
            del changed[max(1, at) :]
        elif kind == 1 and at < len(changed):
            changed[at] ^= 1 << int(draw.integers(0, 8))
        elif kind == 2:
            start = int(draw.integers(0, len(other)))
            changed[at : at + length] = other[start : start + length]
        elif kind == 3:
            changed[at:at] = draw.bytes(length)
        elif kind == 4:
            changed[at : at + 4] = draw.choice([b"\0\0\0\0", b"\xff" * 4, b"\x7f\xff\xff\xff"])
        else:
            del changed[at : at + length]
    return bytes(changed)


def mutated(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield mutated files, each with the name of what it was; always the same ones."""
    whole = seeds()
    names = sorted(whole)
    for at in range(count):
        draw = np.random.default_rng(at)
        name, other = names[at % len(names)], names[int(draw.integers(len(names)))]
        yield name, mutate(whole[name], whole[other], draw)


def _said(*arguments: str | Path) -> tuple[int, list[dict]]:
    """Run a command in this process."""
    with redirect_stdout(io.StringIO()) as out:
        code = kaimen([*map(str, arguments), "--json"])
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    """Drive so many files through reading, ``embed``, ``listen`` and ``enroll``."""
    count = int(sys.argv[1])
    os.sched_getaffinity = lambda _: {0}  # type: ignore[assignment]  # enroll in this process
    print("| through | files | used | refused | s | longest, s | memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "kaimen.toml")
        config.write_text(
            f'[gallery]\npath = "{folder}/gallery.sqlite"\nkey = "{folder}/key"\n'
            "[door]\nmock = true\nlease = 0.05\n"
        )
        options = ("--config", config)
        files = []
        for at, (name, content) in enumerate(mutated(count)):
            path = Path(folder, "school", f"s{at // STUDENT:04}", f"{at:05}-{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files.append(path)
        reasons: Counter[str] = Counter()
        took = []
        for path in files:
            began = time.perf_counter()
            try:
                read(path)
                reasons["read"] += 1
            except RecordingError as error:
                reasons[type(error).__name__] += 1
            took.append(time.perf_counter() - began)
        _row("read", count, reasons["read"], sum(took), f"{max(took):.1f}")
        print(dict(reasons), file=sys.stderr)
        takes = sorted(PHRASE.parent.glob("phrase-[1-5].mp3"))
        _said("enroll", "--student", "anning", *takes, *options)
        for command, more in (
            (("embed", "--out", f"{folder}/points.npz"), files),
            (("listen",), files),
            (("enroll", "--accept-alike", "--from", f"{folder}/school"), []),
        ):
            began = time.perf_counter()
            code, said = _said(*command, *more, *options)
            assert code in (0, RecordingError.exit_code)
            refused = len({each["path"] for each in said if "error" in each} & set(map(str, files)))
            _row(f"`{command[0]}`", count, count - refused, time.perf_counter() - began, "")


def _row(what: str, files: int, used: int, seconds: float, longest: str) -> None:
    row = (what, files, used, files - used, round(seconds), longest, _memory())
    print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
