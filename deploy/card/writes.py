"""Counts what a gate writes to its card: of the card itself, and by process and file.

    sudo python deploy/card/writes.py FOLDER [--minutes 10 18] [--every 15]

The card is a file with ext4 on it, mounted as a disk of its own, so that the journal and the tables
of the file system count, too. On it is the state of a gate whose door, console and fleet process
run beside it; the desk and the broker are on another disk. First nobody comes, then somebody every
so many seconds, the demo's synthetic voices, as many strangers as students. Needs root and
Mosquitto.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from kaimen.enrollment.entries import recordings_in
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read

KAIMEN = [sys.executable, "-m", "kaimen.cli.main"]
SECTOR = 512  # bytes
SIZE = 512 << 20  # bytes of the card
ENROLLED = 5  # recordings of a student
EVERY = 3  # of the people, the last stays a stranger
ROOM = -70.0  # dB
PORT = 18_883
LOGS = "logs"  # of all processes, in memory: systemd would have them
DAY = 24 * 3600

SETTINGS = """
[gallery]
path = "{folder}/gallery.sqlite"
key = "{folder}/key"
[bundle]
path = "{folder}/bundles"
[fleet]
path = "{folder}/fleet"
[gate]
retry = false
lockout = 0.0
[checks]
loudspeaker = false
[door]
mock = true
socket = "{run}/door"
lease = 1.0
[console]
port = 18443
"""


def main() -> int:
    """Set everything up, wait, and say what was written."""
    options = _options()
    folder = options.folder.absolute()
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        card = folder / "card"
        device = stack.enter_context(_mounted(folder / "card.img", card))
        logs = stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
        (folder / LOGS).symlink_to(logs)
        desk, gate = folder / "desk", card / "kaimen"
        for each in (desk, gate, folder / "run"):
            each.mkdir()
            each.chmod(0o700)
        configs = {}
        for name, place in (("desk", desk), ("gate", gate)):
            configs[name] = folder / f"{name}.toml"
            text = SETTINGS.format(folder=place, run=folder / "run")
            configs[name].write_text(text, encoding="utf-8")
        students, strangers = _people()
        _enroll(folder, configs["desk"], students)
        stack.enter_context(_fleet(folder, configs))
        running = {
            name: stack.enter_context(
                _running(folder, name, [*command, "--config", configs["gate"]])
            )
            for name, command in {
                "door": ["door"],
                "fleet": ["fleet", "gate", "--json"],
                "console": ["console"],
            }.items()
        }
        _until(lambda: _armed(configs["gate"]), "the gate's calibration")
        played = folder / "day.wav"
        quiet, busy = (round(60 * each) for each in options.minutes)
        phrases = _day(played, quiet, busy, options.every, students, strangers)
        command = ["run", "--json", "--play", played, "--config", configs["gate"]]
        running["gate"] = stack.enter_context(_running(folder, "gate", command))
        time.sleep(30)  # whatever a start writes
        counts = [_counts(device, running)]
        time.sleep(max(1, quiet - 45))
        counts.append(_counts(device, running))
        time.sleep(15)
        counts.append(_counts(device, running))
        time.sleep(busy - 20)
        counts.append(_counts(device, running))
        found = {
            "quiet": _between(counts[0], counts[1]),
            "busy": _between(counts[2], counts[3]),
            "phrases": phrases,
            "decisions": _decisions(folder / LOGS / "gate.log"),
        }
    (folder / "writes.json").write_text(json.dumps(found, indent=1))
    _say(found)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="to work in; must not be there")
    parser.add_argument("--minutes", type=float, nargs=2, default=(10, 18), help="quiet, and busy")
    parser.add_argument("--every", type=float, default=15, help="seconds between phrases")
    return parser.parse_args()


@contextmanager
def _mounted(image: Path, at: Path) -> Iterator[str]:
    """Make a card and mount it; the name of its block device."""
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image], check=True)
    at.mkdir()
    # As Raspberry Pi OS mounts its root.
    subprocess.run(["mount", "-o", "loop,noatime", image, at], check=True)
    try:
        device = at.stat().st_dev
        yield f"{os.major(device)}:{os.minor(device)}"
    finally:
        subprocess.run(["umount", at], check=False)


def _people() -> tuple[dict[str, list[Path]], list[Path]]:
    """Who is enrolled, with their recordings, and recordings of strangers."""
    students, strangers = {}, []
    for number, (name, files) in enumerate(sorted(recordings_in(RECORDINGS).items()), start=1):
        said = [each for each in files if each.stem.startswith("phrase")]
        if number % EVERY:
            students[name] = said
        else:
            strangers += said
    return students, strangers


def _enroll(folder: Path, config: Path, students: dict[str, list[Path]]) -> None:
    school = folder / "school"
    for name, files in students.items():
        (school / name).mkdir(parents=True)
        for file in files[:ENROLLED]:
            (school / name / file.name).write_bytes(file.read_bytes())
    _kaimen("enroll", "--from", school, "--config", config)


@contextmanager
def _fleet(folder: Path, configs: dict[str, Path]) -> Iterator[None]:
    """A broker and a desk; the gate has joined them."""
    broker, passphrase = folder / "broker", folder / "passphrase"
    passphrase.write_text("a long passphrase of words\n")
    desk = ["--config", configs["desk"]]
    invitation = folder / "gate.invitation"
    _kaimen("fleet", "create", "--broker", f"127.0.0.1:{PORT}", "--name", "office",
            "--broker-files", broker, *desk)  # fmt: skip
    _kaimen("fleet", "invite", invitation, "--name", "gate", "--broker-files", broker,
            "--passphrase-file", passphrase, *desk)  # fmt: skip
    _kaimen("fleet", "join", invitation, "--passphrase-file", passphrase,
            "--config", configs["gate"])  # fmt: skip
    subprocess.run(["chown", "-R", "mosquitto", broker], check=False)
    folder.chmod(0o755)
    with (
        _started(folder, "broker", ["mosquitto", "-c", broker / "mosquitto.conf"]),
        _running(folder, "desk", ["fleet", "desk", "--json", *desk]),
    ):
        yield


def _kaimen(*arguments: str | Path) -> None:
    subprocess.run([*KAIMEN, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _running(folder: Path, name: str, arguments: list[str | Path]) -> Iterator[int]:
    with _started(folder, name, [*KAIMEN, *arguments]) as number:
        yield number


@contextmanager
def _started(folder: Path, name: str, command: list[str | Path]) -> Iterator[int]:
    """Start a process whose output goes to a file; its number."""
    with (folder / LOGS / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            time.sleep(1)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _armed(config: Path) -> bool:
    asked = [*KAIMEN, "students", "--json", "--config", str(config)]
    said = subprocess.run(asked, capture_output=True, text=True)
    beside = list((config.parent / "card" / "kaimen").glob("*calibration*"))
    return said.returncode == 0 and bool(said.stdout.strip()) and bool(beside)


def _until(so: object, what: str) -> None:
    until = time.monotonic() + 300
    while not so():  # type: ignore[operator]
        if time.monotonic() > until:
            raise SystemExit(f"no {what} within five minutes; see the logs")
        time.sleep(1)


def _day(
    path: Path,
    quiet: int,
    busy: int,
    every: float,
    students: dict[str, list[Path]],
    strangers: list[Path],
) -> int:
    """Write what the microphone hears; how many phrases it holds."""
    random = np.random.default_rng(0)
    sound = random.standard_normal((quiet + busy) * SAMPLE_RATE).astype(np.float32)
    sound *= 10 ** (ROOM / 20)
    later = [file for files in students.values() for file in files[ENROLLED:]]
    starts = np.arange(quiet, quiet + busy - 10, every)
    for number, start in enumerate(starts.tolist()):
        files = (later, strangers)[number % 2]
        said = read(files[number // 2 % len(files)])
        begin = round(start * SAMPLE_RATE)
        sound[begin : begin + len(said)] += said[: len(sound) - begin]
    soundfile.write(path, sound, SAMPLE_RATE, "PCM_16")
    return len(starts)


def _counts(device: str, running: dict[str, int]) -> dict[str, float]:
    """Bytes and writes so far: of the card, and of each process with its children."""
    os.sync()
    fields = Path(f"/sys/dev/block/{device}/stat").read_text().split()
    found = {
        "at": time.monotonic(),
        "card, bytes": int(fields[6]) * SECTOR,
        "card, writes": float(fields[4]),
        "card, flushes": float(fields[15]),
    }
    for name, process in running.items():
        found[f"{name}, bytes"] = float(sum(map(_written, _family(process))))
    return found


def _family(process: int) -> Iterator[int]:
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for each in children:
        yield from _family(int(each))


def _written(process: int) -> int:
    lines = Path(f"/proc/{process}/io").read_text().splitlines()
    fields = dict(line.split(": ") for line in lines)
    return int(fields["write_bytes"])


def _between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    found = {name: after[name] - before[name] for name in after if name != "at"}
    return {"seconds": after["at"] - before["at"], **found}


def _decisions(log: Path) -> int:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return sum("verdict" in json.loads(line) for line in lines)


def _say(found: dict[str, dict[str, float]]) -> None:
    print(f"{found['decisions']} decisions of {found['phrases']} phrases")
    for name in ("quiet", "busy"):
        part = found[name]
        print(f"{name}, {part['seconds']:.0f} s:")
        for what, count in part.items():
            if what != "seconds":
                a_day = count * DAY / part["seconds"]
                print(f"  {what}: {count:,.0f}; times a day, extrapolated: {a_day:,.0f}")


if __name__ == "__main__":
    sys.exit(main())
