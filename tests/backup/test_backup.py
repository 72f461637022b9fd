"""Backup, wipe, restore: the same voices open, the audit chain verifies, the erased stay erased."""

from __future__ import annotations

import datetime
import getpass
import io
import json
import os
import shutil
import sqlite3
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kaimen.audit import Audit, files_of
from kaimen.backup.archive import SETTINGS, Writer, reading
from kaimen.backup.passphrase import passphrase
from kaimen.backup.restoring import read_through, restore
from kaimen.backup.sealing import Cost, Opener
from kaimen.backup.taking import take
from kaimen.calibration.calibration import calibration_path
from kaimen.cli.main import main
from kaimen.errors import GalleryError, SettingsError, StorageError
from kaimen.registry.erased import erasure
from kaimen.registry.lock import Lock
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.registry.vault import Vault
from kaimen.school.files import SchoolFiles
from kaimen.voice.fingerprint import fingerprint
from tests.backup.machines import PASSPHRASE, Machine, Shown, takes
from tests.gallery.points import school as points_of

SECRET = PASSPHRASE.encode()
TAKEN_IN = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)  # a voiceprint at the gate


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.backup.sealing.COST", Cost(4, 1, 1))


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A school on some machine: two students, a log, a memory, bundles."""
    machine = Machine.at(tmp_path_factory.mktemp("pattern"))
    for voice in ("anning", "bowen"):
        machine.quietly("enroll", "--student", voice, *takes(voice))
    machine.log(5)
    memory = ReplayMemory(replay_memory_path(machine.school.registry), machine.school.vault)
    for student in ("anning", "bowen"):
        memory.keep(student, fingerprint(points_of(1, 1, 16_000)[0, 0]))
    memory.close()
    with closing(Registry(machine.school.registry, machine.school.vault)) as registry:
        point, encoder = points_of(1, 1, 192)[0, 0], registry.student("anning").encoder
        assert registry.grown.take_in("anning", point, encoder, TAKEN_IN)
    bundles = machine.folder / "data" / "bundles"
    (bundles / "one").mkdir(parents=True)
    (bundles / "slots.json").write_text('{"active": "one"}')
    (bundles / "one" / "encoder.tflite").write_bytes(bytes(range(256)))
    (bundles / ".half-written").write_text("")
    return machine.folder


@pytest.fixture
def there(pattern: Path, tmp_path: Path) -> Machine:
    shutil.copytree(pattern, tmp_path / "there")
    return Machine.at(tmp_path / "there")


@pytest.fixture
def file(there: Machine, tmp_path: Path, capsys: Shown) -> Path:
    """A backup of it."""
    path = tmp_path / "stick" / "school.backup"
    path.parent.mkdir()
    assert there.run(capsys, "backup", path) == 0
    return path


def plain(file: Path) -> bytes:
    with file.open("rb") as sealed:
        opener = Opener(sealed, SECRET)
        return b"".join(iter(lambda: opener.read(1 << 20), b""))


@pytest.mark.slow
def test_an_empty_machine_becomes_the_school(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    assert there.said == [
        {
            "backup": str(file),
            "students": 2,
            "pieces": ["registry", "key", "calibration", "heard", "audit", "bundles"],
            "settings": True,
            "bytes": file.stat().st_size,
            "same_disk": True,
            "listed": True,
        }
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    here = Machine.at(tmp_path / "here", settings=False)
    settings = there.config.read_text(encoding="utf-8")
    there.folder.rename(tmp_path / "burnt")
    # The settings of the backup say where things belong.
    assert here.run(capsys, "restore", file) == 0
    assert here.said[-1]["students"] == 2 and here.said[-1]["kept"] is None
    assert here.config.read_text(encoding="utf-8") == settings
    assert here.opens(capsys, "anning") and here.opens(capsys, "bowen")
    assert not here.opens(capsys, "chenxi")
    assert here.run(capsys, "audit", "verify") == 0
    assert here.said[0]["lines"] == 6 and here.said[0]["problems"] == []
    school = there.school  # where its settings say
    assert school.key.read_bytes() == (tmp_path / "burnt/configuration/gallery.key").read_bytes()
    assert school.key.stat().st_mode & 0o777 == 0o600
    old = tmp_path / "burnt/data/gallery.sqlite"
    assert calibration_path(school.registry).read_bytes() == calibration_path(old).read_bytes()
    memory = ReplayMemory(replay_memory_path(school.registry), school.vault)
    assert len(memory.of("anning")) == 1
    memory.close()
    with closing(Registry(school.registry, school.vault)) as registry:
        assert [each.student for each in registry.grown.listed()] == ["anning"]
        registry.grown.examine()
    bundles = school.pieces["bundles"]
    assert (bundles / "slots.json").read_text() == '{"active": "one"}'
    assert (bundles / "one" / "encoder.tflite").read_bytes() == bytes(range(256))
    assert not (bundles / ".half-written").exists()
    assert school.litter == [] and school.kept == []


def test_defaults_are_restored_to_defaults(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    file, said = tmp_path / "school.backup", ["--passphrase-file", str(tmp_path / "passphrase")]
    for machine in ("one", "two"):
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / machine / "data"))
        monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / machine / "configuration"))
        if machine == "one":
            assert main(["enroll", "--student", "anning", *map(str, takes("anning"))]) == 0
            assert main(["backup", str(file), *said]) == 0
    assert main(["restore", str(file), *said]) == 0
    capsys.readouterr()
    assert main(["students", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["student"] == "anning"
    assert (tmp_path / "two" / "configuration" / "gallery.key").exists()


def test_who_was_removed_before_leaves_no_trace_in_it(
    there: Machine, tmp_path: Path, capsys: Shown
) -> None:
    with sqlite3.connect(there.school.registry) as database:
        seals = database.execute(
            "SELECT voiceprint, said, fingerprint FROM recordings JOIN students "
            "ON student = students.number WHERE name = 'bowen'"
        ).fetchall()
    with sqlite3.connect(replay_memory_path(there.school.registry)) as database:
        heard = database.execute("SELECT fingerprint FROM heard ORDER BY number").fetchall()
    database.close()
    assert there.run(capsys, "backup", tmp_path / "before") == 0
    before = plain(tmp_path / "before")
    seals = [seal for row in seals for seal in row if seal]
    # A piece may lie on two pages.
    pieces = [seal[at : at + 32] for seal in seals for at in range(0, len(seal) - 32, 200)]
    traces = [b"bowen", heard[1][0][:32], *(piece for piece in pieces if piece in before)]
    assert traces[1] in before and len(traces) > 0.8 * len(pieces)
    assert there.run(capsys, "students", "--remove", "bowen") == 0
    assert there.run(capsys, "backup", tmp_path / "after") == 0
    after = plain(tmp_path / "after")
    assert not any(trace in after for trace in traces)
    assert heard[0][0][:32] in after


def test_who_was_removed_since_stays_so(there: Machine, file: Path, capsys: Shown) -> None:
    there.enroll(capsys, "chenxi")
    assert there.run(capsys, "students", "--remove", "bowen") == 0
    assert there.run(capsys, "restore", file, "--over") == 0
    assert (there.said[-1]["students"], there.said[-1]["removed"]) == (1, 1)
    assert there.students(capsys) == ["anning"]
    assert not any(
        b"bowen" in content for name, content in there.contents().items() if "before" not in name
    )
    memory = ReplayMemory(replay_memory_path(there.school.registry), there.school.vault)
    assert (len(memory.of("anning")), len(memory.of("bowen"))) == (1, 0)
    memory.close()
    # And again from there: the list went over.
    assert there.run(capsys, "restore", file, "--over") == 0
    assert there.students(capsys) == ["anning"]


def test_who_is_enrolled_again_is_off_the_list(there: Machine, file: Path, capsys: Shown) -> None:
    assert there.run(capsys, "students", "--remove", "bowen") == 0
    assert there.run(capsys, "students", "--erased") == 0
    assert there.said == [{"erased": erasure(there.school.vault, "bowen")}]
    there.enroll(capsys, "bowen")
    assert there.run(capsys, "students", "--erased") == 0 and there.said == []
    assert there.run(capsys, "restore", file, "--over") == 0
    assert there.students(capsys) == ["anning", "bowen"]


def test_a_list_from_elsewhere_counts_on_an_empty_machine(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    assert there.run(capsys, "students", "--remove", "bowen") == 0
    capsys.readouterr()
    main(["students", "--erased", "--config", str(there.config)])
    (tmp_path / "removed.txt").write_text(capsys.readouterr().out)
    here = Machine.at(tmp_path / "here")
    assert here.run(capsys, "restore", file, "--erased", tmp_path / "removed.txt") == 0
    assert here.students(capsys) == ["anning"]
    (tmp_path / "removed.txt").write_text("bowen\n")
    assert here.run(capsys, "restore", file, "--over", "--erased", tmp_path / "removed.txt") == 2


def test_a_removal_under_another_key_counts(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    here = Machine.at(tmp_path / "here")
    here.enroll(capsys, "bowen", "chenxi")
    assert here.run(capsys, "students", "--remove", "bowen") == 0
    key = here.school.key.read_bytes()
    assert here.run(capsys, "restore", file, "--over") == 0
    assert here.students(capsys) == ["anning"]
    assert here.school.key.read_bytes() == there.school.key.read_bytes()
    # The school of before is whole, too, with its key.
    (kept,) = here.school.kept
    when = kept.name.rpartition("-")[2]
    before = here.school.before(when)
    assert before.key.read_bytes() == key
    registry = Registry(before.registry, before.vault)
    assert registry.names() == {"chenxi"}
    registry.close()
    assert here.run(capsys, "students", "--remove", "anning") == 0
    assert str(kept) in here.said[-1]["note"]


def test_no_folder_is_made_for_a_backup(there: Machine, tmp_path: Path, capsys: Shown) -> None:
    stick = tmp_path / "media" / "stick"
    assert there.run(capsys, "backup", stick / "school.backup") == 6
    assert "there is no folder" in there.said[-1]["error"]
    assert not stick.parent.exists()


def test_a_backup_on_the_schools_own_disk_is_said(
    there: Machine, tmp_path: Path, capsys: Shown
) -> None:
    assert there.run(capsys, "backup", tmp_path / "school.backup") == 0
    assert there.said[-1]["same_disk"] is True
    shm = Path("/dev/shm")
    if shm.is_dir() and shm.stat().st_dev != tmp_path.stat().st_dev:
        with TemporaryDirectory(dir=shm) as other:
            assert there.run(capsys, "backup", Path(other) / "school.backup") == 0
        assert there.said[-1]["same_disk"] is False


def test_a_school_is_not_replaced_unasked(there: Machine, file: Path, capsys: Shown) -> None:
    before = there.contents()
    assert there.run(capsys, "restore", file) == 4
    assert "--over" in there.said[0]["error"]
    assert there.run(capsys, "restore", file, "--check") == 0
    assert there.said[0]["restored"] is False and there.said[0]["kept"] is None
    assert there.contents() == before


def test_settings_of_this_machine_stay(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    here = Machine.at(tmp_path / "here")
    assert here.run(capsys, "restore", file, "--check") == 0
    assert not (here.folder / "data").exists()
    own = here.config.read_bytes()
    assert here.run(capsys, "restore", file) == 0
    assert here.config.read_bytes() == own
    assert Path(here.said[-1]["settings"]).read_bytes() == there.config.read_bytes()
    assert here.students(capsys) == ["anning", "bowen"]


def test_a_damaged_school_can_be_replaced(there: Machine, file: Path, capsys: Shown) -> None:
    there.school.registry.write_bytes(b"no database" * 1000)
    assert there.run(capsys, "restore", file, "--over") == 0
    assert "not known" in there.said[-1]["note"]
    assert there.students(capsys) == ["anning", "bowen"]


def changed(file: Path) -> Iterator[bytes]:
    whole = file.read_bytes()
    yield whole[:-1]
    yield whole[: len(whole) // 2]
    yield whole + b"\0"
    yield b"".join((whole[:-200], bytes([whole[-200] ^ 1]), whole[-199:]))
    yield b"PK" + whole


def test_what_was_changed_touches_nothing(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    before = there.contents()
    other = tmp_path / "changed"
    for content in changed(file):
        other.write_bytes(content)
        assert there.run(capsys, "restore", other, "--over") == 4
        here = Machine.at(tmp_path / "here")
        assert here.run(capsys, "restore", other) == 4
        assert not (here.folder / "data").exists()
    (there.folder / "passphrase").write_text("another passphrase")
    assert there.run(capsys, "restore", file, "--over") == 4
    assert "another passphrase" in there.said[0]["error"]
    assert there.run(capsys, "restore", tmp_path / "nowhere", "--over") == 6
    assert there.contents() == before


def rewritten(file: Path, to: Path, change: dict[str, bytes]) -> Path:
    """The same backup with other contents, made by somebody who knows the passphrase."""
    with reading(file, SECRET) as files, to.open("wb") as out:
        writer = Writer(out, SECRET)
        for name, _, content in files:
            written = content.read()
            if change.get(name) != b"":
                writer.add(name, change.pop(name, written))
        for name, content in change.items():
            if content:
                writer.add(name, content)
        writer.finish()
    return to


def moved_voiceprint(registry: Path) -> bytes:
    with sqlite3.connect(registry) as database:
        database.execute(
            "UPDATE recordings SET voiceprint = (SELECT max(voiceprint) FROM recordings)"
        )
    database.close()
    return registry.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"../outside": b"x"},
        {"audit/../../outside": b"x"},
        {"audit": b"x"},
        {"bundles/.hidden": b"x"},
        {"lock": b"x"},
        {"registry": b""},
        {"registry": b"no database" * 1000},
        {"key": b""},
        {"key": b"kaimen-key-1 00"},
        {"calibration": b"{}"},
        {"heard": b"no database" * 1000},
        {"audit/head": b""},
        {"audit/audit-000000001.jsonl": b"{}\n"},
        {SETTINGS: b"[gallery\n"},
    ],
    ids=lambda change: " ".join(f"{name} {change[name][:12]!r}" for name in change),
)
def test_what_does_not_fit_touches_nothing(
    change: dict[str, bytes], there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    before = there.contents()
    other = rewritten(file, tmp_path / "other", dict(change))
    if SETTINGS not in change:
        assert there.run(capsys, "restore", other, "--over") == 4
        assert there.contents() == before
    here = Machine.at(tmp_path / "here", settings=False)
    there.folder.rename(tmp_path / "away")
    assert here.run(capsys, "restore", other) in (2, 4)
    assert not any(path.is_file() for path in there.folder.rglob("*") if path.suffix != ".lock")
    assert not here.config.exists()


def test_a_voiceprint_in_anothers_place_is_found(
    there: Machine, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    with reading(file, SECRET) as files:
        registry = next(content.read() for name, _, content in files if name == "registry")
    (tmp_path / "registry").write_bytes(registry)
    change = {"registry": moved_voiceprint(tmp_path / "registry")}
    other = rewritten(file, tmp_path / "other", change)
    assert there.run(capsys, "restore", other, "--over") == 4
    assert "recording" in there.said[0]["error"]


def test_a_log_that_was_changed_is_not_backed_up(
    there: Machine, tmp_path: Path, capsys: Shown
) -> None:
    path = files_of(there.school.pieces["audit"])[0]
    path.write_bytes(path.read_bytes().replace(b"line 1", b"line 7"))
    assert there.run(capsys, "backup", tmp_path / "file") == 6
    assert "audit verify" in there.said[0]["error"]
    assert not (tmp_path / "file").exists() and there.school.litter == []


def test_a_line_that_only_the_head_has_is_backed_up(
    there: Machine, tmp_path: Path, capsys: Shown
) -> None:
    for cut in (0, 20):  # not begun, or torn, when the plug was pulled
        path = files_of(there.school.pieces["audit"])[-1]
        whole = path.read_bytes()
        start = whole[:-1].rfind(b"\n") + 1
        path.write_bytes(whole[: start + cut])
        assert there.run(capsys, "backup", tmp_path / "file") == 0
        path.write_bytes(whole)
        here = Machine.at(tmp_path / f"here-{cut}")
        assert here.run(capsys, "restore", tmp_path / "file") == 0
        assert here.run(capsys, "audit", "verify") == 0 and here.said[0]["lines"] == 6


def test_a_running_gate_is_backed_up_and_not_replaced(
    there: Machine, file: Path, capsys: Shown
) -> None:
    gate = Lock(there.school.registry)
    assert there.run(capsys, "backup", file) == 0
    assert there.run(capsys, "restore", file, "--check") == 0
    assert there.said[-1]["students"] == 2 and there.school.litter == []
    assert there.run(capsys, "restore", file, "--over") == 6
    assert "stop the gate" in there.said[0]["error"]
    gate.leave()
    assert there.run(capsys, "restore", file, "--over") == 0


def test_of_one_moment_while_others_write(there: Machine, tmp_path: Path, capsys: Shown) -> None:
    stop = threading.Event()
    school = there.school

    def gate() -> None:
        with Audit(school.pieces["audit"], school.log_key, largest=2_000, kept=3) as log:
            while not stop.is_set():
                log.write({"kind": "door", "event": "open"})

    def operator() -> None:
        registry = Registry(school.registry, school.vault)
        points = points_of(50, 5, 192)
        for number in range(50):
            registry.enroll(f"s{number:03}", points[number], "encoder")
            if stop.is_set():
                break
        registry.close()

    threads = [threading.Thread(target=each) for each in (gate, operator)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            assert there.run(capsys, "backup", tmp_path / str(number)) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for number in range(4):
        here = Machine.at(tmp_path / f"here-{number}")
        assert here.run(capsys, "restore", tmp_path / str(number)) == 0
        assert here.run(capsys, "audit", "verify") == 0
        registry = Registry(here.school.registry, here.school.vault)
        names = sorted(registry.names() - {"anning", "bowen"})
        assert names == [f"s{each:03}" for each in range(len(names))]
        registry.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_school(there: Machine, tmp_path: Path) -> None:
    large = there.school.pieces["bundles"] / "large"
    large.touch()
    os.truncate(large, 100 << 20)
    here = Machine.at(tmp_path / "here").school
    tracemalloc.start()
    take(there.school, None, tmp_path / "file", SECRET)
    restore(read_through(tmp_path / "file", SECRET), here)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert (here.pieces["bundles"] / "large").stat().st_size == 100 << 20


def test_a_full_disk_is_said_before_anything_is_unpacked(
    there: Machine, file: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = there.contents()
    monkeypatch.setattr("kaimen.backup.restoring.SPARE", 1 << 60)
    assert there.run(capsys, "restore", file, "--over") == 6
    assert "make room" in there.said[0]["error"]
    assert there.contents() == before


def test_what_a_killed_backup_left_is_gone_with_the_next_command(
    there: Machine, capsys: Shown
) -> None:
    left = there.school.registry.parent / f"{there.school.snapshot_prefix}x"
    left.mkdir()
    (left / "gallery.sqlite").write_bytes(b"bowen")
    live = Lock(there.school.registry)
    assert there.students(capsys) == ["anning", "bowen"] and left.exists()  # it may be alive
    live.leave()
    assert there.students(capsys) == ["anning", "bowen"] and not left.exists()


def test_a_passphrase_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(("open sesame, please", "open sesame, please", "once", "twice"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SettingsError, match="--passphrase-file"):
        passphrase(None, new=True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(typed))
    assert passphrase(None, new=True) == SECRET
    with pytest.raises(SettingsError, match="twice"):
        passphrase(None, new=True)


def test_a_passphrase_is_the_first_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("u\u0308ber den Wolken\nmore\n", encoding="utf-8")
    assert passphrase(path, new=True) == "über den Wolken".encode()
    path.write_text("short\n")
    assert passphrase(path, new=False) == b"short"
    with pytest.raises(SettingsError, match="12 characters"):
        passphrase(path, new=True)
    with pytest.raises(SettingsError, match="no passphrase"):
        passphrase(tmp_path / "nowhere", new=True)


def test_no_school_no_backup(tmp_path: Path) -> None:
    school = SchoolFiles(tmp_path / "gallery.sqlite", tmp_path / "key")
    with pytest.raises(GalleryError, match="enroll"):
        take(school, None, tmp_path / "file", SECRET)
    Vault().save(school.key)
    Registry(school.registry, school.vault).close()
    (tmp_path / "blocked").write_text("")
    with pytest.raises(StorageError):
        take(school, None, tmp_path / "blocked" / "file", SECRET)
    assert school.litter == []
