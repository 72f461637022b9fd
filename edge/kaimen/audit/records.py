"""What is in the line of a decision: everything that explains it, and no name."""

from __future__ import annotations

import numpy as np

from kaimen.access.growing import GrowthCandidate
from kaimen.access.pin_entry import PinAnswer
from kaimen.audit.chain import Record
from kaimen.gallery.match import Match
from kaimen.gate.gate import Answer
from kaimen.registry.pseudonyms import SHORT, pseudonym
from kaimen.sound.quality import clipped_share


def grown_record(taken: GrowthCandidate, key: bytes) -> Record:
    """Return the record of a voiceprint that was taken in at the gate."""
    return {
        "kind": "grown",
        "student": pseudonym(key, taken.student),
        "score": taken.score,
        "threshold": taken.needed,
    }


def record_of(
    answer: Answer,
    *,
    key: bytes,
    encoder: str,
    gallery: str,
    calibration: str,
    microphone: str = "",
) -> Record:
    """Return the record of a decision by an encoder, a gallery and a calibration with these hashes.

    ``microphone``: what was listened to.
    """
    decision, samples = answer.decision, answer.phrase.samples

    def named(match: Match) -> Record:
        return {"student": pseudonym(key, match.student), "score": match.score}

    scores = [match.score for match in decision.nearest]
    return {
        "kind": "decision",
        "verdict": decision.verdict.value,
        "not_opened": answer.not_opened or None,
        "student": decision.student and pseudonym(key, decision.student),
        "claim": decision.claim and pseudonym(key, decision.claim),
        "score": decision.score,
        "threshold": decision.threshold,
        "above_threshold": scores[0] - decision.threshold if scores else None,
        "above_next": scores[0] - scores[1] if len(scores) > 1 else None,
        "nearest": [named(match) for match in decision.nearest],
        "seconds": answer.phrase.seconds,
        "peak": float(np.abs(samples).max()),
        "clipped": clipped_share(samples),
        "pooled": decision.pooled,
        "checks": {check.name: [check.score, check.threshold] for check in decision.checks},
        "latency": answer.latency,
        "computed": answer.computed,
        "encoder": encoder[:SHORT],
        "gallery": gallery[:SHORT],
        "calibration": calibration[:SHORT],
        "microphone": microphone,
    }


def pin_record_of(answer: PinAnswer, *, key: bytes, not_opened: str = "") -> Record:
    """Return the record of a card and a PIN, without the PIN."""
    return {
        "kind": "pin",
        "verdict": "open" if answer.opens else "refused",
        "not_opened": not_opened or None,
        "student": pseudonym(key, answer.student) if answer.student else None,
        "why": answer.why or None,
        "wait": answer.wait,
    }
