"""Measures what docs/figures/fleet.md says: python -m tests.fleet.figures WHAT

latency            from an enrollment at the desk to an opening at another gate, ten times
gates              a school at many gates: memory, decisions while changes pass, catching up;
                   --apart gives the first gate's two processes a core of their own
looks              what a gate computes to take over a change, and to read everybody
roster             thresholds for rosters of several sizes (doors: tests.fleet.door_figures)
unit               what one student costs: bytes, sealing, opening, writing, a broker's memory
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kaimen.calibration.leave_one_out import leave_one_out
from kaimen.calibration.thresholds import threshold_of
from kaimen.cli.main import main as kaimen
from kaimen.errors import RecordingError
from kaimen.fleet.ledger import BUCKET_NAMES, FleetEntry, Ledger
from kaimen.fleet.message import MessageKind, open_message, seal
from kaimen.fleet.packing import packed, unpacked
from kaimen.fleet.status import gate_rows
from kaimen.fleet.store import Store
from kaimen.gallery.gallery import Gallery
from kaimen.registry.copying import marks
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.settings.encoder import ENCODERS
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.evidence import Evidence
from tests.fleet.processes import Process, Site, memory_of, until
from tests.sounds import in_a_room, silence

DIMENSION = 192


@contextmanager
def a_site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="kaimen-fleet-") as folder:
        site = Site(Path(folder))
        try:
            yield site
        finally:
            site.stop()


def voices() -> list[str]:
    return sorted(each.name for each in RECORDINGS.iterdir() if each.is_dir())


def school(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        for take in (RECORDINGS / name).glob("phrase-[1-5].mp3"):
            (folder / name / take.name).symlink_to(take)
    return folder


def said_again_and_again(path: Path, voice: str, times: int) -> Path:
    spoken = read(RECORDINGS / voice / "phrase-6.mp3")
    sound = in_a_room(np.tile(np.concatenate([silence(0.5), spoken]), times))
    soundfile.write(path, sound, SAMPLE_RATE)
    return path


def answers(gate: Process) -> list[dict[str, Any]]:
    return [each for each in gate.said if "verdict" in each]


def until_said(gate: Process, verdict: str, after: int) -> None:
    until(lambda: verdict in [each["verdict"] for each in answers(gate)[after:]], 60)


def evidence() -> Evidence:
    """As much as is kept of a recording: what was said, and a fingerprint."""
    said = np.zeros((5, 64), np.float32)
    return Evidence(
        said,
        "phrases",
        np.random.default_rng(0).integers(0, 256, (117, 32)).astype(np.uint8),
        7000.0,
    )


def some_students(registry: Registry, first: int, count: int, group: str = "") -> None:
    """Enroll made-up students, of 5 recordings each, in one transaction each."""
    chance = np.random.default_rng(first)
    for number in range(first, first + count):
        points = chance.normal(size=(5, DIMENSION)).astype(np.float32)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        registry.enroll(
            f"m{number:06}", points, ENCODER[0], group=group or None, evidence=[evidence()] * 5
        )


ENCODER = [""]  # the identity of the one that ships, once it is known


def latency() -> dict[str, Any]:
    """From the moment a student is in the desk's registry to a decision that opens."""
    found = []
    with a_site() as site:
        late = "bowen"
        enroll_folder(site, school(site.folder / "school", [v for v in voices() if v != late]))
        member = site.invite("gate")
        site.start_broker()
        site.desk.start()
        member.start()
        until(lambda: (site.folder / "gate" / "gallery.calibration.json").exists(), 90)
        with closing(site.registry("office")) as office:
            enroll_folder(site, school(site.folder / "late", [late]))
            copy = office.copies.of(late)
            office.remove(late)
            sound = said_again_and_again(site.folder / "day.wav", late, 120)
            gate = site.process("gate", "run", "--play", str(sound))
            site.processes.append(gate)
            time.sleep(3)
            gate.start()
            until(lambda: len(answers(gate)) > 1, 60)
            for _ in range(10):
                office.copies.put(copy)
                put = time.time()
                count = len(answers(gate))
                with closing(site.registry("gate")) as there:
                    until(lambda: late in there.names(), 60)
                    known = time.time() - put
                until_said(gate, "open", count)
                found.append((known, time.time() - put))
                office.remove(late)
                count = len(answers(gate))
                until_said(gate, "unknown", count)
    known, opened = (sorted(each) for each in zip(*found, strict=True))
    return {
        "in the gate's registry, s": [round(each, 2) for each in known],
        "opened, s": [round(each, 2) for each in opened],
    }


def gates(
    count: int, students: int, changes: int, away: int, phrases: int, pace: float, apart: bool
) -> dict[str, Any]:
    """A school at many gates; with ``phrases``, somebody speaks at the first all the time.

    Changes are made at the desk at ``pace`` a second, 0: as fast as it can. With ``apart``, the
    first gate's two processes have the first core alone, and all others share the rest.
    """
    own: tuple[str, ...] = ()
    if apart:
        first, *rest = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, rest)  # processes that this one starts inherit it
        own = ("taskset", "-c", str(first))
    result: dict[str, Any] = {"gates": count, "students": students, "changes": changes}
    made_up = students - len(voices())
    with a_site() as site:
        enroll_folder(site, school(site.folder / "school", voices()))
        with closing(site.registry("office")) as office:
            ENCODER[0] = office.students()[0].encoder
            some_students(office, 0, made_up)
            members = [site.invite(f"gate-{number}") for number in range(count)]
            for number, member in enumerate(members):  # as its unit has it
                member.before = ("nice", "-n", "5", *(own if number == 0 else ()))
            site.start_broker()
            began = time.time()
            for process in site.processes:
                process.start()
            until(lambda: all_whole(site, count, students), 3600)
            result["all gates have the school, s"] = round(time.time() - began, 1)
            gate = speaking(site, own) if phrases else None
            if gate is not None:
                result["decision, calm, ms"] = decisions(gate, phrases)
            before = len(answers(gate)) if gate is not None else 0
            began = time.time()
            for number in range(changes):
                group = f"g{number // made_up}"
                office.describe(f"m{number % made_up:06}", group=group)
                if pace:
                    time.sleep(max(0.0, began + number / pace - time.time()))
            result["changes made, s"] = round(time.time() - began, 1)
            until(lambda: all_whole(site, count, students), 3600)
            result["changes everywhere, s"] = round(time.time() - began, 1)
            if gate is not None:
                during = answers(gate)[before:]
                result["decision, while changes pass, ms"] = told(during)
                result["decision, calm again, ms"] = decisions(gate, phrases)
            result["memory of a gate's fleet process, MB"] = spread_of_memory(members)
            result["memory of the broker, MB"] = round(memory_of(site.broker_pid) / 1e6, 1)
            result["memory of the desk, MB"] = round(memory_of(site.desk.pid) / 1e6, 1)
            members[-1].stop()
            for number in range(away):
                name, kept = f"m{number % made_up:06}", [evidence()] * 5
                office.enroll(name, new_points(number), ENCODER[0], evidence=kept)
            until(lambda: all_whole(site, count - 1, students), 3600)
            began = time.time()
            members[-1].start()
            until(lambda: all_whole(site, count, students), 3600)
            result[f"catching up on {away} changes, s"] = round(time.time() - began, 1)
    return result


def looks(students: int) -> dict[str, Any]:
    """Milliseconds of computing (of the thread, not of the clock) until a change is taken over."""
    found: dict[str, Any] = {"students": students}
    with tempfile.TemporaryDirectory(prefix="kaimen-looks-") as folder:
        path, vault = Path(folder) / "gallery.sqlite", Vault()
        ENCODER[0] = "e"
        with (
            closing(Registry(path, vault)) as desk,
            closing(Gallery.open(path, vault, "e", DIMENSION)) as gate,
        ):
            with desk.database.writing():
                some_students(desk, 0, students)
            gate.refresh()

            def look(what: str, change: Callable[[int], object]) -> None:
                taken = []
                for number in range(20):
                    change(number)
                    began = time.thread_time()
                    assert gate.refresh()
                    taken.append(time.thread_time() - began)
                found[what] = {**spread(taken), "most": round(max(taken) * 1000, 1)}

            def described(number: int, count: int = 1) -> None:
                with desk.database.writing():
                    for student in range(count):
                        desk.describe(f"m{student:06}", group=f"g{number}")

            def enrolled(number: int) -> None:
                kept = [evidence()] * 5
                desk.enroll("m000003", new_points(number), "e", evidence=kept)

            def removed(number: int) -> None:
                desk.remove(f"m{students - 1 - number:06}")

            def anew(number: int) -> None:
                described(number)
                gate._known.forget()

            look("a group, ms", described)
            look("400 groups, ms", lambda number: described(number, 400))
            look("a student enrolled anew, ms", enrolled)
            look("a student removed, ms", removed)
            look("everybody read, ms", anew)
    return found


def enroll_folder(site: Site, folder: Path) -> None:
    kaimen(["enroll", "--from", str(folder), "--config", str(site.office)])


def speaking(site: Site, before: tuple[str, ...]) -> Process:
    """Start the first gate's own process, with somebody who speaks all the time."""
    config = str(site.folder / "gate-0" / "kaimen.toml")
    kaimen(["calibrate", "--fpir", "0.05", "--config", config])
    sound = said_again_and_again(site.folder / "day.wav", "bowen", 820)
    gate = site.process("gate-0", "run", "--play", str(sound))
    gate.before = before
    site.processes.append(gate)
    gate.start()
    until(lambda: len(answers(gate)) >= 5, 300)
    return gate


def new_points(number: int) -> np.ndarray[Any, Any]:
    points = np.random.default_rng(number).normal(size=(5, DIMENSION)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def all_whole(site: Site, count: int, students: int) -> bool:
    """Whether so many gates that are online have the whole set."""
    time.sleep(0.2)
    with closing(Store(fleet_store_path(site.folder / "office" / "gallery.sqlite"))) as store:
        if not all(kept.published for kept in store.kept().values()):
            return False
        rows = [each for each in gate_rows(store) if each.online]
    return sum(row.students == students and not row.behind for row in rows) >= count


def decisions(gate: Process, count: int) -> dict[str, dict[str, float]]:
    begun = len(answers(gate))
    until(lambda: len(answers(gate)) >= begun + count, 60 + 5 * count)
    return told(answers(gate)[begun:])


def told(decided: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How long decisions took: their computing, and from the last sound to the answer."""
    return {each: spread([one[each] for one in decided]) for each in ("computed", "latency")}


def spread(seconds: list[float]) -> dict[str, float]:
    low, high = np.percentile(seconds, (50, 99)) * 1000
    return {"count": len(seconds), "p50": round(float(low), 1), "p99": round(float(high), 1)}


def spread_of_memory(processes: list[Process]) -> dict[str, float]:
    each = [memory_of(process.pid) / 1e6 for process in processes]
    return {"mean": round(float(np.mean(each)), 1), "most": round(max(each), 1)}


def unit() -> dict[str, Any]:
    """What one student costs."""
    with a_site() as site, tempfile.TemporaryDirectory() as folder:
        enroll_folder(site, school(site.folder / "school", voices()))
        desk = site.membership("office")
        times: dict[str, float] = {}

        def took(what: str, began: float, count: int) -> None:
            times[what] = round((time.perf_counter() - began) / count * 1000, 3)

        with (
            closing(site.registry("office")) as office,
            closing(Registry(Path(folder) / "gallery.sqlite", Vault())) as other,
        ):
            names = [each.name for each in office.students()] * 10
            began = time.perf_counter()
            copies = [office.copies.of(name) for name in names]
            took("copied, ms", began, len(names))
            began = time.perf_counter()
            for _ in range(20):
                marks(office.database)
            took("marks of a student, ms", began, 20 * len(set(names)))
            began = time.perf_counter()
            contents = [packed(each) for each in copies]
            took("packed, ms", began, len(names))
            began = time.perf_counter()
            key, signing = desk.message_key, desk.signing_key
            sealed = [seal("t", MessageKind.STUDENT, 1, each, key, signing) for each in contents]
            took("sealed and signed, ms", began, len(names))
            began = time.perf_counter()
            opened = [open_message("t", each, key, desk.desk_keys) for each in sealed]
            took("verified and opened, ms", began, len(names))
            began = time.perf_counter()
            students = [unpacked(each.content) for each in opened]
            took("unpacked, ms", began, len(names))
            began = time.perf_counter()
            for each in students:
                other.put(each)
            took("written, a transaction each, ms", began, len(names))
            began = time.perf_counter()
            with other.database.writing():
                for each in students:
                    other.put(each)
            took("unchanged, written together, ms", began, len(names))
        size = int(np.mean([len(each) for each in sealed]))
        return {"bytes of a message": size, **times, **large()}


def roster(manifest: Path) -> dict[str, Any]:
    """What a threshold must be for rosters of several sizes, by real people's scores."""
    people: dict[str, list[Path]] = {}
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "eval" and row["corpus"] == "commands":
                people.setdefault(row["speaker"], []).append(manifest.parent / row["path"])
    encoder = Encoder(ENCODERS["large"])
    points, counts = [], []
    for paths in people.values():
        if len(paths) >= 5:
            found = [encoder.embed(main_phrase(read(each)).samples) for each in usable(paths)]
            points += found
            counts.append(len(found))
    stacked, each = np.array(points, np.float32), np.array(counts)
    left_out = leave_one_out(stacked, each)
    own = left_out.own[~np.isnan(left_out.own)]
    rows = {}
    for fpir in (0.01, 0.05):
        for size in (100, 800, 20_000):
            threshold = threshold_of(left_out.strangers[:0], size, encoder.card.strangers, fpir)
            fmr = 1 - (1 - fpir) ** (1 / size)
            rows[f"{size} at FPIR {fpir}"] = {
                "FMR": float(f"{fmr:.2e}"),
                "scores that may exceed it": round(fmr * encoder.card.strangers["scores"], 2),
                "threshold": round(threshold, 3),
                "FNIR": round(float((own < threshold).mean()), 3),
            }
    return {"people": len(counts), "recordings": len(points), **rows}


def usable(paths: list[Path]) -> list[Path]:
    """Return the first five recordings in which a phrase is found."""
    found = []
    for path in paths:
        with suppress(RecordingError):
            main_phrase(read(path))
            found.append(path)
        if len(found) == 5:
            break
    return found


def large(entries: int = 200_000) -> dict[str, Any]:
    """What a ledger of so many entries takes."""
    tracemalloc.start()
    ledger = Ledger()
    for number in range(entries):
        topic = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        ledger.put(topic, FleetEntry(number, "00" * 8, False))
    _ = ledger.digests
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    began = time.perf_counter()
    for bucket in BUCKET_NAMES:
        ledger.put(next(iter(ledger.bucket(bucket))), FleetEntry(entries, "00" * 8, False))
    _ = ledger.digests
    return {
        "bytes of an entry in memory": round(size / entries),
        f"all digests of {entries}, s": round(time.perf_counter() - began, 2),
    }


def main() -> None:
    """Measure one thing, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("latency", "gates", "looks", "unit", "roster"))
    parser.add_argument("--gates", type=int, default=50)
    parser.add_argument("--students", type=int, default=2000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--away", type=int, default=2000)
    parser.add_argument("--phrases", type=int, default=60)
    parser.add_argument("--pace", type=float, default=0.0, help="changes a second")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--manifest", type=Path, default=Path("../shared/speech/manifest.csv"))
    given = parser.parse_args()
    sys.stdout, out = open(os.devnull, "w"), sys.stdout  # noqa: PTH123, SIM115
    if given.what == "gates":
        found = gates(
            given.gates, given.students, given.changes, given.away, given.phrases,
            given.pace, given.apart,
        )  # fmt: skip
    else:
        others = {
            "latency": latency,
            "looks": lambda: looks(given.students),
            "unit": unit,
            "roster": lambda: roster(given.manifest),
        }
        found = others[given.what]()
    print(json.dumps(found, indent=1), file=out)


if __name__ == "__main__":
    main()
