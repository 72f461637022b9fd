"""The plug finds what it is there to find: each step that is left out of a careful write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.plug import KAIMEN, Plug

PREPARE = "import mmap, os, shutil; os.chdir({folder!r}); folder = os.open('.', os.O_RDONLY);"
WRITE = (
    "file = os.open('new', os.O_CREAT | os.O_WRONLY)",
    "os.write(file, b'new and longer')",
    "os.fsync(file)",
    "os.replace('new', 'state')",
    "os.fsync(folder)",
    "os.write(1, b'done')",
)


def command(folder: Path, *steps: str) -> list[str]:
    return [KAIMEN[0], "-c", PREPARE.format(folder=str(folder)) + ";".join(steps)]


@pytest.fixture
def folder(plug: Plug) -> Path:
    (plug.folder / "state").write_bytes(b"old")
    return plug.folder


def test_a_careful_write_passes(plug: Plug, folder: Path) -> None:
    pulled = plug.pull(command(folder, *WRITE), (folder / "state").read_bytes, said="done")
    assert pulled.calls == len(WRITE)
    assert set(pulled.found) == {b"old", b"new and longer"}


@pytest.mark.parametrize("step", [2, 4])
def test_a_step_left_out_is_found(step: int, plug: Plug, folder: Path) -> None:
    steps = [each for number, each in enumerate(WRITE) if number != step]
    with pytest.raises(AssertionError, match=r"neither|gone"):
        plug.pull(command(folder, *steps), (folder / "state").read_bytes, said="done")


@pytest.mark.parametrize(
    "steps",
    [
        ("open('state', 'w').write('new')",),
        ("file = os.open('state', os.O_WRONLY)", "os.pwrite(file, b'new', 0)"),
        ("os.unlink('state')", "open('state', 'w').write('new')"),
        ("os.truncate('state', 1)", "os.write(os.open('state', os.O_WRONLY), b'new')"),
        ("open('new', 'w').write('new')", "shutil.copyfile('new', 'state')"),
    ],
)
def test_a_write_in_place_is_found(steps: tuple[str, ...], plug: Plug, folder: Path) -> None:
    with pytest.raises((AssertionError, FileNotFoundError)):
        plug.pull(command(folder, *steps), (folder / "state").read_bytes)


def test_a_write_that_nobody_saw_is_found(plug: Plug, folder: Path) -> None:
    steps = (
        "file = os.open('state', os.O_RDWR)",
        "mmap.mmap(file, 3)[:] = b'new'",
        "os.mkdir('more')",
    )
    with pytest.raises(AssertionError, match="missed"):
        plug.pull(command(folder, *steps), (folder / "state").read_bytes)


def test_a_folder_that_was_moved_is_there_whole(plug: Plug, folder: Path) -> None:
    steps = (
        "os.mkdir('one')",
        "os.fsync(folder)",
        "file = os.open('one/file', os.O_CREAT | os.O_WRONLY)",
        "os.write(file, b'x')",
        "os.fsync(file)",
        "os.fsync(os.open('one', os.O_RDONLY))",
        "os.rename('one', 'two')",
        "os.fsync(folder)",
        "os.link('two/file', 'three')",
        "os.symlink('two', 'four')",
        "os.remove('two/file')",
        "os.rmdir('two')",
    )

    def state() -> bool:
        if (folder / "two").exists() and not (folder / "three").exists():
            assert (folder / "two" / "file").read_bytes() == b"x"
        return (folder / "two").exists() or (folder / "four").is_symlink()

    plug.pull(command(folder, *steps), state)


def test_a_command_is_ended_for_real(plug: Plug, folder: Path) -> None:
    for before in range(1, len(WRITE) + 1):
        (folder / "new").unlink(missing_ok=True)
        (folder / "state").write_bytes(b"old")
        calls = plug.stop(command(folder, *WRITE), before)
        assert [each.kind for each in calls] == [*"CWSRDO"][: before - 1]
