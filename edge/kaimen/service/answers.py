"""How an answer of the gate is shown, to a person and to a program."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich.text import Text

from kaimen.access.decision import Verdict
from kaimen.gate.gate import Answer, seconds_into
from kaimen.language import for_program, later, sentence, text
from kaimen.sound.quality import clipped_share
from kaimen.terminal import styled

MARKS = {
    Verdict.OPEN: (later("open   "), "green"),
    Verdict.RETRY: (later("retry  "), "cyan"),
    Verdict.UNKNOWN: (later("unknown"), "yellow"),
    Verdict.REFUSED: (later("refused"), "red"),
}


def as_fields(answer: Answer, *, nearest: bool) -> dict[str, Any]:
    """Return an answer as an object: what was said when, and every score behind the decision.

    Without ``nearest``, nobody is named whom a voice is like that is turned away.
    """
    decision = answer.decision
    named = nearest or decision.opens or decision.ask or decision.claim
    with for_program():
        reason = _reason(answer, nearest=nearest)
    return {
        "verdict": decision.verdict.value,
        "opened": answer.opened,
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
        "nearest": [
            {"student": each.student if named else None, "score": each.score}
            for each in decision.nearest
        ],
        "reason": reason,
        "began": seconds_into(answer.phrase.start),
        "ended": seconds_into(answer.phrase.end),
        "latency": answer.latency,
        "computed": answer.computed,
    }


def for_watchers(answer: Answer) -> dict[str, Any]:
    """Return why it was decided so, in a word; and how well the phrase was heard.

    That is its seconds, its peak in dB of full scale, and the share of it that was cut off.
    """
    samples, decision = answer.phrase.samples, answer.decision
    peak = float(np.abs(samples).max(initial=0))
    return {
        "cause": decision.cause,
        "wait": math.ceil(decision.wait),
        "shut": decision.shut,
        "wanted": decision.wanted,
        "quality": {
            "seconds": round(answer.phrase.seconds, 2),
            "peak": round(20 * math.log10(max(peak, 1e-6)), 1),
            "clipped": clipped_share(samples),
        },
    }


def as_line(answer: Answer, *, nearest: bool) -> Text:
    """Return an answer in a line."""
    decision = answer.decision
    at = f"{seconds_into(answer.phrase.start):7.2f} s"
    took = (f"  {answer.latency * 1000:.0f} ms", "dim")
    mark, style = MARKS[decision.verdict]
    return styled((text(mark), style), f" {at}  {_reason(answer, nearest=nearest)}", took)


def _reason(answer: Answer, *, nearest: bool) -> str:
    told = answer.decision.told(nearest=nearest)
    return f"{told}{text('; ')}{sentence(answer.not_opened)}" if answer.not_opened else told
