"""``kaimen students``: who is enrolled."""

from __future__ import annotations

import argparse

from rich.markup import escape
from rich.table import Table

from edge.commands import common
from edge.screen import Screen

EXAMPLE = """example:
  kaimen students
  kaimen students --remove s0001"""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--remove", metavar="STUDENT", help="forget a student at once")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List the students, or forget one."""
    settings = common.settings_of(arguments)
    encoder = common.load_encoder(settings)
    gallery = common.load_gallery(settings, encoder)
    if arguments.remove:
        gallery.remove(arguments.remove)
        gallery.save(settings.gallery.file)
        screen.result({"removed": arguments.remove}, f"{escape(arguments.remove)} is forgotten")
        return 0
    table = Table("student", "recordings")
    for student in gallery.students:
        count = len(gallery.voiceprints(student))
        table.add_row(escape(student), str(count))
        screen.result({"student": student, "recordings": count})
    if not screen.as_json:
        screen.out.print(table)
    return 0
