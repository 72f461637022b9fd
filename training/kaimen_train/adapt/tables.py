"""What adapting was found to be worth, in tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from kaimen_train.evaluation.tables import percent, titled, with_interval


def adapted(found: dict[str, Any]) -> Iterator[Table]:
    """Of one school, by ``kaimen_train.adapt.adapt.adapt_if_better``."""
    kept = "no certain gain: the encoder stays"
    table = titled(found["encoder"] or kept, "figure", "value")
    table.add_row("students", str(found["students"]))
    table.add_row("recordings", f"{found['recordings']}, and {found['refused']} refused")
    table.add_row("pair EER before, %", percent(found["before"]))
    table.add_row("pair EER after, %", percent(found["after"]))
    low, high = found["separation"]
    table.add_row("d' gained, 95 % interval", f"{low:.2f} to {high:.2f}")
    if found["encoder"]:
        table.add_row("map for voiceprints", found["map"])
    yield table


def checked(found: dict[str, Any]) -> Iterator[Table]:
    """By ``kaimen_train.adapt.protocol.check``."""
    for condition, every in found.items():
        if condition != "handed on":
            yield _schools(condition, every)
    yield from _handed_on(found["handed on"])


def taught(found: dict[str, Any]) -> Iterator[Table]:
    """By ``kaimen_train.adapt.teaching.teach``."""
    for size, rows in found["schools"].items():
        title = f"{size} students, {found['strangers']} strangers, FPIR 1 %"
        table = titled(title, "what was taught", "schools", "FNIR, %", "change, %")
        for name, each in rows.items():
            low, high = (100 * end for end in each["change_interval"])
            table.add_row(
                name,
                str(each["schools"]),
                with_interval(each["fnir"], each["interval"]),
                f"{100 * each['change']:.0f} ({low:.0f} to {high:.0f})",
            )
        yield table


def _schools(condition: str, every: dict[str, Any]) -> Table:
    names = ["on", "schools", "trials", "EER before, %", "after, %", "change, %", "by the rule"]
    table = titled(condition, *names)
    for name, figures in every.items():
        before, after = figures["before"], figures["after"]
        change = f"{100 * figures['change']:.0f}"
        if figures["change_interval"]:
            low, high = (100 * end for end in figures["change_interval"])
            change += f" ({low:.0f} to {high:.0f})"
        means = figures["mean_of_schools"]
        rule = f"{figures['adapted_by_the_rule']}: {percent(means['before'])} to "
        table.add_row(
            name,
            f"{figures['schools']} of {figures['students']}",
            f"{before['targets']} / {before['strangers']}",
            with_interval(before["eer"], before["interval"]),
            with_interval(after["eer"], after["interval"]),
            change,
            rule + percent(means["by_the_rule"]),
        )
    return table


def _handed_on(found: dict[str, Any]) -> Iterator[Table]:
    names = ["on", "EER before, %", "map on points, %", "int8 file, %"]
    table = titled("the file itself, adapted to commands", *names)
    names = ["on", "enrolled points", "EER, %", "FNIR, %", "mean cosine"]
    galleries = titled("carried voiceprints", *names)
    for name, figures in found["files"].items():
        errors = (figures["before"], figures["map_on_points"], figures["int8_file"])
        table.add_row(name, *map(percent, errors))
        for kind, each in figures.get("gallery", {}).items():
            cosine = f"{each['mean_cosine']:.4f}"
            galleries.add_row(name, kind, percent(each["eer"]), percent(each["fnir"]), cosine)
    yield table
    yield galleries
