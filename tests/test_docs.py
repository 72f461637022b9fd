"""The pages: every link leads somewhere, and every command, option and setting is explained."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import get_type_hints

import pytest

from kaimen.cli import main as gate_commands
from kaimen.settings import Settings
from kaimen.settings.roster import Rule

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"
PAGES = sorted(
    [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CHANGELOG.md"]
)
USE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "use").glob("*.md")))

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"\b(kaimen(?:_train)?)((?:\.[a-z_]+)+)`")
DOCS_PATH = re.compile(r"\bdocs/[\w./-]+\.(?:md|svg|png)\b")
SOURCES = ("edge", "training", "tests", "deploy", "systemd", "examples")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: dict[str, int] = {}
    for title in HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return frozenset(
        slug if number == 0 else f"{slug}-{number}"
        for slug, last in found.items()
        for number in range(last + 1)
    )


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield each link of a page to a file: as it is written, the file, the anchor or nothing."""
    for written in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", written):
            path, _, anchor = written.partition("#")
            yield written, (page.parent / path).resolve() if path else page, anchor


def parsers(
    name: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield a command and all commands below it, each with its whole name."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub, below in action.choices.items():
                yield from parsers(f"{name} {sub}", below)


def gate_parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command of ``kaimen``."""
    for command in gate_commands.COMMANDS:
        for name, parser in parsers("kaimen", gate_commands.parser(command)):
            if name.startswith(f"kaimen {command}"):
                yield name, parser


def workshop_parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command of ``kaimen-train``."""
    from kaimen_train.cli.main import parser

    for name, each in parsers("kaimen-train", parser()):
        if name != "kaimen-train":
            yield name, each


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the long names of a command's options."""
    for action in parser._actions:
        if action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
            yield from (option for option in action.option_strings if option.startswith("--"))


def section(command: str) -> str:
    """Return what docs/use says under the heading of a command, or nothing."""
    heading = re.search(rf"^(#+) `{re.escape(command)}`.*$", USE, re.MULTILINE)
    if heading is None:
        return ""
    after = USE[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", after, re.MULTILINE)
    return after[: end.start()] if end else after


def missing(command: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return what docs/use does not say of a command: the command itself, or its options."""
    # A command below another one may be explained in the section of that one.
    above = " ".join(command.split()[:2])
    said = section(command) or section(above)
    if not said or command not in USE:
        return [command]
    shared = {"--config", "--json"}  # explained once, for all commands
    return [
        f"{command} {option}"
        for option in options(parser)
        if option not in shared and not re.search(rf"{option}(?![\w-])", said)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    broken = [
        written
        for written, target, anchor in links(page)
        if not target.exists()
        or (anchor and target.suffix == ".md" and anchor not in anchors(target))
    ]
    assert not broken


def test_every_page_can_be_reached_from_the_table_of_contents() -> None:
    reached, ahead = set(), [INDEX]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.is_relative_to(DOCS):
            continue
        reached.add(page)
        ahead += [target for _, target, _ in links(page)]
    assert sorted(set(DOCS.rglob("*.md")) - reached) == []


def test_every_picture_is_shown_on_a_page() -> None:
    shown = {target for page in PAGES for _, target, _ in links(page)}
    pictures = {each for kind in ("*.svg", "*.png") for each in DOCS.rglob(kind)}
    assert sorted(pictures - shown) == []


def test_the_two_readmes_lead_to_each_other() -> None:
    for one, other in (("README.md", "README.zh.md"), ("README.zh.md", "README.md")):
        assert ROOT / other in {target for _, target, _ in links(ROOT / one)}


def test_code_names_only_pages_that_exist() -> None:
    named = {
        path
        for folder in SOURCES
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".toml", ".sh", ".service", ".yml") and file != Path(__file__)
        for path in DOCS_PATH.findall(file.read_text(encoding="utf-8"))
    }
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_pages_name_only_modules_that_exist() -> None:
    roots = {"kaimen": ROOT / "edge", "kaimen_train": ROOT / "training"}
    unknown = []
    for page in DOCS.rglob("*.md"):
        for package, below in MODULE.findall(page.read_text(encoding="utf-8")):
            path = roots[package] / package / below[1:].replace(".", "/")
            module = path.is_dir() or path.with_suffix(".py").exists()
            if not module and not below.startswith(".toml"):  # the settings file
                unknown.append(f"{page.name}: {package}{below}")
    assert unknown == []


def test_every_command_and_option_of_the_gate_is_explained() -> None:
    assert [each for name, parser in gate_parsers() for each in missing(name, parser)] == []


def test_every_command_and_option_of_the_workshop_is_explained() -> None:
    assert [each for name, parser in workshop_parsers() for each in missing(name, parser)] == []


def test_every_setting_is_explained() -> None:
    page = (DOCS / "use" / "settings.md").read_text(encoding="utf-8")
    unknown = []
    for part in fields(Settings):
        name = f"[[{part.name}]]" if part.name == "roster" else f"[{part.name}]"
        heading = f"## `{name}`"
        said = page.partition(f"{heading}\n")[2].partition("\n## ")[0]
        kind = Rule if part.name == "roster" else type(getattr(Settings(), part.name))
        unknown += [f"{name} {each}" for each in _names(part.name, kind) if f"`{each}`" not in said]
    assert unknown == []


def _names(where: str, kind: type) -> Iterator[str]:
    """Yield the settings of a section, and the sections within it with theirs."""
    for name, within in get_type_hints(kind).items():
        if is_dataclass(within):
            yield f"[{where}.{name}]"
            yield from _names(f"{where}.{name}", within)
        elif name in {each.name for each in fields(kind)}:
            yield name


def test_the_heads_of_pages_are_alike() -> None:
    for page in DOCS.rglob("*.md"):
        assert page.read_text(encoding="utf-8").startswith("# "), page
