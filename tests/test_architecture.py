"""Who may import whom, read from the source: the rule of imports in the design."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"kaimen": ROOT / "edge", "kaimen_train": ROOT / "training"}

# Rooms and single files of ``kaimen``, from the ground up. A file imports from its own line and
# from the lines above it here, never from one below.
FLOORS = (
    (
        "errors",
        "interrupt",
        "names",
        "parsing",
        "local_time",
        "clock",
        "closing",
        "language",
        "storage",
        "stderr",
        "output",
        "systemd",
        "progress",
        "spreadsheet",
        "terminal",
        "screen",
    ),
    ("settings", "sound"),
    ("voice", "acoustics"),
    ("registry", "door", "bundle", "update"),
    ("gallery",),
    ("access",),
    ("calibration", "gate"),
    ("enrollment", "audit", "rehearsal", "review", "school"),
    ("installation",),
    ("rollout", "backup", "bench", "setup", "monitoring", "microphone_enrollment"),
    ("privacy",),
    ("service",),
    ("fleet",),
    ("doctor", "console", "bridge"),
    ("cli",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

# Names that said nothing of what they name: of modules, and of whatever is defined in one.
METAPHORS = {
    "again", "breadth", "carrying", "doorkeeper", "draws", "heart", "keeper", "likeness",
    "melody", "moments", "presence", "quiet", "rival", "succession", "unusual",
}  # fmt: skip
NO_NAMES = {
    "Ears", "doorkeeper", "heart", "intercom", "keeper", "likeness", "melody", "rival",
    "succession", "understudy",
}  # fmt: skip


class Import(NamedTuple):
    """An import: of what, by whom, and where that is written."""

    module: str
    target: str
    where: str

    @property
    def rooms(self) -> tuple[str, str]:
        return room_of(self.module), room_of(self.target)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(package: str) -> Iterator[tuple[str, Path]]:
    root = SOURCES[package]
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(package: str) -> Iterator[Import]:
    """Every import of one of the two packages, wherever in a file it is written."""
    files = {module for each in SOURCES for module, _ in modules(each)}
    for module, path in modules(package):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno} imports by dots"
                named = [f"{node.module}.{alias.name}" for alias in node.names]
                # Each name may be a module; of a whole package it is taken for one.
                whole = node.module in SOURCES
                targets = [name if whole or name in files else node.module for name in named]
            else:
                continue
            for target in targets:
                if target.partition(".")[0] in SOURCES:
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Import(module, target, where)


def room_of(module: str) -> str:
    """The room of a module; empty for what the package itself has, such as its version."""
    return module.split(".")[1] if "." in module else ""


def inner() -> Iterator[Import]:
    """Imports from one room of ``kaimen`` into another; its face may import all of them."""
    for each in imports("kaimen"):
        own, other = each.rooms
        if own and own != other and other not in ("", "__version__"):
            yield each


def test_every_room_has_its_floor() -> None:
    assert {room_of(module) for module, _ in modules("kaimen")} - {""} <= FLOOR.keys()


@pytest.mark.slow
def test_no_import_goes_up() -> None:
    up = [each for each in inner() if FLOOR[each.rooms[1]] > FLOOR[each.rooms[0]]]
    assert up == []


@pytest.mark.parametrize("package", SOURCES)
def test_files_import_in_no_circle(package: str) -> None:
    """Neither when they are run nor for their types."""
    files = {module for module, _ in modules(package)}
    below: dict[str, set[str]] = defaultdict(set)
    for each in imports(package):
        if each.target in files and "." in each.module:  # a package's face imports all of it
            below[each.module].add(each.target)
    while below:  # whoever imports nothing that is left is in no circle
        free = [file for file, others in below.items() if not others & below.keys()]
        assert free, f"a circle of {sorted(below)}"
        for file in free:
            del below[file]


def test_no_room_imports_the_face_of_the_package() -> None:
    known = FLOOR.keys() | {"__version__"}
    faced = [each for each in imports("kaimen") if each.rooms[0] and each.rooms[1] not in known]
    # The doctor asks where the package lies.
    assert {each.module for each in faced} <= {"kaimen.doctor.machine"}


def test_the_gate_needs_nothing_of_the_workshop() -> None:
    assert [each for each in imports("kaimen") if each.target.startswith("kaimen_train")] == []


def test_the_workshop_imports_no_face_either() -> None:
    names = {each.rooms[1] for each in imports("kaimen_train") if each.target.startswith("kaimen.")}
    assert names <= FLOOR.keys() | {"__version__"}


def test_only_the_installation_and_what_is_above_it_reads_the_whole_settings() -> None:
    readers = {
        room_of(module)
        for module, path in modules("kaimen")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom)
        and node.module == "kaimen.settings"
        and "Settings" in {alias.name for alias in node.names}
    } - {""}
    assert [room for room in readers if FLOOR[room] < FLOOR["installation"]] == []


def test_a_class_name_is_used_once() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, path in chain.from_iterable(map(modules, SOURCES)):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert twice == {}


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_is_called_by_a_metaphor(package: str) -> None:
    names = {part for module, _ in modules(package) for part in module.split(".")}
    assert names & METAPHORS == set()


@pytest.mark.parametrize("folder", ["edge", "training", "tests", "examples"])
def test_nothing_is_called_by_a_metaphor(folder: str) -> None:
    called = {
        (word, path.name)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.arg)
        for name in [node.arg if isinstance(node, ast.arg) else node.name]
        if not name.startswith("test_")  # a sentence
        for word in [name, *name.split("_")]
    }
    assert {each for each in called if each[0] in NO_NAMES} == set()


def test_texts_of_others_are_read_in_one_place() -> None:
    """There what is nested too deeply is a wrong text, and no RecursionError."""
    own = {"kaimen.parsing", "kaimen.language", "kaimen.bench.school"}  # and what Kaimen wrote
    readers = {"json.loads", "json.load", "tomllib.loads", "tomllib.load"}
    found = {
        f"{module}:{node.lineno}"
        for module, path in modules("kaimen")
        if module not in own
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in readers
    }
    assert found == set()
