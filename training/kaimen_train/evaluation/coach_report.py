"""What the coach predicts, and what came of it: tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from kaimen_train.drawing import save_svg

Found = Mapping[str, Any]


def tables(found: Found) -> Iterator[Table]:
    """Return the errors by corpus, what a re-take buys, and the weights."""
    errors = Table("corpus", "predicted", "measured", "mean error, points", title="the chance")
    for name, each in {"same day": found["same_day"], **found["by_corpus"]}.items():
        told = (_percent(each["predicted"]), _percent(each["measured"]))
        errors.add_row(name, *told, f"{each['mean_error']:.1f}")
    yield errors
    bought = Table("students", "asked", "five takes", "one more", "in place of the least alike",
                   "in place of any", title="turned away, of those who are asked")  # fmt: skip
    for each in found["retakes"]:
        shares = (_percent(each[name]) for name in ("before", "advised", "unlike", "random"))
        bought.add_row(str(each["students"]), _percent(each["asked"]), *shares)
    yield bought
    unlike = Table("corpus", "takes before", "own, quiet", "own, worse place", "another speaker's",
                   title="takes that are not like those before")  # fmt: skip
    for each in found["taken_for_another"]:
        shares = (_percent(each[name]) for name in ("own", "worse", "another"))
        unlike.add_row(each["corpus"], str(each["before"]), *shares)
    yield unlike
    weights = Table("term", "fitted", "ships", title="weights")
    for name, fitted in found["weights"].items():
        weights.add_row(name, f"{fitted:g}", f"{found['shipped'][name]:g}")
    yield weights


def draw(found: Found, path: Path) -> None:
    """Draw predicted against measured chances. Raises StorageError."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    drawn = {"one day": found["same_day"], "another day (telephone)": found["by_corpus"]["calls"]}
    for mark, (name, each) in zip("os", drawn.items(), strict=True):
        predicted = [one["predicted"] for one in each["bins"]]
        measured = [one["measured"] for one in each["bins"]]
        axes.plot(predicted, measured, mark, label=name)
    axes.set(xlabel="predicted chance of being turned away", ylabel="measured", xlim=(0, 1),
             ylim=(0, 1), aspect="equal")  # fmt: skip
    axes.legend()
    save_svg(figure, path)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
