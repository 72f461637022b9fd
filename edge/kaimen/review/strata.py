"""What kind of phrase a line of the log is about, for whoever reviews phrases of each kind."""

from __future__ import annotations

from enum import StrEnum

from kaimen.access.decision import Verdict
from kaimen.audit import Record

NEAR = 0.15  # of score below the threshold: nearly known


class Stratum(StrEnum):
    """A kind of phrase."""

    OPENED = "opened"
    DOUBTFUL = "doubtful"  # asked once more, nearly known, or refused by a check
    CLEAR = "clear"  # a voice that is nobody's by far


def stratum_of(record: Record) -> Stratum | None:
    """Return the kind of a decision's phrase; None where nobody was looked for."""
    score, threshold = record.get("score"), record.get("threshold")
    if record.get("kind") != "decision" or score is None or threshold is None:
        return None
    verdict = record.get("verdict")
    if verdict == Verdict.OPEN.value:
        return Stratum.OPENED
    failed = [s is None or s < least for s, least in (record.get("checks") or {}).values()]
    if verdict == Verdict.RETRY.value and score >= threshold and not any(failed):
        return None  # asked for words of a challenge: the passphrase was enough
    if verdict == Verdict.RETRY.value or any(failed) or score >= threshold - NEAR:
        return Stratum.DOUBTFUL
    return Stratum.CLEAR
