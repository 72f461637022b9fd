"""Which encoder that comes along a gate gets: by its board, unless its school is enrolled."""

from __future__ import annotations

from collections.abc import Mapping

from kaimen.door.board import is_slow


def model_for(board: str, now: str, known: Mapping[str, int]) -> tuple[str, str]:
    """Return the model for a board, and a sentence that says why; none where all is well.

    ``now`` is the model of the settings, ``known`` how many students each model enrolled.
    """
    if now == "small" or not is_slow(board):
        return now, ""
    if known[now] > known["small"]:
        return now, (
            f"this board is a {board}, on which the {now} encoder takes too long; it stays, since "
            f"{known[now]} students are enrolled with it: --model small changes it, and then "
            "everybody must be enrolled again"
        )
    return "small", (
        f"this board is a {board}: it gets the small encoder, since the large one takes too long"
    )


def unknown_to(model: str, known: Mapping[str, int]) -> str:
    """Return a sentence about students whom a model does not know; empty where there are none."""
    other = max(known, key=lambda name: known[name])
    if known[other] <= known[model]:
        return ""
    return (
        f"{known[other]} students are enrolled with the {other} encoder, and the {model} one does "
        f"not know them: enroll them again, or take --model {other}"
    )
