"""The encoder: the file its card describes, and fast enough for this machine's students."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kaimen.bench.timing import median
from kaimen.doctor.finding import Finding, Health, Patient, attention, ok
from kaimen.gate.gate import EARLY
from kaimen.settings.encoder import ENCODERS
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.endpoint import HANGOVER
from kaimen.voice.encoder import Encoder
from kaimen.voice.utterance import Utterance

PHRASE = 1.5  # seconds of the sound it is tried on
ALLOWED = HANGOVER - EARLY  # seconds from the early look until the end of a phrase is certain
ROOM = ALLOWED / 2  # seconds within which the large encoder is recommended


def check(patient: Patient) -> Iterator[Finding]:
    """Load what the gate hears with, and decide on a phrase. Raises EncoderError."""
    encoder, models = patient.installation.encoder, patient.installation.models
    card, model = encoder.card, patient.installation.model
    said = f"{card.name}, {card.dimension} dimensions, {card.sha256[:12]}, by {encoder.runs_on}"
    said = f"the {model} one: {said}" if model else said
    yield ok("encoder", said, runtime=encoder.runs_on, model=model or None)
    if models.loudspeaker is not None and not models.loudspeaker.knows(encoder):
        yield attention(
            "loudspeaker",
            "its detector was trained beside another encoder: it hears each phrase alone, and less",
            "train one with 'kaimen-train loudspeaker --encoder' and bundle both",
        )
    sound = some_phrase()

    def decide() -> Any:
        utterance = Utterance(sound, models.encoder)
        loudspeaker = models.loudspeaker and models.loudspeaker.suspect(utterance.features)
        return utterance.voiceprint, models.evidence(utterance), loudspeaker

    seconds = median(decide)
    yield speed(seconds, model)
    if model == "small" and seconds <= ROOM:
        large = Encoder(ENCODERS["large"], runtime=encoder.runtime)
        if large.identity != encoder.identity:
            yield from room(seconds + median(lambda: large.embed(sound)))


def some_phrase() -> Samples:
    """Return PHRASE seconds of noise: what is said does not matter for time."""
    random = np.random.default_rng(0)
    return (0.1 * random.standard_normal(round(PHRASE * SAMPLE_RATE))).astype(np.float32)


def speed(seconds: float, model: str) -> Finding:
    """Tell whether a decision of so many seconds about a phrase comes in time, by which model."""
    measured = {"ratio": PHRASE / seconds, "seconds": seconds}
    said = f"a decision takes 1/{PHRASE / seconds:.0f} of its phrase ({seconds * 1000:.0f} ms)"
    if seconds <= ALLOWED:
        return ok("speed", said, **measured)
    if seconds <= PHRASE:
        state, said = Health.ATTENTION, f"{said}: students wait for it"
    else:
        state, said = Health.BROKEN, f"a decision takes longer than its phrase ({seconds:.1f} s)"
    mend = "see 'top' for what else runs, and the line on power"
    if model == "large":
        mend += '; else set [encoder] model = "small", and enroll everybody again'
    elif model == "small":
        mend += "; a Pi 3 or a Zero 2 W is fast enough"
    return Finding("speed", state, said, mend, measured)


def room(seconds: float) -> Iterator[Finding]:
    """Tell where there is room for the large encoder: with it a decision took so many seconds."""
    if seconds <= ROOM:
        yield attention(
            "model",
            "small, and the large encoder knows voices better: with it a decision takes "
            f"{seconds * 1000:.0f} ms here",
            'set [encoder] model = "large", and enroll everybody again',
            seconds=seconds,
        )
