"""How an answer of the gate is shown, to a person and to a program."""

from __future__ import annotations

import math
from typing import Any

from rich.markup import escape

from edge.gate import Answer, seconds_into


def as_fields(answer: Answer) -> dict[str, Any]:
    """One answer as an object: what was said when, and every score behind the decision."""
    decision = answer.decision
    return {
        "verdict": decision.verdict.value,
        "student": decision.student,
        "score": decision.score,
        "threshold": decision.threshold if math.isfinite(decision.threshold) else None,
        "claim": decision.claim,
        "nearest": [{"student": m.student, "score": m.score} for m in decision.nearest],
        "reason": decision.reason,
        "began": seconds_into(answer.phrase.start),
        "ended": seconds_into(answer.phrase.end),
        "latency": answer.latency,
        "computed": answer.computed,
    }


def as_line(answer: Answer) -> str:
    """One answer in a line."""
    decision = answer.decision
    mark = "[green]open   [/green]" if decision.opens else "[yellow]unknown[/yellow]"
    at = f"{seconds_into(answer.phrase.start):7.2f} s"
    return f"{mark} {at}  {escape(decision.reason)}  [dim]{answer.latency * 1000:.0f} ms[/dim]"
