"""``kaimen settings``: what the gate goes by, with what was left out of the file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from rich.table import Table

from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.terminal import styled

EXAMPLE = """example:
  kaimen settings
  kaimen settings --config new.toml        (is it one? exit code 2 if not)"""


def add(parser: argparse.ArgumentParser) -> None:
    """No options but those of every command."""


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show every setting; one that differs from its default stands out."""
    settings = Settings.read(arguments.config)
    table = Table("section", "setting", "value", "default")
    for section in fields(Settings):
        if section.name == "roster":
            for number, rule in enumerate(settings.roster, 1):
                table.add_row("[[roster]]", str(number), str(rule), "")
                screen.result({"section": "roster", "rule": str(rule)})
            continue
        chosen = dict(_flat(section.name, getattr(settings, section.name)))
        usual = dict(_flat(section.name, getattr(Settings(), section.name)))
        for (where, name), value in chosen.items():
            default = usual[where, name]
            same = value == default
            table.add_row(
                f"[{where}]",
                name,
                repr(value) if same else styled((repr(value), "bold")),
                "" if same else repr(default),
            )
            screen.result({"section": where, "setting": name, "value": value, "default": default})
    screen.show(table)
    return 0


def _flat(where: str, section: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield each setting of a section and of those within it, by section and name."""
    for each in fields(section):
        value = getattr(section, each.name)
        if is_dataclass(value):
            yield from _flat(f"{where}.{each.name}", value)
        else:
            yield (where, each.name), value
