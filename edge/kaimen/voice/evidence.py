"""What is kept of a recording beside its voiceprint: what was said, a fingerprint, its band."""

from __future__ import annotations

from dataclasses import dataclass

from kaimen.voice.fingerprint import Fingerprint
from kaimen.voice.phrase import PhraseEmbedding


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a phrase at the gate is compared with once the voice is known."""

    said: PhraseEmbedding | None = None
    said_by: str = ""  # identity of the phrase encoder that made it
    fingerprint: Fingerprint | None = None
    highest: float | None = None  # Hz: how high its speech reaches; None: not measured
