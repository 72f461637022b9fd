"""How an answer of the gate is shown, to a person and to a program."""

from __future__ import annotations

import math
from typing import Any

from rich.markup import escape

from kaimen.access.decision import Verdict
from kaimen.gate.gate import Answer, seconds_into

MARKS = {
    Verdict.OPEN: "[green]open   [/green]",
    Verdict.RETRY: "[cyan]retry  [/cyan]",
    Verdict.UNKNOWN: "[yellow]unknown[/yellow]",
    Verdict.REFUSED: "[red]refused[/red]",
}


def as_fields(answer: Answer) -> dict[str, Any]:
    """One answer as an object: what was said when, and every score behind the decision."""
    decision = answer.decision
    return {
        "verdict": decision.verdict.value,
        "student": decision.student,
        "score": decision.score,
        "threshold": decision.threshold if math.isfinite(decision.threshold) else None,
        "claim": decision.claim,
        "pooled": decision.pooled,
        "checks": {
            check.name: {"score": check.score, "threshold": check.threshold}
            for check in decision.checks
        },
        "ask": list(decision.ask),
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
    mark = MARKS[decision.verdict]
    at = f"{seconds_into(answer.phrase.start):7.2f} s"
    return f"{mark} {at}  {escape(decision.reason)}  [dim]{answer.latency * 1000:.0f} ms[/dim]"
