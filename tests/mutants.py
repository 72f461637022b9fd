"""Change the program a little, many times, and count how often a test notices.

`make mutants` calls it. mutmut keeps in ``build/mutants`` what it made and found: it goes on where
it was interrupted, and forgets what it found of a function that was changed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import sqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {  # each with the rooms whose tests its mutants meet
    "access": ("access",),
    "audit": ("audit",),
    "bundle": ("bundle",),
    "door": ("door",),
    "registry": ("registry", "access", "gallery", "privacy", "review", "fleet", "doctor"),
}
NEEDED = ("deploy", "docs", "systemd", "tests")
LEFT_OUT = 34  # what mutmut notes of a mutant that it is to skip
SURVIVED = (0, 5, 33)  # every test passed, or none comes near
KILLED = (1, 3)
SQL = (
    *("ALTER", "BEGIN", "COMMIT", "CREATE", "DELETE", "DROP"),
    *("INSERT", "PRAGMA", "SELECT", "UPDATE", "VACUUM"),
)
CODECS = ("ascii", "utf-8")
WHAT = {None: "not tried", LEFT_OUT: "not drawn", 5: "no test", 33: "no test", 0: "survived"}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--room", action="append", choices=ROOMS, help="only these; all without")
    asked.add_argument("--module", default="*", metavar="FILE", help="only this file of the room")
    asked.add_argument("--sample", type=int, metavar="N", help="try N of each room, not all")
    asked.add_argument("--seed", type=int, default=1, help="which are drawn")
    asked.add_argument("--again", action="store_true", help="try again those that survived")
    asked.add_argument("--count", action="store_true", help="try none; count, and list survivors")
    chosen = asked.parse_args()
    modules = f"{chosen.module.removesuffix('.py')}.py"
    for name in chosen.room or ROOMS:
        if not list((ROOT / "edge" / "kaimen" / name).glob(modules)):
            asked.error(f"no file {modules} in {name}; name its room with --room")
    rooms = [Room(name, chosen.module.removesuffix(".py")) for name in chosen.room or ROOMS]
    for room in [] if chosen.count else rooms:
        room.lay_out()
        room.make()
        if chosen.sample:
            room.draw(chosen.sample, chosen.seed)
        room.mutmut(room.of(*SURVIVED) if chosen.again else room.of(None))
        room.ask_programs()
    count(rooms)
    return 0


class Room:
    """One room of the package, or some of its files, and what mutmut makes and finds of it."""

    def __init__(self, name: str, modules: str = "*") -> None:
        self.name, self._modules = name, modules
        self._folder = ROOT / "build" / "mutants" / name
        self._made = self._folder / "mutants" / "src"  # what is imported instead of edge/

    def lay_out(self) -> None:
        """Make a folder in which mutmut finds the package under the name that tests import."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, place in (("src", ROOT / "edge"), *((each, ROOT / each) for each in NEEDED)):
            (self._folder / name).unlink(missing_ok=True)
            (self._folder / name).symlink_to(place)
        rules = f'[tool.mutmut]\nonly_mutate = ["src/kaimen/{self.name}/*"]\n'
        tests = json.dumps([f"tests/{each}" for each in ROOMS[self.name]])
        rules += f"pytest_add_cli_args_test_selection = {tests}\n"
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert "[tool.mutmut]" in settings
        settings = settings.replace("[tool.mutmut]", rules, 1)
        (self._folder / "pyproject.toml").write_text(settings, encoding="utf-8")

    def make(self) -> None:
        """Write the mutants, and notice what became of those that are known."""
        with suppress(subprocess.CalledProcessError):  # it makes all, then finds that none is meant
            self.mutmut(["none"])

    def mutmut(self, names: Sequence[str]) -> None:
        """Run it on some mutants, one at a time."""
        if not names:  # it would take that for all
            return
        # Programs that tests start must find the same package, and inherit which mutant it is.
        environment = {**os.environ, "PYTHONPATH": str(self._made), "OMP_NUM_THREADS": "1"}
        program = str(Path(sys.executable).with_name("mutmut"))
        command = [program, "run", "--max-children", "1", *names]
        subprocess.run(command, cwd=self._folder, env=environment, check=True)

    def ask_programs(self) -> None:
        """Run all tests of the room on mutants that no test noticed, or seemed to reach.

        mutmut does not see what a program that a test starts runs through.
        """
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        rules = settings["tool"]["mutmut"]["pytest_add_cli_args"]
        for name in self.of(*SURVIVED):
            environment = {
                **os.environ, "MUTANT_UNDER_TEST": name, "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(self._made),
            }  # fmt: skip
            tests = [sys.executable, "-m", "pytest", "-x", "-q", *rules, f"tests/{self.name}"]
            ended = subprocess.run(
                tests, cwd=self._made.parent, env=environment, capture_output=True, check=False
            )
            self._note({name: KILLED[0] if ended.returncode in KILLED else 0})

    def _files(self, kind: str) -> list[Path]:
        return sorted(self._made.glob(f"kaimen/{self.name}/{self._modules}.py{kind}"))

    def _note(self, codes: Mapping[str, int | None]) -> None:
        """Write what was found of mutants where mutmut keeps it."""
        for path in self._files(".meta"):
            kept = json.loads(path.read_text())
            found = kept["exit_code_by_key"]
            found.update({name: code for name, code in codes.items() if name in found})
            path.write_text(json.dumps(kept))

    def results(self) -> Iterator[tuple[str, int | None]]:
        """Yield the name of each mutant, and what mutmut noted."""
        for path in self._files(".meta"):
            yield from json.loads(path.read_text())["exit_code_by_key"].items()

    def of(self, *codes: int | None) -> list[str]:
        """Return the mutants of which one of these was noted, less the same program."""
        same = self.same_program()
        return [name for name, code in self.results() if code in codes and name not in same]

    def same_program(self) -> set[str]:
        """Return the mutants that only write SQL or a codec in other letters."""
        found = set()
        for path in self._files(""):
            made = {
                each.name: each
                for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(each, ast.FunctionDef) and "__mutmut_" in each.name
            }
            for name, function in made.items():
                of_before = made[f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"]
                if name != of_before.name and _only_letters(of_before, function):
                    found.add(f"kaimen.{self.name}.{path.stem}.{name}")
        return found

    def draw(self, number: int, seed: int) -> None:
        """Leave out all but so many."""
        same = self.same_program()
        names = [name for name, _ in self.results() if name not in same]
        drawn = set(random.Random(seed).sample(names, min(number, len(names))))
        codes: dict[str, int | None] = {}
        for name, code in self.results():
            if name not in drawn:
                codes[name] = LEFT_OUT
            elif code == LEFT_OUT:
                codes[name] = None
        self._note(codes)


def _only_letters(one: ast.FunctionDef, other: ast.FunctionDef) -> bool:
    """Return whether two functions differ only in small and capital letters of SQL or codecs."""
    nodes = list(zip(*(list(ast.walk(each))[1:] for each in (one, other)), strict=False))
    texts = [
        (a.value, b.value)
        for a, b in nodes
        if isinstance(a, ast.Constant)
        and isinstance(b, ast.Constant)
        and isinstance(a.value, str)
        and isinstance(b.value, str)
        and a.value != b.value
    ]
    for before, after in texts:
        if before.lower() != after.lower() or not before.lstrip().startswith((*SQL, *CODECS)):
            return False
        if "'" in before.replace("''", ""):  # a text within the statement keeps its letters
            return False
    return bool(texts) and _bare(one) == _bare(other)


def _bare(function: ast.FunctionDef) -> str:
    body = ast.Module(function.body, [])
    return ast.dump(body).lower()


def count(rooms: Sequence[Room]) -> None:
    """Show the share that was noticed, with the interval that holds it in 95 of 100 cases."""
    found: dict[str, Counter[str]] = {}
    for room in rooms:
        each = found[room.name] = Counter()
        same = room.same_program()
        for name, code in room.results():
            if name in same:
                each["the same program"] += 1
                continue
            what = "killed" if code in KILLED else WHAT.get(code, "ended otherwise")
            each[what] += 1
            if code in SURVIVED:
                print(f"{what}: {name}")
    for name, each in {**found, "all": sum(found.values(), Counter())}.items():
        tried = each.total() - each["not drawn"] - each["not tried"] - each["the same program"]
        noticed = each["killed"] + each["ended otherwise"]
        low, high = interval(noticed, tried)
        print(
            f"{name:10} {noticed:5} of {tried:5} {noticed / max(tried, 1):6.1%}"
            f" ({low:.1%} to {high:.1%})  {dict(each)}"
        )


def interval(found: int, tried: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share (doi:10.1080/01621459.1927.10502953)."""
    if not tried:
        return 0.0, 1.0
    share, square = found / tried, z * z
    middle = (share + square / (2 * tried)) / (1 + square / tried)
    half = z / (1 + square / tried) * sqrt(share * (1 - share) / tried + square / (4 * tried**2))
    return middle - half, middle + half


if __name__ == "__main__":
    sys.exit(main())
