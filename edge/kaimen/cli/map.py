"""``kaimen map``: all students in two dimensions, for the console."""

from __future__ import annotations

import argparse

from rich.table import Table

from kaimen.cli.options import add_flag
from kaimen.gallery.latent_map import METHODS, NEIGHBOURS, LatentMap, map_path
from kaimen.installation import Installation
from kaimen.names import as_kept
from kaimen.screen import Screen
from kaimen.settings import Settings

EXAMPLE = """example:
  kaimen map --fit                          (by principal components: seconds)
  kaimen map --fit --method neighbours      (by t-SNE: minutes; needs pip install 'kaimen[map]')
  kaimen map                                (what the map keeps of neighbourhoods)
  kaimen map --student s0001                (where a student lies, and whom they are like)

The map is kept encrypted beside the gallery. Whoever enrolls later lands on it by their nearest."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_flag(parser, "--fit", "make the map, in place of the old one")
    parser.add_argument(
        "--method", choices=METHODS, default="pca",
        help="pca, or neighbours, which keeps more of them; pca unless it is given",
    )  # fmt: skip
    parser.add_argument("--student", metavar="NAME", help="where they lie, and their neighbours")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Make the map, or tell of it."""
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        gallery = installation.gallery
        path = map_path(installation.settings.gallery.file)
        if arguments.fit:
            fitted = LatentMap.fit(gallery.encoder, *gallery.centroids(), arguments.method)
            fitted.save(path, installation.vault)
        kept = LatentMap.load(path, installation.vault, gallery.encoder)
        now = kept.completed(*gallery.centroids())
        if arguments.student:
            _student(installation, now, as_kept(arguments.student), screen)
            return 0
        screen.result(
            {
                "students": len(now.numbers),
                "fitted": len(kept.numbers),
                "method": kept.method,
                "kept_neighbours": kept.kept,
            },
            f"a map of {len(now.numbers)} students, {kept.method}: of the {NEIGHBOURS} students "
            f"who are most like one, {kept.kept:.1%} are among the {NEIGHBOURS} nearest on it",
        )
    return 0


def _student(installation: Installation, now: LatentMap, name: str, screen: Screen) -> None:
    gallery = installation.gallery
    found = gallery.students_near(name, NEIGHBOURS)
    numbers = {student.name: student.number for student in gallery.members}
    x, y = now.places[now.numbers.tolist().index(numbers[name])].tolist()
    table = Table("student", "group", "cosine", box=None, pad_edge=False)
    for student, cosine in found:
        table.add_row(student.name, student.group, f"{cosine:.3f}")
    nearest = [{"student": student.name, "cosine": cosine} for student, cosine in found]
    screen.result({"student": name, "place": [x, y], "nearest": nearest}, table)
