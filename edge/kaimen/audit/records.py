"""What is in the line of a decision: everything that explains it, and no name."""

from __future__ import annotations

import hmac

import numpy as np

from kaimen.access.growing import GrowthCandidate
from kaimen.audit.chain import Record
from kaimen.gallery.match import Match
from kaimen.gate.gate import Answer
from kaimen.names import forms_of
from kaimen.sound.quality import clipped_share

SHORT = 16  # characters of a hash that only tells apart


def pseudonym(key: bytes, student: str) -> str:
    """What a student is called in the log: nobody finds out who it is without the key.

    64 bits tell 20,000 students apart with a chance of one in 10^11 of confusing any two.
    """
    return pseudonyms(key, student)[0]


def pseudonyms(key: bytes, student: str) -> list[str]:
    """Return the same, and what a student may have been called by earlier releases."""
    return [
        hmac.digest(key, f"student {form}".encode(), "sha256").hex()[:SHORT]
        for form in forms_of(student)
    ]


def grown_record(taken: GrowthCandidate, key: bytes) -> Record:
    """The record of a voiceprint that was taken in at the gate."""
    return {
        "kind": "grown",
        "student": pseudonym(key, taken.student),
        "score": taken.score,
        "threshold": taken.needed,
    }


def record_of(
    answer: Answer, *, key: bytes, encoder: str, gallery: str, calibration: str
) -> Record:
    """The record of a decision by an encoder, a gallery and a calibration with these hashes."""
    decision, samples = answer.decision, answer.phrase.samples

    def named(match: Match) -> Record:
        return {"student": pseudonym(key, match.student), "score": match.score}

    scores = [match.score for match in decision.nearest]
    return {
        "kind": "decision",
        "verdict": decision.verdict.value,
        "student": decision.student and pseudonym(key, decision.student),
        "claim": decision.claim and pseudonym(key, decision.claim),
        "score": decision.score,
        "threshold": decision.threshold,
        "above_threshold": scores[0] - decision.threshold if scores else None,
        "above_next": scores[0] - scores[1] if len(scores) > 1 else None,
        "nearest": [named(match) for match in decision.nearest],
        "seconds": answer.phrase.seconds,
        "peak": float(np.abs(samples).max(initial=0)),
        "clipped": clipped_share(samples),
        "pooled": decision.pooled,
        "checks": {check.name: [check.score, check.threshold] for check in decision.checks},
        "latency": answer.latency,
        "computed": answer.computed,
        "encoder": encoder[:SHORT],
        "gallery": gallery[:SHORT],
        "calibration": calibration[:SHORT],
    }
