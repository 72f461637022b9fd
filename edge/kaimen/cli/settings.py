"""``kaimen settings``: what the gate goes by, with what was left out of the file."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields

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
        chosen = asdict(getattr(settings, section.name))
        usual = asdict(getattr(Settings(), section.name))
        for name, value in chosen.items():
            same = value == usual[name]
            shown = repr(value)
            table.add_row(
                f"[{section.name}]",
                name,
                shown if same else styled((shown, "bold")),
                "" if same else repr(usual[name]),
            )
            screen.result(
                {
                    "section": section.name,
                    "setting": name,
                    "value": value,
                    "default": usual[name],
                }
            )
    if not screen.as_json:
        screen.out.print(table)
    return 0
